"""Each form of a list gives its entries, and nothing that somebody may write there does harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipsieve import _core
from sipsieve.abuse import feed_formats
from sipsieve.config.lists import Feed
from sipsieve.config.policy import PolicyError, loads

NOW = 1_000_000.0


def read(content: bytes, form: str, column: str = "") -> list[str]:
    feed = Feed(name="a", source="/a", format=form, column=column)  # type: ignore[arg-type]
    return feed_formats.lines(content, feed, NOW).splitlines()


def test_plain_lists_may_have_comments() -> None:
    assert read(b"\xef\xbb\xbf192.0.2.1\r\n# no\n; no\n198.51.100.0/24 ; SBL1\n\n203.0.113.1,x\n", "plain") == [
        "192.0.2.1", "198.51.100.0/24", "203.0.113.1",
    ]  # fmt: skip


def test_a_column_has_a_name_or_number_or_is_found() -> None:
    content = b'# made today\nseen,IP\n"a,b",192.0.2.1\n'
    assert read(content, "csv") == read(content, "csv", "ip") == ["192.0.2.1"]
    assert read(b"1,192.0.2.1\n", "csv", "2") == ["192.0.2.1"]
    with pytest.raises(ValueError, match="no column 'net'"):
        read(content, "csv", "net")


def test_json_has_texts_or_objects_in_a_list_anywhere_on_top() -> None:
    for content in (["192.0.2.1"], {"prefixes": [{"ip_prefix": "192.0.2.1"}]}, [{"x": 1, "cidr": "192.0.2.1"}]):
        assert read(json.dumps(content).encode(), "json") == ["192.0.2.1"]
    assert read(b'[{"where": "192.0.2.1"}]', "json", "where") == ["192.0.2.1"]
    for broken in (b"{", b"3", b"{}", b"[" * 100_000):
        with pytest.raises(ValueError, match="it "):
            read(broken, "json")


def test_apiban_says_by_which_number_to_go_on() -> None:
    page = b'{"ipaddress": ["192.0.2.1", "192.0.2.2"], "ID": "987654321"}'
    assert read(page, "apiban") == ["192.0.2.1", "192.0.2.2"]
    assert feed_formats.apiban_next(page) == "987654321"
    assert feed_formats.apiban_next(b'{"ipaddress": ["no new bans"], "ID": "none"}') == ""
    assert feed_formats.apiban_next(b'{"ID": "../../other"}') == ""


def test_decisions_of_crowdsec_last_as_long_as_they_say() -> None:
    decision = {"type": "ban", "scope": "Ip", "value": "192.0.2.1", "duration": "1h2m3.5s"}
    more = [decision, decision | {"type": "captcha"}, decision | {"scope": "Country", "value": "XX"}]
    for content in (more, {"new": more, "deleted": [decision]}):
        assert read(json.dumps(content).encode(), "crowdsec") == [f"192.0.2.1 {int(NOW + 3723.5)}"]
    for over in ("-5s", "", "soon", "1h nonsense"):
        line = read(json.dumps([decision | {"duration": over}]).encode(), "crowdsec")[0]
        assert _core.read_feed(line, False, int(NOW))[5] == 1
    assert read(b"null", "crowdsec") == []


@given(st.binary(max_size=400), st.sampled_from(["plain", "csv", "json", "apiban", "crowdsec"]))
def test_whatever_stands_there_is_lines_of_ascii_or_an_error_that_says_so(content: bytes, form: str) -> None:
    try:
        made = read(content, form)
    except ValueError:
        return
    assert all(line.isascii() and len(line) <= 200 for line in made)
    report = _core.read_feed("\n".join(made), False, int(NOW))
    assert report[0] + report[1] <= len(made)


def test_a_policy_names_what_is_wrong_with_a_list() -> None:
    one = '[[feed]]\nname = "a"\nsource = "/a"\n'
    for text, said in (
        (one + one, r"feed\[1\].name: 'a' stands in feed\[0\] already"),
        (one.replace('"/a"', '"ftp://x"'), r"feed\[0\].source"),
        (one.replace('"a"', '"../a"'), r"feed\[0\].name"),
        (one + 'action = "ban"', r'feed\[0\].action: .*"drop" or "reject" or "note"'),
        ("".join(one.replace('"a"', f'"a{n}"') for n in range(17)), "up to 16"),
    ):
        with pytest.raises(PolicyError, match=said):
            loads(text)
    assert _core.MOST_FEEDS == 16
