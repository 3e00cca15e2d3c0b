"""The replayer: messages, scenario folders, targets, judgement, and what a person reads of it."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "lab"))

from replayer import dialog, judge, loopback, player, render, scenario, show, target  # noqa: E402


def test_a_message_gets_crlf_its_values_and_its_length() -> None:
    text = b"INVITE sip:{{value}} SIP/2.0\nContent-Length: {{length}}\n\nabc\n"
    assert render.render(text, {"value": "bob"}) == b"INVITE sip:bob SIP/2.0\r\nContent-Length: 5\r\n\r\nabc\r\n"


def test_any_byte_can_be_written() -> None:
    assert render.render(b"X: {{hex:ff000d0a}}{{repeat:ab:3}}", {}) == b"X: \xff\x00\r\nababab"


@pytest.mark.parametrize("text", [b"{{nothing}}", b"{{hex:zz}}", b"{{repeat:A:x}}", b"{{repeat:A:99999999}}"])
def test_a_placeholder_that_means_nothing_is_named(text: bytes) -> None:
    with pytest.raises(render.TemplateError, match=text.decode().strip("{}")):
        render.render(text, {"value": "x"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.66.0.3", "::1", "198.18.66.9", "198.18.77.1", "198.18.0.10"])
def test_own_addresses_may_be_attacked(host: str) -> None:
    target.check(host)


@pytest.mark.parametrize(
    ("host", "foreign", "consent"),
    [
        ("192.0.2.9", "", ""),
        ("192.0.2.9", "192.0.2.9", ""),
        ("192.0.2.9", "192.0.2.9", "  "),
        ("192.0.2.9", "192.0.2.8", "me, today"),
        ("198.18.1.1", "", ""),
        ("203.0.113.9", "", ""),
        ("0.0.0.0", "", ""),
        ("::ffff:192.0.2.9", "", ""),
        ("sip.example.com", "sip.example.com", "me"),
    ],
)
def test_a_foreign_target_is_refused_before_anything_is_sent(host: str, foreign: str, consent: str) -> None:
    job = player.Job(host, 5060, "127.0.0.1", messages=["x"], values=[{}], foreign=foreign, consent=consent)
    with pytest.raises(target.ForeignTargetError, match=r"--owner-consents|IP address"):
        player.play(job, Path("/nonexistent"))


def test_a_foreign_target_with_its_owners_consent_is_let_through() -> None:
    target.check("192.0.2.9", "192.0.2.9", "the owner, in writing")


_MINIMAL = 'title = "t"\nkind = "attack"\n[sources]\na = "internet.1"\n[[step]]\nsource = "a"\nsend = ["m.sip"]\n'


def _folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "some"
    (folder / "messages").mkdir(parents=True)
    (folder / "README.md").write_text("# x\n")
    (folder / "messages" / "m.sip").write_text("OPTIONS sip:{{value}} SIP/2.0\n\n")
    (folder / "words").write_text("x\ny\n")
    (folder / "expect.toml").write_text(text)
    return folder


def test_a_step_becomes_a_message_for_each_line_and_repetition(tmp_path: Path) -> None:
    loaded = scenario.load(_folder(tmp_path, _MINIMAL + 'each = "words"\ncount = 2\nports = 3\n'))
    job = scenario.job(loaded, loaded.scenario.step[0], {"a": "127.66.0.1"}, "127.0.0.1", 5060, "127.0.0.3:1")
    assert [values["value"] for values in job.values] == ["x", "y", "x", "y"]
    assert len({values["call_id"] for values in job.values}) == 4
    assert (job.source, job.spread) == ("127.66.0.1", 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_MINIMAL.replace('kind = "attack"', ""), "kind"),
        (_MINIMAL + "typo = 1\n", "typo"),
        (_MINIMAL.replace("m.sip", "n.sip"), "n.sip: no such file"),
        (_MINIMAL.replace('source = "a"', 'source = "b"'), "source 'b' is not in"),
        (_MINIMAL.replace("internet.1", "internet"), "sources"),
        (_MINIMAL + 'tool = ["svmap"]\n', "one of send, sipp and tool"),
        (_MINIMAL + '[[goal]]\nsay = "x"\nanswered = 2\n', "steps 1 to 1"),
        (_MINIMAL + '[[goal]]\nsay = "x"\n', "write one of"),
        ("title = ", "not valid TOML"),
    ],
)
def test_a_wrong_scenario_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(scenario.ScenarioError, match=said) as raised:
        scenario.load(_folder(tmp_path, text))
    assert "expect.toml" in str(raised.value)


def test_every_scenario_of_the_lab_says_goal_what_happens_and_mitigation() -> None:
    loaded = scenario.load_all(ROOT / "lab" / "scenarios")
    for entry in loaded:
        text = (entry.folder / "README.md").read_text()
        for part in ("**Goal.**", "**What happens.**", "**Mitigation.**"):
            assert part in text, f"{entry.name}: {part}"
        addresses = loopback.Loopback(Path("x")).addresses(entry)
        for step in entry.scenario.step:
            job = scenario.job(entry, step, addresses, "127.0.0.1", 5060, "127.0.0.3:5070")
            for template, values in zip(job.messages, job.values, strict=True):
                render.render(
                    template.encode("latin-1"),
                    {"source": job.source, "source_port": "1", "transport": "UDP", **values},
                )


def _record(**changes: object) -> dict[str, object]:
    return {
        "source": {"ip": "127.66.0.1", "port": 1},
        "event": {"kind": "event", "action": "reject"},
        "rule": {"id": ["sql-x"]},
        "sip": {"method": "INVITE"},
        "findings": [{"rule": "sql-x", "family": "sql", "field": "from.display_name"}],
        **changes,
    }


def _report(
    tmp_path: Path, text: str, outcome: player.Outcome, records: list[dict[str, object]], where: str = "edge"
) -> judge.Report:
    loaded = scenario.load(_folder(tmp_path, _MINIMAL + text))
    return judge.judge(loaded, where, [outcome], records, {"a": "127.66.0.1"}, lambda goal, variant: None)


def test_expectations_that_hold_and_that_do_not(tmp_path: Path) -> None:
    text = """answers = [403]
plain = [200]
[[decision]]
source = "a"
family = "sql"
action = "reject|drop"
[[goal]]
say = "it was answered"
answered = 1
"""
    held = _report(tmp_path / "1", text, player.Outcome([403]), [_record()])
    assert held.held
    assert held.reached == {}
    wrong_answer = _report(tmp_path / "2", text, player.Outcome([200]), [_record()])
    assert len(wrong_answer.broken) == 2, "the answer, and the goal that was reached"
    no_record = _report(tmp_path / "3", text, player.Outcome([403]), [_record(source={"ip": "127.66.0.2"})])
    assert len(no_record.broken) == 1
    unprotected = _report(tmp_path / "4", text, player.Outcome([200]), [], "edge-plain")
    assert unprotected.held
    assert unprotected.reached == {"": ["it was answered"]}
    not_vulnerable = _report(tmp_path / "5", text, player.Outcome([0]), [], "edge-plain")
    assert len(not_vulnerable.broken) == 2, "an attack that does nothing without the guard shows nothing"


def test_bans_never_and_counts(tmp_path: Path) -> None:
    text = '[[ban]]\nsource = "a"\nrule = "limit-x"\n[[never]]\nsource = "a"\nrule = "sql-y"\n[[decision]]\nrule = "sql-x"\ncount = 1\n'
    banned = _record(ban={"source": "127.66.0.1", "rule": "limit-x"})
    assert _report(tmp_path / "1", text, player.Outcome([403]), [banned]).held
    assert len(_report(tmp_path / "2", text, player.Outcome([403]), [_record()]).broken) == 1
    assert len(_report(tmp_path / "3", text, player.Outcome([403]), [banned, banned]).broken) == 1
    assert (
        len(_report(tmp_path / "4", text, player.Outcome([403]), [banned, _record(rule={"id": ["sql-y"]})]).broken) == 1
    )


def test_a_challenge_is_answered_as_rfc_2617_says() -> None:
    sent = b"REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:Mufasa@x>;tag=1\r\nCSeq: 1 REGISTER\r\n\r\n"
    challenge = b'SIP/2.0 401 U\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\n\r\n'
    again = dialog.with_credentials(sent, challenge, "p")
    # md5(md5("Mufasa:r:p"):"n":md5("REGISTER:sip:x")), worked out with md5sum
    assert b'response="6f1d5a2af70511264aecde944d71075b"' in again
    assert b"CSeq: 2 REGISTER" in again
    assert b"branch=z9hG4bKa\r\n" not in again
    assert re.search(rb"branch=z9hG4bK[0-9a-f]{12}\r\n", again)


def test_hostile_text_moves_no_cursor_in_the_table() -> None:
    out = io.StringIO()
    shown = show.Decisions(out)
    shown.record(_record(sip={"method": "INVITE\x1b[2J", "field": "from", "excerpt": "a\x1b]0;x\x07\u202eb\r\nc"}))
    shown.flush()
    text = out.getvalue()
    assert text.count("\n") == 1
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert "\u202e" not in text


def test_rows_that_follow_each_other_become_one_and_a_count() -> None:
    out = io.StringIO()
    shown = show.Decisions(out)
    for _ in range(5):
        shown.record(_record())
    shown.flush()
    assert out.getvalue().splitlines()[1].strip() == "… and 4 more like it"


def test_the_plain_edge_is_the_reference_without_the_guard() -> None:
    config = (ROOT / "kamailio.cfg").read_text()
    plain = loopback.without_guard(config)
    assert 'include_file "kemi/sipsieve.cfg"' not in plain
    assert len(plain.splitlines()) == len(config.splitlines()) - 1
