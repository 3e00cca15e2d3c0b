"""Whatever arrives, a decision comes back in bounded time; the same message in another form gets the same one."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from disguise import PLAIN
from embed import message, quoted
from evaluate import decide, engine
from ordinary import ORDINARY_MESSAGES

from sipsieve.model import Decision, Kind, Verdict

GUARD = engine()
#: Seconds of CPU: fifty times what the worst message costs, so that only growth without bound fails.
BOUND = 0.1

pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\r\n", b": ", b"<", b">", b'"', b"\\", b";", b",", b"=", b"@", b"%", b"sip:", b"/*", b"\x00", b"\xff", b"&#"]),
    st.sampled_from(list(PLAIN.values())),
)  # fmt: skip


def bounded(raw: bytes) -> Decision:
    # This thread's time, without a collection of what other tests left: neither is the decision's.
    gc.disable()
    try:
        begun = time.thread_time()
        decision = decide(GUARD, raw)
        took = time.thread_time() - begun
    finally:
        gc.enable()
    assert took < BOUND
    return decision


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=4000))
def test_any_bytes_get_a_decision(raw: bytes) -> None:
    assert isinstance(bounded(raw), Decision)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ORDINARY_MESSAGES), st.lists(st.tuples(st.floats(0, 1), pieces), max_size=8))
def test_any_broken_message_gets_a_decision(raw: bytes, insertions: list[tuple[float, bytes]]) -> None:
    for where, piece in insertions:
        at = int(where * len(raw))
        raw = raw[:at] + piece + raw[at:]
    decision = bounded(raw)
    # What a reply echoes of its request can't be taken out of it, and it is never dropped.
    if decision.verdict is Verdict.SCRUB and decision.kind is Kind.REQUEST:
        assert decision.replacement is not None
        # What was taken out stays out, and nothing else is found in what is left.
        assert bounded(decision.replacement).verdict is Verdict.ALLOW


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(PLAIN)), st.integers(0, 5))
def test_compact_folded_and_reordered_forms_get_the_same_verdict(name: str, turn: int) -> None:
    raw = message(from_=b'"' + quoted(PLAIN[name]) + b'" <sip:a@example.com>;tag=1')
    expected = decide(GUARD, raw).verdict
    assert expected is not Verdict.ALLOW
    compact = raw.replace(b"\r\nFrom:", b"\r\nf:").replace(b"\r\nVia:", b"\r\nv:").replace(b"\r\nContact:", b"\r\nm:")
    folded = raw.replace(b"\r\nFrom: ", b"\r\nFrom:\r\n ")
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    turned = b"\r\n".join([first, *headers[turn:], *headers[:turn]]) + b"\r\n\r\n" + body
    for form in (compact, folded, turned):
        assert decide(GUARD, form).verdict is expected
