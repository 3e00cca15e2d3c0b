"""A record is one line of ASCII JSON that reads back as it was, whichever way it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipsieve.decision_log.record import line_of, timestamp

values = st.recursive(
    st.text()
    | st.integers(-(2**53), 2**53)
    | st.booleans()
    | st.none()
    | st.text('\x00\x1f\x7f"\\/\n\r\u2028é', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
)


@given(record=st.dictionaries(st.text(max_size=8), values, max_size=6))
def test_a_record_is_one_printable_line_that_reads_back(record: dict[str, object]) -> None:
    line = line_of(record)
    assert line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert json.loads(line) == record


def test_a_lone_surrogate_is_escaped() -> None:
    assert json.loads(line_of({"a": "\ud800"})) == {"a": "\ud800"}


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1700000000.25, "2023-11-14T22:13:20.250000Z"),
        (1700000000.9999999, "2023-11-14T22:13:21.000000Z"),
    ],
)
def test_times_are_utc_to_the_microsecond(now: float, text: str) -> None:
    assert timestamp(now) == text
