"""The KEMI script with a made-up Kamailio: its entry points always give a positive integer."""

from __future__ import annotations

import base64
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_kamailio import Kamailio
from harness import KEMI, invite, request
from sipsieve._core import remove_ledger


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
    remove_ledger(str(tmp_path / "decisions.jsonl.ledger"))


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


def records(tmp_path: Path) -> list[dict[str, Any]]:
    """What is in the decision log about single messages."""
    lines = (tmp_path / "decisions.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["event"]["kind"] == "event"]


def latin(raw: bytes, header: bytes) -> bytes:
    """The message with a caller's name in Latin-1 in that header field."""
    return raw.replace(b"\r\n" + header + b": ", b"\r\n" + header + b': "Jos\xe9" ', 1)


@pytest.mark.parametrize("header", [b"From", b"To"])
def test_who_has_a_latin_1_name_and_is_over_a_limit_is_told_so(
    kamailio: Kamailio, tmp_path: Path, header: bytes
) -> None:
    (tmp_path / "policy.toml").write_text("[limits.other]\nper_minute = 1\n")
    guard = handler(kamailio)
    for number in range(3):
        kamailio.raw = latin(request("OPTIONS", call_id=f"l{number}", branch=f"z9hG4bKl{number}"), header)
        guard.sipsieve_message(None, WHERE)
    assert [code for code, _ in kamailio.sent] == [503, 503]
    assert kamailio.added and all(text.startswith("Retry-After: ") for text in kamailio.added)
    assert [one["event"]["action"] for one in records(tmp_path)] == ["allow", "reject", "reject"]
    assert not [text for text in kamailio.said if "Error" in text]


@pytest.mark.parametrize("header", [b"From", b"To", b"Via", b"Call-ID", b"CSeq"])
def test_an_attack_beside_a_byte_that_is_not_utf8_is_on_record_and_answered(
    kamailio: Kamailio, tmp_path: Path, header: bytes
) -> None:
    guard = handler(kamailio)
    raw = request("OPTIONS", headers=("Subject: x' UNION SELECT password FROM users --",))
    kamailio.raw = raw.replace(b"\r\n" + header + b": ", b"\r\n" + header + b": \xff", 1)
    assert guard.sipsieve_message(None, WHERE) == 2
    assert [one["event"]["action"] for one in records(tmp_path)] in (["reject"], ["drop"])
    assert not [text for text in kamailio.said if "Error" in text]


SCRUBBED = b"SIP/2.0 200 OK\r\n" + b"\r\n".join(
    line for line in invite().split(b"\r\n")[1:8]
) + b"\r\nServer: x' UNION SELECT 1 --%s\r\nContent-Length: 0\r\n\r\n"  # fmt: skip


@pytest.mark.parametrize("beside", [b"", b"\xff"])
@pytest.mark.parametrize("works", [True, False])
def test_a_reply_whose_new_bytes_can_not_be_put_in_place_is_on_record(
    kamailio: Kamailio, tmp_path: Path, beside: bytes, works: bool
) -> None:
    guard = handler(kamailio)
    kamailio.raw, kamailio.taken = SCRUBBED % beside, 1 if works else -1
    if beside:
        kamailio.raw = kamailio.raw.replace(b"Server:", b"X-Note: \xff\r\nServer:")
    code = guard.sipsieve_message(None, WHERE)
    assert code == (3 if beside else 1)
    if code == 3:
        # sipsieve.cfg puts them in place, or tries to.
        if works:
            kamailio.raw = base64.b64decode(kamailio.tables["pv"]["$var(sipsieve_new)"])
        assert guard.sipsieve_replaced(None, WHERE) == 1
    found = records(tmp_path)
    assert [one["event"]["action"] for one in found] == (["scrub"] if works else ["allow"])
    assert works or found[0]["event"]["reason"].endswith("could not be scrubbed")


def test_a_scrub_that_nobody_asked_about_again_is_on_record_with_the_next_message(
    kamailio: Kamailio, tmp_path: Path
) -> None:
    guard = handler(kamailio)
    kamailio.raw = (SCRUBBED % b"").replace(b"Server:", b"X-Note: \xff\r\nServer:")
    assert guard.sipsieve_message(None, WHERE) == 3
    kamailio.raw = invite()
    assert guard.sipsieve_message(None, WHERE) == 1
    assert [one["event"]["action"] for one in records(tmp_path)] == ["allow", "allow"]
    assert records(tmp_path)[0]["sip"]["type"] == "response"


def test_an_error_that_repeats_is_said_once_a_minute(kamailio: Kamailio) -> None:
    guard = handler(kamailio)
    kamailio.fail = True
    for _ in range(50):
        guard.sipsieve_message(None, WHERE)
    assert 0 < len([text for text in kamailio.said if "RuntimeError" in text]) <= 3


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
