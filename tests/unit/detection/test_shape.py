"""Parts with a tight grammar are judged by it: what it can't hold is refused and named, what is legal and strange passes."""

from __future__ import annotations

import pytest

from harness import request
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Decision, Source, Verdict

SOURCE = Source("192.0.2.4", 5060, "udp", "192.0.2.4")
GUARD = Engine(policy.loads("[limits]\nenabled = false\n"), ruleset.load())


class NoCounters:
    """Counters that forget."""

    def knows_dialog(self, identity: int) -> bool:
        return False


def decide(raw: bytes) -> Decision:
    return GUARD.decide(raw, SOURCE, 0.0, NoCounters())  # type: ignore[arg-type]


def places(uri: str) -> dict[str, bytes]:
    """A message with a URI in each place where routing or accounting meets it."""
    plain = request("OPTIONS")
    return {
        "request_uri": plain.replace(b"sip:bob@example.com SIP", uri.encode() + b" SIP", 1),
        "from": plain.replace(b"sip:alice@example.com", uri.encode(), 1),
        "to": plain.replace(b"<sip:bob@example.com>", f"<{uri}>".encode(), 1),
        "contact": request("OPTIONS", headers=(f"Contact: <{uri}>",)),
        "route": request("OPTIONS", headers=(f"Route: <{uri};lr>",)),
    }


@pytest.mark.parametrize(
    "host",
    [
        "document.",
        "window.",
        "pbx.dev.env.",
        "web.config.example.com",
        "select.example.com",
        "bash.example.org",
        "my_pbx",
        "[2001:db8::9]:5060",
    ],
)
def test_what_a_host_is_called_is_no_attack(host: str) -> None:
    for place, raw in places(f"sip:alice@{host}").items():
        decision = decide(raw)
        assert decision.verdict is Verdict.ALLOW, (place, decision.reason)
        assert not decision.findings


@pytest.mark.parametrize(
    "user",
    [
        "+49-30-1234#",
        "*72",
        "(030)123",
        "o'brien",
        "a%20b",
        "1;phone-context=+49",
        "a&b=c",
        "e,f?h/i;g=1",
        "-_.!~*'()",
        "m\u00fcller",
    ],
)
def test_legal_and_strange_users_pass(user: str) -> None:
    for place, raw in places(f"sip:{user}@example.com").items():
        decision = decide(raw)
        assert decision.verdict is Verdict.ALLOW, (place, decision.reason)


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("sip:a@h|id", "host-format"),
        ("sip:a@$(id)", "host-format"),
        ("sip:a@h:`id`", "port-format"),
        ("sip:`id`@h", "user-format"),
        ("sip:a:{b}@h", "user-format"),
        ("sip:a@h;transport=`id`", "parameter-format"),
        ("sip:x;touch pwn@h", "user-command"),
        ("sip:x;pkill%20kamailio@h", "user-command"),
        ("sip:x&touch%20pwn@h", "user-command"),
        ("sip:x;%7Btouch,pwn%7D@h", "user-command"),
        ("sip:x;/b[i]n/touc[h]%20pwn@h", "user-command"),
    ],
)  # fmt: skip
def test_what_a_grammar_can_not_hold_is_refused_and_named(uri: str, rule: str) -> None:
    for place, raw in places(uri).items():
        decision = decide(raw)
        assert decision.verdict in (Verdict.REJECT, Verdict.DROP), place
        assert rule in {finding.rule for finding in decision.findings}, (place, decision.findings)
        named = [finding for finding in decision.findings if finding.rule == rule]
        assert named[0].field.startswith(place)
        assert named[0].reason


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (";tag=", ";tag=$(id)", "tag-format"),
        ("branch=z9hG4bK", "branch=z9hG4bK|id|", "branch-format"),
        ("SIP/2.0/UDP ", "SIP/2.0/UDP|id ", "protocol-format"),
        ("CSeq: 1 OPTIONS", "CSeq: 1 OPTIONS;id", "cseq-format"),
    ],
)
def test_so_are_tags_branches_and_the_like(old: str, new: str, rule: str) -> None:
    raw = request("OPTIONS")
    assert old.encode() in raw
    assert rule in {finding.rule for finding in decide(raw.replace(old.encode(), new.encode(), 1)).findings}


@pytest.mark.parametrize(
    "uri",
    [
        "sip:`lynx%20http://192.0.2.66/x`@h",
        "sip:a@h;x'or'1'='1",
        "sip:a@h;`id`=1",
        "sip:x'/*@h;a=*/or/**/1=1--",
        "sip:x:'or'1'='1@h",
    ],
)  # fmt: skip
def test_names_of_parameters_and_values_that_come_apart_are_read_together(uri: str) -> None:
    for place, raw in places(uri).items():
        assert decide(raw).verdict in (Verdict.REJECT, Verdict.DROP), place


def test_names_of_digest_parameters_are_read() -> None:
    digest = 'Authorization: Digest username="a", realm="x", nonce="1", uri="sip:h", response="0", '
    assert decide(request("REGISTER", headers=(digest + "algorithm=MD5",))).verdict is Verdict.ALLOW
    for parameter in ("x'or'1'='1", "`id`=1"):
        assert decide(request("REGISTER", headers=(digest + parameter,))).verdict is Verdict.REJECT


def test_a_comment_from_a_name_into_the_uri_hides_nothing() -> None:
    raw = request("OPTIONS").replace(b"From: ", b'From: "x\' /*" ', 1).replace(b"sip:alice@", b"sip:*/or%201=1--@", 1)
    assert decide(raw).verdict is Verdict.REJECT


def test_long_names_are_refused_in_long_messages_too() -> None:
    # What is taken apart of one message is bounded; what is beyond it is measured all the same.
    for headers in (
        ("Contact: <sip:" + "a" * 7000 + "@h>",),
        ("Record-Route: <sip:192.0.2.9;lr>, " * 200 + "<sip:192.0.2.9;lr>", "Contact: <sip:" + "a" * 1100 + "@h>"),
    ):
        decision = decide(request("OPTIONS", headers=headers))
        assert "value-overlong" in {finding.rule for finding in decision.findings}, decision.findings
    assert (
        decide(request("OPTIONS", headers=("Record-Route: <sip:192.0.2.9;lr>, " * 200 + "<sip:a@b;lr>",))).verdict
        is Verdict.ALLOW
    )


def test_base64_is_read_where_only_a_word_says_that_it_is_there() -> None:
    encoded = "J3VuaW9uIHNlbGVjdCBoYTEgZnJvbSBzdWJzY3JpYmVyLS0"
    assert decide(request("OPTIONS", headers=(f"Subject: base64 {encoded}",))).findings
    assert not decide(request("OPTIONS", headers=(f"Subject: ticket {encoded}",))).findings
