"""The compiled fast path decides, counts and records as Python does; and its parts do what their Python likes do."""

from __future__ import annotations

import collections
import importlib
import json
import os
import random
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "detection"))
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "bench"))

from ordinary import ORDINARY_MESSAGES
from test_kemi import Kamailio

from harness import CACHE, KEMI, SDP, invite, request
from sipsieve import native, ruleset, shape
from sipsieve.known import KnownShapes
from traffic import message as bench_message

WORDS = ("select", "union", "is", "order", "bash", "0x41", "config.items", "a--", "xp_cmd", "b64", "..", "@@", "passwd")


def test_the_native_module_is_built_and_used() -> None:
    assert native.module is not None, f"{native.why_not}; `make native` builds it"
    # test_native_sanitized.py runs this file with another build.
    assert os.environ.get("SIPSIEVE_NATIVE_BUILT", native.module.__file__) == native.module.__file__


# Known shapes


def tables() -> tuple[shape.Shapes, shape.Shapes]:
    """The same shapes, compiled and in Python."""
    rules = ruleset.load()
    compiled, python = shape.Shapes(rules), shape.Shapes(rules)
    python.table = KnownShapes(python._database.scan, python._whole.scan, shape.MAX_SHAPES, shape.MAX_LAYOUTS)
    return compiled, python


COMPILED, PYTHON = tables()
BASES = [*ORDINARY_MESSAGES, *(bench_message(kind, 5060, 1) for kind in ("register", "invite", "reply"))]
for _raw in BASES:
    COMPILED.learn(_raw, 0.0)
    PYTHON.learn(_raw, 0.0)


@settings(max_examples=1500, deadline=None)
@given(base=st.sampled_from(BASES), data=st.data())
def test_both_tables_know_the_same_messages(base: bytes, data: st.DataObject) -> None:
    changed = bytearray(base)
    for _ in range(data.draw(st.integers(0, 4))):
        filling = data.draw(st.sampled_from(WORDS) | st.text("abcdef0123456789XYZ.-_@+ ", max_size=9))
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + len(filling)] = filling.encode()[: len(changed) - at]
    raw = bytes(changed)
    assert COMPILED.find(raw) == PYTHON.find(raw)


def test_words_in_identifiers_are_seen_by_both() -> None:
    seen = 0
    for base in BASES:
        for word in WORDS:
            raw = base.replace(b"00000001", word.encode().ljust(8, b"0")[:8])
            assert COMPILED.find(raw) == PYTHON.find(raw)
            seen += COMPILED.find(raw) is None
    assert seen > 20


@given(texts=st.lists(st.sampled_from([r"\bis\b", "0x", r"a\.b", r"\-\-$", "select", r"xp_\b"]), min_size=1))
def test_a_text_s_words_are_in_whatever_it_matches(texts: list[str]) -> None:
    words = shape._literals(texts)
    assert sum(map(len, words)) == len(set(texts))
    assert shape._literals([*texts, "a[bc]"]) == ([], [], [])


def test_a_rule_that_is_no_word_is_still_looked_for() -> None:
    """An operator's own rule may be any pattern: then every value is scanned."""
    import dataclasses

    rules = ruleset.load()
    own = dataclasses.replace(rules.rules[0], id="own", pattern="zz[0-9]+zz", prefilter="zz[0-9]+zz")
    shapes = shape.Shapes(ruleset.Ruleset([*rules.rules, own]))
    base = bench_message("register", 5060, 1)
    shapes.learn(base, 0.0)
    assert shapes.find(base.replace(b"00000001", b"0000000a")) is not None
    assert shapes.find(base.replace(b"00000001", b"0zz123zz")) is None


@pytest.mark.parametrize("compiled", [True, False])
def test_a_full_table_makes_room_and_drops_the_oldest_layout(compiled: bool) -> None:
    base = bench_message("register", 5060, 1)
    small = (
        native.module.KnownShapes(lambda *_: None, lambda *_: None, [], [], [], native.SECRET, 4, 2)
        if compiled
        else KnownShapes(lambda *_: None, lambda *_: None, 4, 2)
    )
    spans = ([(0, 10), (12, len(base))], [(10, 12)], [(9, 13)])
    for number in range(4):
        raw = base[:10] + b"11" + base[12:-1] + b"%d" % number
        small.learn(raw, *spans, False, number, None)
        assert small.find(raw) == number
        assert len(small) == number + 1
    for number in (8, 9):
        small.learn(base[:10] + b"11" + base[12:-1] + b"x", *spans, False, number, None)
        assert small.find(base[:10] + b"11" + base[12:-1] + b"x") == number
        assert len(small) == 4, "one made room; the same shape again takes its own place"
    small.forget()
    for start in (14, 16):
        other = ([(0, start), (start + 2, len(base))], [(start, start + 2)], [(start, start + 2)])
        raw = base[:start] + b"22" + base[start + 2 :]
        small.learn(raw, *other, False, start, None)
        assert small.find(raw) == start
    assert len(small) == 2, "of three layouts of one length the oldest went"
    small.forget()
    assert len(small) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (b"x" * 70000, [(0, 1)], [(1, 2)], [(1, 2)], False, None, None),
        (b"x" * 10, [(0, 11)], [(1, 2)], [(1, 2)], False, None, None),
        (b"x" * 10, [(5, 4)], [(1, 2)], [(1, 2)], False, None, None),
        (b"x" * 10, [(-1, 4)], [(1, 2)], [(1, 2)], False, None, None),
        (b"x" * 10, [], [(1, 2)], [(1, 2)], False, None, None),
        (b"x" * 10, [(0, 1)], [(1, 2)], [[1, 2]], False, None, None),
        (b"x" * 10, [(0, 1)], [(1, 2)], [(1, 2)], False, None, (1, 2)),
        (b"x" * 10, [(0, 1)], [(1, 2)], [(1, 2)], False, None, (0, 0, 0, 0, 0, 0, *[(0, 0)] * 5, ((0, 99),))),
        (b"x" * 10, [(0, 1)], [(1, 2)], [(1, 2)], False, None, (99, 0, 0, 0, 0, 0, *[(0, 0)] * 5, ())),
        (b"x" * 10, [(0, 1)], [(1, 2)], [(1, 2)], False, None, (0, 99, 0, 0, 0, 0, *[(0, 0)] * 5, ())),
        ("text", [(0, 1)], [(1, 2)], [(1, 2)], False, None, None),
    ],
)
def test_spans_outside_of_the_message_are_refused(arguments: tuple[Any, ...]) -> None:
    table = native.module.KnownShapes(lambda *_: None, lambda *_: None, [], [], [], native.SECRET, 4, 2)
    with pytest.raises((ValueError, TypeError)):
        table.learn(*arguments)
    assert len(table) == 0


@given(raw=st.binary(min_size=1, max_size=300), at=st.integers(0, 299), bit=st.integers(0, 7))
def test_a_message_that_differs_is_another(raw: bytes, at: int, bit: int) -> None:
    changed = bytearray(raw)
    changed[at % len(raw)] ^= 1 << bit
    assert native.identity(raw) == native.identity(bytes(bytearray(raw)))
    assert native.identity(raw) != native.identity(bytes(changed))
    assert native.identity(raw) != native.identity(raw + b"\0")


# The whole way of a message, against Python's

#: Limits that the streams below go over.
POLICY = """
[log]
allow = "{allow}"
[limits.invite]
per_minute = 40
burst = 10
[limits.dialog]
per_minute = 30
burst = 5
[network]
trusted = ["198.51.100.0/24"]
"""

PLACES = [
    "udp|192.0.2.1|5060", "udp|192.0.2.1|5062", "udp|192.0.2.2|5060", "tcp|192.0.2.3|40000", "udp|198.51.100.7|5060",
    "UDP|2001:db8:0:0:0:0:0:1|5060", "tls|192.0.2.9|1",
]  # fmt: skip


def answer(number: int, code: str = "200 OK", method: str = "INVITE") -> bytes:
    """A reply in dialog `number`."""
    return (
        f"SIP/2.0 {code}\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa{number}\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKb{number}\r\nFrom: <sip:alice@example.com>;tag=f{number}\r\n"
        f"To: <sip:bob@example.com>;tag=t{number}\r\nCall-ID: call-{number}\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:bob@192.0.2.8>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def within(number: int, method: str = "BYE", body: bytes = b"") -> bytes:
    """A request in dialog `number`."""
    return request(
        method, from_=f"<sip:bob@example.com>;tag=t{number}", to=f"<sip:alice@example.com>;tag=f{number}",
        call_id=f"call-{number}", branch=f"z9hG4bKc{number}{method}", body=body,
        headers=("Content-Type: application/sdp",) if body else (),
    )  # fmt: skip


def credentials(number: int) -> bytes:
    return request(
        "REGISTER", call_id=f"reg-{number}", branch=f"z9hG4bKr{number}", to="<sip:alice@example.com>",
        from_=f"<sip:alice@example.com>;tag=r{number}",
        headers=(
            f'Authorization: Digest username="alice", realm="r", nonce="n{number:04d}", uri="sip:r", response="{number:032x}"',
            "Contact: <sip:alice@192.0.2.1>",
        ),
    )  # fmt: skip


def challenge(number: int) -> bytes:
    text = answer(number, "401 Unauthorized", "REGISTER").replace(b"call-%d" % number, b"reg-%d" % number)
    return text.replace(
        b"Contact: <sip:bob@192.0.2.8>", b'WWW-Authenticate: Digest realm="r", nonce="n%04d"' % (number + 1)
    )


def stream(seed: int) -> Iterator[tuple[bytes, str]]:
    """Calls, registrations, retransmissions, attacks and floods, mixed."""
    chance = random.Random(seed)
    for number in range(400):
        where = chance.choice(PLACES)
        unique = f"{seed}x{number:04d}"
        made: list[bytes] = [
            invite(call_id=unique, branch=f"z9hG4bK{unique}", from_=f'"Alice" <sip:alice@example.com>;tag={unique}'),
            credentials(number % 200),
            challenge(number % 200),
            answer(number % 10),
            answer(number % 10, "180 Ringing"),
            answer(number % 10, "486 Busy Here"),
            within(number % 10),
            within(number % 10, "INVITE", SDP),
            request("ACK", call_id=unique, branch=f"z9hG4bK{unique}"),
            request("CANCEL", call_id=unique, branch=f"z9hG4bK{unique}"),
            request("OPTIONS", call_id=unique, branch=f"z9hG4bK{unique}", headers=("User-Agent: Name = x \\ y",)),
            request("MESSAGE", call_id=unique, branch=f"z9hG4bK{unique}", body=b"hello", headers=("Content-Type: text/plain",)),
            bench_message("register", 5060, number),
            bench_message("invite", 5060, number),
            bench_message("invite", 5060, number).replace(b"s=call", chance.choice((b"s=`id`", b"s=c1ll", b"s=or 1"))),
            bench_message("reply", 5060, number),
            chance.choice(BASES),
            invite(call_id=f"{unique}select", branch=f"z9hG4bK{unique}", from_='"$(id)" <sip:a@example.com>;tag=1'),
            request("REGISTER", call_id=unique, branch=f"z9hG4bKunion{number}"),
            b"\xff" + unique.encode(),
            invite(from_='"J\xfcrgen" <sip:a@example.com>;tag=1', call_id=unique, branch=f"z9hG4bK{unique}"),
        ]  # fmt: skip
        raw = chance.choice(made)
        for _ in range(chance.choice((1, 1, 1, 2, 15))):
            yield raw, where
        if number % 10 == 0:
            yield from (
                (made[0].replace(unique.encode(), f"{unique}y{more:02d}".encode()), where) for more in range(12)
            )


class Outcome:
    """What a guard made of a stream."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool, allow: str, seed: int) -> None:
        folder.mkdir()
        made = Kamailio()
        made.is_myself = lambda key: 0
        log = folder / "decisions.jsonl"
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "KSR", made)
            patch.setenv("SIPSIEVE_LOG", str(log))
            patch.setenv("SIPSIEVE_POLICY", str(folder / "policy.toml"))
            patch.setenv("SIPSIEVE_CACHE", str(CACHE))
            patch.syspath_prepend(str(KEMI))
            patch.delitem(sys.modules, "sipsieve_kemi", raising=False)
            if not compiled:
                patch.setattr(native, "module", None)
            (folder / "policy.toml").write_text(POLICY.format(allow=allow))
            guard = importlib.import_module("sipsieve_kemi").mod_init()
            guard.child_init(1)
            assert (guard._fast is not None) == compiled
            # How many records of one kind a second has room for depends on how fast it runs.
            guard._accounts.folding = SimpleNamespace(writes=lambda *_: True)
            self.results = []
            for raw, where in stream(seed):
                made.raw = raw
                self.results.append(guard.sipsieve_message(None, where))
            self.fast = guard._fast.counts() if compiled else (0, 0)
            self.sent = made.sent
            records = [json.loads(line) for line in log.read_bytes().splitlines()]
            events = [record for record in records if record["event"]["kind"] == "event"]
            self.ids = [record["event"]["id"] for record in events]
            self.records = [plain(record) for record in events]
            entries = guard._shared.ledger.drain(time.time(), everything=True)
            self.tally = collections.Counter()
            for entry in entries:
                self.tally[entry.ip, entry.method, entry.verdict, entry.transport, entry.rule] += entry.messages
            self.standing = {
                where: guard._engine.standing(where.split("|")[1], time.monotonic(), guard._counters)
                for where in PLACES
            }
            self.dialogs = sorted(word for word in guard._shared.answered.words.tolist()[::2] if word)
            self.marks = sorted(
                (one, value) for one, _, value in struct.iter_unpack("<QII", bytes(guard._shared.marks.buffer)) if value
            )
            sys.modules.pop("sipsieve_kemi", None)


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what no two runs share."""
    record["event"].pop("id")
    record.pop("@timestamp")
    return record


def in_one_window(run: Callable[[], tuple[Outcome, Outcome]]) -> tuple[Outcome, Outcome]:
    """Both runs within one minute of the clock that windows are cut from."""
    for _ in range(3):
        began = int(time.monotonic()) // 60
        outcomes = run()
        if int(time.monotonic()) // 60 == began:
            return outcomes
    raise AssertionError("two runs do not fit into a minute")


@pytest.mark.parametrize("allow", ["summary", "each", "sample:3"])
@pytest.mark.parametrize("seed", [1, 2])
def test_compiled_or_not_all_is_decided_counted_and_recorded_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allow: str, seed: int
) -> None:
    number = iter(range(100))

    def both() -> tuple[Outcome, Outcome]:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        return (
            Outcome(folder / "compiled", monkeypatch, True, allow, seed),
            Outcome(folder / "python", monkeypatch, False, allow, seed),
        )

    compiled, python = in_one_window(both)
    assert compiled.results == python.results
    assert compiled.sent == python.sent
    assert compiled.standing == python.standing
    assert compiled.dialogs == python.dialogs
    assert compiled.marks == python.marks
    assert len(set(compiled.ids)) == len(compiled.ids)
    if allow.startswith("sample"):
        # Which ones are sampled differs; that none is lost does not.
        total = len(compiled.records) + sum(compiled.tally.values())
        assert total == len(python.records) + sum(python.tally.values()) == len(compiled.results)
    else:
        assert compiled.records == python.records
        assert compiled.tally == python.tally
    # The streams hold much that is odd; still most of what is ordinary went the short way.
    passed, looked = compiled.fast
    assert passed > looked / 2 > 50


def test_without_it_everything_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(tmp_path / "python", monkeypatch, False, "each", 3)
    assert {1, 2} == set(outcome.results)


def test_a_module_of_another_edition_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.module, "EDITION", native.EDITION + 1)
    assert native._find()[0] is None
    assert "edition" in native._find()[1]
    monkeypatch.setenv("SIPSIEVE_NATIVE", "off")
    assert native._find() == (None, "SIPSIEVE_NATIVE=off")
