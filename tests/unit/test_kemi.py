"""The KEMI script with a made-up Kamailio: its entry points always give a positive integer."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness import KEMI, invite, request


class Kamailio(ModuleType):
    """Stands in for the module KSR: one message at a time, htables as dictionaries."""

    def __init__(self) -> None:
        super().__init__("KSR")
        self.raw = b""
        self.sent: list[tuple[int, str]] = []
        self.said: list[str] = []
        self.fail = False
        self.tables: dict[str, dict[str, Any]] = {}
        self.pv = SimpleNamespace(get=self._get, sets=lambda name, value: 1)
        self.hdr = SimpleNamespace(get=self._header, append_to_reply=lambda text: 1)
        self.sl = SimpleNamespace(sl_send_reply=lambda code, phrase: self.sent.append((code, phrase)) or 1)
        self.textopsx = SimpleNamespace(msg_set_buffer=self._set)
        self.htable = SimpleNamespace(
            sht_inc=self._inc, sht_get=lambda table, key: self._table(table).get(key),
            sht_seti=self._put, sht_sets=self._put, sht_setex=lambda *a: 1, sht_setxs=lambda t, k, v, s: self._put(t, k, v),
            sht_setxi=lambda t, k, v, s: self._put(t, k, v), sht_rm=lambda t, k: 1,
            sht_iterator_start=lambda *a: 1, sht_iterator_next=lambda *a: -1, sht_iterator_end=lambda *a: 1,
        )  # fmt: skip
        self.err = self.warn = self.info = self.notice = lambda text: self.said.append(text) or 1

    def _table(self, name: str) -> dict[str, Any]:
        return self.tables.setdefault(name, {})

    def _put(self, table: str, key: str, value: Any) -> int:
        self._table(table)[key] = value
        return 1

    def _inc(self, table: str, key: str) -> int:
        self._table(table)[key] = self._table(table).get(key, 0) + 1
        return int(self._table(table)[key])

    def _get(self, name: str) -> Any:
        if self.fail:
            raise RuntimeError("KSR fails")
        values = {"$proto": "udp", "$si": "192.0.2.1", "$sp": "5060"}
        # Strict UTF-8, as the real one.
        return self.raw.decode() if name == "$mb" else values.get(name)

    def _header(self, name: str) -> str | None:
        return "there" if f"\r\n{name}:".encode() in self.raw else None

    def _set(self, text: str) -> int:
        self.raw = text.encode()
        return 1


@pytest.fixture
def kamailio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kamailio]:
    made = Kamailio()
    monkeypatch.setitem(sys.modules, "KSR", made)
    monkeypatch.setenv("SIPSIEVE_LOG", str(tmp_path / "decisions.jsonl"))
    monkeypatch.setenv("SIPSIEVE_POLICY", str(tmp_path / "policy.toml"))
    (tmp_path / "policy.toml").write_text("")
    monkeypatch.syspath_prepend(str(KEMI))
    monkeypatch.delitem(sys.modules, "sipsieve_kemi", raising=False)
    yield made
    sys.modules.pop("sipsieve_kemi", None)


def handler(kamailio: Kamailio) -> Any:
    made = importlib.import_module("sipsieve_kemi").mod_init()
    assert made.child_init(1) == 0
    return made


WHERE = "udp|192.0.2.1|5060"


def test_a_clean_message_passes_and_an_attack_is_answered(kamailio: Kamailio) -> None:
    guard = handler(kamailio)
    kamailio.raw = invite()
    assert guard.sipsieve_message(None, WHERE) == 1
    kamailio.raw = invite(from_='"$(id)" <sip:a@example.com>;tag=1')
    assert guard.sipsieve_message(None, WHERE) == 2
    assert kamailio.sent == [(403, "Forbidden")]


HOSTILE = [
    b"",
    b"\xff" * 50,
    b"\0",
    b"INVITE",
    b"SIP/2.0 200 OK\r\n\r\n",
    b"\r\n" * 100,
    request("ACK", from_="$(id)"),
    b"x" * 70000,
]


@pytest.mark.parametrize("entry", ["sipsieve_message", "sipsieve_again", "sipsieve_unparsable", "sipsieve_replaced"])
@pytest.mark.parametrize("where", [WHERE, "", "nonsense", "udp|nowhere|x"])
def test_entry_points_give_a_positive_integer_whatever_comes(kamailio: Kamailio, entry: str, where: str) -> None:
    guard = handler(kamailio)
    for raw in HOSTILE:
        for fail in (False, True):
            kamailio.raw, kamailio.fail = raw, fail
            result = getattr(guard, entry)(None, where)
            assert isinstance(result, int)
            assert result > 0


def test_other_entry_points_do_too(kamailio: Kamailio) -> None:
    guard = handler(kamailio)
    kamailio.raw = invite()
    for call in (guard.sipsieve_ready, guard.sipsieve_tick):
        for fail in (False, True):
            kamailio.fail = fail
            assert call(None) > 0
    kamailio.fail = False
    assert guard.ksr_request_route(None) > 0
    assert guard.ksr_reply_route(None) > 0


def test_a_reply_is_never_sent_without_a_via(kamailio: Kamailio) -> None:
    """It would crash Kamailio 5.6."""
    guard = handler(kamailio)
    kamailio.raw = invite(from_='"$(id)" <sip:a@example.com>;tag=1').replace(b"\r\nVia:", b"\r\nX-Via:")
    assert guard.sipsieve_message(None, WHERE) == 2
    assert kamailio.sent == []


def test_an_answer_of_another_message_is_not_given_again(kamailio: Kamailio) -> None:
    guard = handler(kamailio)
    kamailio.raw = invite()
    assert guard.sipsieve_message(None, WHERE) == 1
    kamailio.raw = invite(from_='"$(id)" <sip:a@example.com>;tag=1')
    assert guard.sipsieve_again(None, WHERE) == 2


def test_a_wrong_policy_is_said_in_one_line(kamailio: Kamailio, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[limits]\nenable = true\n")
    with pytest.raises(SystemExit, match=r"limits\.enable: no such key"):
        handler(kamailio)
    assert any("limits.enable: no such key" in text for text in kamailio.said)


def test_a_host_class_inherits(kamailio: Kamailio) -> None:
    module = importlib.import_module("sipsieve_kemi")

    class Host(module.Sipsieve):  # type: ignore[misc, name-defined]
        def sipsieve_accepted(self, msg: Any) -> None:
            kamailio.sl.sl_send_reply(202, "Host")

    kamailio.raw = invite()
    assert Host().ksr_request_route(None) == 1
    assert kamailio.sent == [(202, "Host")]


def test_a_host_that_decides_on_messages_itself_gets_them_all(kamailio: Kamailio) -> None:
    module = importlib.import_module("sipsieve_kemi")

    class Host(module.Sipsieve):  # type: ignore[name-defined, misc]
        seen = 0

        def sipsieve_message(self, msg: Any, where: str = "") -> int:
            Host.seen += 1
            return int(super().sipsieve_message(msg, where))

    guard = Host()
    guard.child_init(1)
    for number in range(5):
        kamailio.raw = invite(call_id=f"host{number}", branch=f"z9hG4bKhost{number}")
        assert guard.sipsieve_message(None, WHERE) == 1
    assert Host.seen == 5
