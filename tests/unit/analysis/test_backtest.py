"""Policies tried on recorded traffic: the same policy decides the same, and another's changes are told as they are."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from harness import ROOT
from sipsieve.config import policy as policies
from sipsieve.detection import ruleset
from sipsieve_analysis.cli import main
from sipsieve_analysis.operate.recorded import as_kept
from sipsieve_analysis.tuning.backtest import Backtest
from sipsieve_analysis.tuning.clock import Clock
from sipsieve_analysis.tuning.condition import ConditionError, holds
from sipsieve_analysis.tuning.recording import Recording
from sipsieve_analysis.tuning.records import Known
from sipsieve_analysis.tuning.trials import Outcome, Trial, effect_of
from worlds import capture, intruders, people
from worlds.server import Server
from worlds.world import START, World

RULES = ruleset.load()

UPDATE = "UPDATE users SET password='x' WHERE username='admin'"

STRICT = """
[limits]
invite = { per_minute = 10, burst = 5 }
register = { per_minute = 6, burst = 2 }
targets = { per_minute = 5 }
dialog = { per_minute = 2 }
[bans]
seconds = 30
"""

REPLAY = '[log]\nrecord = "replay"\n'


def trial(toml: str, *, bans: bool = True) -> Trial:
    policy = policies.loads(toml)
    if not bans:
        policy = msgspec.structs.replace(policy, bans=msgspec.structs.replace(policy.bans, enabled=False))
    return Trial(policy, RULES, 2)


def limits(rules: tuple[str, ...]) -> set[str]:
    return {rule for rule in rules if rule.startswith("limit-")}


def differences(path: Path, tried: Trial, bans: bool = True) -> tuple[int, list[tuple[Known, Outcome]]]:
    """How many decisions of limits there are on record, and those messages that are decided otherwise."""
    decided, other = 0, []
    for batch in Recording([path], tried).batches():
        for known, made in zip(batch.known, batch.judged(tried), strict=True):
            decided += bool(limits(known.rules)) + (known.banned > 0)
            same = effect_of(known.action) == made.effect and limits(known.rules) == limits(made.rules)
            if not same or (bans and known.banned != (made.ban[1] if made.ban else 0)):
                other.append((known, made))
    return decided, other


@pytest.mark.parametrize(
    ("seed", "toml"),
    [
        (0, ""),
        (0, STRICT),
        (1, 'mode = "observe"\n'),
        (2, "[log]\nraw_bytes = 8192\n"),
        (3, REPLAY),
        (1, STRICT + REPLAY),
        (0, REPLAY + '[privacy]\nmask = "numbers"\n'),
    ],
    ids=["default", "strict", "observe", "raw", "replay", "replay-strict", "replay-masked"],
)
def test_the_same_policy_decides_the_same(tmp_path: Path, seed: int, toml: str) -> None:
    """Over networks with all kinds of intruders, copies, dialogs, nonces and bans; from records alone and from messages."""
    path = Server(toml).write(intruders.make(seed, held_back=True), tmp_path / "decisions.jsonl")
    observed = "observe" in toml
    decided, other = differences(path, trial(toml, bans=not observed), not observed)
    assert decided > 200
    assert other == []


#: Secrets of all kinds that a message can carry, each in a REGISTER of its own.
SECRETS = (
    'Authorization: Digest username="u", realm="r", nonce="5ec0e7a1", uri="sip:r", cnonce="5ec0e7a1", response="5ec0e7a1"',
    "Proxy-Authorization: Basic 5ec0e7a1",
    "Contact: <sip:alice:5ec0e7a1@203.0.113.9>",
    "X-Auth-Token: 5ec0e7a1",
    "Content-Encoding: gzip\r\nX-Body: follows\r\n\r\n5ec0e7a1",
)


def test_a_recording_to_be_replayed_has_no_secret_and_is_judged_alike(tmp_path: Path) -> None:
    """Rules too, with nothing but the message: of each, but where a secret was an attack, which its record says."""
    world = World(9)
    for n, secret in enumerate((*SECRETS, f'Authorization: Digest username="u", nonce="{UPDATE} 5ec0e7a1"')):
        world.send(START + n, "203.0.113.9", "REGISTER", user="100", headers=(secret,))
    sdp = b"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ec0e7a1|2^20\r\na=ice-pwd:5ec0e7a1\r\n"
    world.send(START + 20, "203.0.113.9", "INVITE", user="100", body=sdp)
    world.send(START + 21, "203.0.113.9", "INVITE", user="1", from_=f'"{UPDATE} \\xff \\x5c é" <sip:a@b>;tag=1')
    path = Server(REPLAY, copies=0).write(world, tmp_path / "decisions.jsonl")
    text = path.read_text()
    assert "5ec0e7a1" not in text and "2^20" not in text
    records = [json.loads(line) for line in text.splitlines()][1:]
    kept = [record["sipsieve"]["kept"] for record in records]
    # What is compressed, and the attack in credentials.
    assert kept == ["exact"] * 4 + ["changed"] * 2 + ["exact"] * 2
    schema = json.loads((ROOT / "docs/decision-log.schema.json").read_text())
    for record in records:
        Draft202012Validator(schema).validate(record)
        assert record["sipsieve"]["bytes"] == len(as_kept(record["sipsieve"]["raw"]))
    tried = trial(REPLAY)
    recording = Recording([path], tried)
    for batch in recording.batches():
        for known, made in zip(batch.known, batch.judged(tried), strict=True):
            assert (effect_of(known.action), known.rules) == (made.effect, made.rules)
    assert recording.reader.thin == {"changed message": 2}


def test_rules_of_a_recording_to_be_replayed_find_the_same(tmp_path: Path) -> None:
    """All decisions over a network with intruders, from nothing but what the messages hold."""
    path = Server(REPLAY).write(intruders.make(4, held_back=True), tmp_path / "decisions.jsonl")
    tried = trial(REPLAY)
    recording = Recording([path], tried)
    found = 0
    for batch in recording.batches():
        for known, made in zip(batch.known, batch.judged(tried), strict=True):
            assert (effect_of(known.action), known.rules) == (made.effect, made.rules[:8]), known
            found += bool(known.rules)
    assert found > 100 and recording.reader.thin["changed message"] < found / 20
    assert not recording.reader.thin["challenges"] and not recording.reader.thin["bodies"]


def test_where_minutes_begin_is_found_where_no_start_is_on_record(tmp_path: Path) -> None:
    path = Server(STRICT).write(intruders.make(1), tmp_path / "whole.jsonl")
    rest = tmp_path / "rest.jsonl"
    rest.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    decided, other = differences(rest, trial(STRICT))
    assert decided > 200 and other == []


def test_counts_tell_where_minutes_begin() -> None:
    clock = Clock()
    times = [START + 0.7 * n for n in range(400)]
    counted, window, count = [], 0, 0
    for time in times:
        if (time - 12.3) // 60 != window:
            window, count = (time - 12.3) // 60, 0
        count += 1
        counted.append((time, ("192.0.2.1", "udp", "invite"), count))
    clock.find(counted)
    assert clock.offset is not None and abs(clock.offset - 12.3) < 0.4


def test_a_machine_that_starts_anew_counts_no_window_twice() -> None:
    clock = Clock()
    clock.tell(START, 5_000_000.0)
    before = clock.seconds(START + 100, None, 0)
    clock.tell(START + 200, 17.0)
    after = clock.seconds(START + 243.5, None, 0)
    assert after >= before + 143 and after - before < 143 + 61
    # In the window that the new clock says: 60.5 s is half a second after a border.
    assert after % 60 == 0


def call_centre(tmp_path: Path, toml: str = "") -> Path:
    """A call centre that calls twenty numbers a minute, and one who asks for four hundred and gets none."""
    world = World(7)
    for n in range(120):
        people.call(world, START + 3 * n, "203.0.113.7", 5060, "Asterisk PBX 18.10.0", "500", f"0{10**8 + n}")
    world.legitimate.add("203.0.113.7")
    for n in range(200):
        world.send(START + 30 + n / 10, "198.51.100.66", "INVITE", user=str(100 + n), status=404)
    return Server(toml, copies=0).write(world, tmp_path / "decisions.jsonl")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["backtest", *map(str, arguments)])


def test_a_legitimate_source_that_is_newly_blocked_comes_first(tmp_path: Path) -> None:
    log, new = call_centre(tmp_path), tmp_path / "new.toml"
    new.write_text("[limits]\ninvite = { per_minute = 15 }\n")
    done = run("--policy", new, "--fail-if", "newly_blocked_legitimate > 0", "--json", log)
    assert done.exit_code == 1, done.output
    told = json.loads(done.output)
    Draft202012Validator(json.loads((ROOT / "docs/backtest.schema.json").read_text())).validate(told)
    first = told["sources"][0]
    assert first["source"] == "203.0.113.7" and first["legitimate"] and first["completed_calls"] > 50
    assert first["newly_blocked"] > 0 and first["rules"] == {"limit-invite": first["newly_blocked"]}
    assert first["examples"][0]["id"].startswith("s-")
    assert told["failed"] == ["newly_blocked_legitimate > 0"]
    assert "203.0.113.0/24" in told["by_network"]
    assert run("--policy", new, log).exit_code == 0


def test_a_network_of_its_own_takes_the_block_back(tmp_path: Path) -> None:
    log, new = call_centre(tmp_path), tmp_path / "new.toml"
    own = '[[network]]\ncidr = "203.0.113.7"\nlimits = { invite = { per_minute = 60 } }\n'
    new.write_text("[limits]\ninvite = { per_minute = 15 }\n" + own)
    done = run("--policy", new, "--fail-if", "newly_blocked_legitimate > 0", log)
    assert done.exit_code == 0, done.output
    assert "198.51.100.66" in done.output and "203.0.113.7" not in done.output


def test_two_policies_are_compared_over_a_capture(tmp_path: Path) -> None:
    world = World(5)
    for n in range(120):
        world.send(START + n / 10, "198.51.100.9", "OPTIONS", user="100")
    pcap, old, new = capture.write(world, tmp_path / "a.pcap"), tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text("")
    new.write_text("[limits]\nother = { per_minute = 50 }\nban_factor = 0\n")
    told = json.loads(run("--policy", new, "--against", old, "--json", pcap).output)
    assert told["inputs"] == {"packet capture": 120}
    assert (told["before"]["block"], told["after"]["block"]) == (0, 70)
    assert told["figures"]["newly_blocked"] == 70
    # Without another policy it is compared with what happened: all passed.
    assert json.loads(run("--policy", old, "--json", pcap).output)["figures"]["newly_blocked"] == 0


def test_exceptions_and_rules_that_are_only_watched_allow_what_was_refused(tmp_path: Path) -> None:
    world = World(6)
    for n in range(3):
        world.send(START + n, "203.0.113.8", "INVITE", user="1", from_=f'"{UPDATE}" <sip:a@b>;tag=1')
    log = Server(copies=0).write(world, tmp_path / "decisions.jsonl")
    new = tmp_path / "new.toml"
    new.write_text('[rules]\nobserve = ["sql-*"]\n')
    told = json.loads(run("--policy", new, "--json", log).output)
    assert told["figures"]["newly_allowed"] == 3
    assert told["by_rule"]["newly_allowed"]["sql-update-set"] == 3
    assert told["by_field"]["newly_allowed"] == {"from.display_name": 3}
    exceptions = tmp_path / "exceptions.toml"
    exceptions.write_text('[[exception]]\nrule = "sql-*"\nfield = "from.display_name"\nreason = "a paint shop"\n')
    new.write_text(f'[detection]\nexceptions = ["{exceptions}"]\n')
    assert json.loads(run("--policy", new, "--json", log).output)["figures"]["newly_allowed"] == 3


@pytest.mark.parametrize(("raw", "blocked"), [(0, 0), (8192, 4)])
def test_new_rules_find_something_only_where_messages_were_kept(tmp_path: Path, raw: int, blocked: int) -> None:
    world = World(8)
    for n in range(4):
        world.send(START + n, "203.0.113.9", "INVITE", user="100", agent="Wobbler/2")
    log = Server(f"[log]\nraw_bytes = {raw}\n", copies=0).write(world, tmp_path / "decisions.jsonl")
    rules, new = tmp_path / "own.toml", tmp_path / "new.toml"
    rules.write_text(
        'family = "scanner"\n[[rule]]\nid = "scanner-wobbler"\npattern = "wobbler/[0-9]"\nscore = 5\n'
        'reason = "a scanner that was seen here"\nheaders = ["user-agent"]\nhits = ["Wobbler/2"]\nmisses = ["Wobble"]\n'
    )
    new.write_text("")
    told = json.loads(run("--policy", new, "--rules", rules, "--json", log).output)
    assert told["figures"]["newly_blocked"] == blocked
    thin = {note["name"]: note for note in told["thin"]}
    assert ("no message" in thin) is (raw == 0)
    if raw == 0:
        assert thin["no message"]["messages"] == 4 and 'record = "replay"' in thin["no message"]["advice"]


def test_what_was_only_counted_is_said(tmp_path: Path) -> None:
    log = call_centre(tmp_path)
    counted = {
        "@timestamp": "2026-11-16T00:10:00.000000Z", "source": {"ip": "203.0.113.7"},
        "event": {"kind": "metric", "action": "allow", "count": 700, "start": "2026-11-16T00:09:50.000000Z", "end": "2026-11-16T00:10:00.000000Z"},
        "rule": {"version": "x"}, "policy": {"version": "x", "mode": "enforce"}, "sip": {"method": "OPTIONS"},
    }  # fmt: skip
    with log.open("a") as out:
        out.write(json.dumps(counted) + "\nno record\n")
    new = tmp_path / "new.toml"
    new.write_text("")
    told = json.loads(run("--policy", new, "--json", log).output)
    assert told["bad_lines"] == 1
    assert told["figures"]["unknown"] >= 700
    assert next(note for note in told["thin"] if note["name"] == "counted")["messages"] == 700
    assert "700 messages were let through and only counted" in run("--policy", new, log).output


def test_hostile_records_are_harmless(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    evil = 'x\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n\x1b[2J<>"'
    record = {
        "@timestamp": "2026-11-16T00:00:00.000000Z", "source": {"ip": "203.0.113.7", "port": 5060}, "network": {"transport": "udp"},
        "event": {"kind": "event", "action": "reject", "id": evil, "reason": evil},
        "policy": {"version": evil, "mode": "enforce", "enforced": True}, "counters": {"invite": 10**18, evil: 1},
        "sip": {"type": "request", "method": evil, "uri": evil, "call_id": evil, "cseq": evil, "from": evil, "to": evil, "field": evil},
        "findings": [{"rule": "sql-tautology", "family": "sql", "score": 5, "field": evil, "reason": evil}],
    }  # fmt: skip
    lines = [
        record,
        {**record, "sip": {**record["sip"], "raw": evil}},
        {**record, "source": {"ip": evil, "port": 70000}},
    ]  # type: ignore[dict-item]
    lines.append({**record, "findings": [{"rule": "x", "score": 999}]})
    lines.append({**record, "@timestamp": "0001-01-01T00:00:00.000000Z"})
    lines.append({**record, "source": {"ip": "\ud800"}, "event": {"kind": "event", "action": "drop", "id": "\udfff"}})
    for steady in (-1e308, 1e308):
        lines.append(
            {"@timestamp": "2026-11-16T00:00:00Z", "event": {"kind": "state", "action": "start", "steady": steady}}
        )
        lines.append(record)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{\n" + "[" * 9999 + "\n")
    new = tmp_path / "new.toml"
    new.write_text('[actions]\nsql = "log"\n')
    done = run("--policy", new, log)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output and "\r" not in done.output


def test_conditions() -> None:
    figures = {"blocked": 3, "bans": 0}
    assert holds("blocked > 2", figures) and holds("bans == 0 and 3 <= blocked", figures)
    assert not holds("blocked > 3 or bans != 0", figures)
    for text, said in {
        "blokked > 0": "did you mean blocked?",
        "blocked": "no comparison",
        "__import__('os').system('x') > 0": "is no figure",
        "blocked > 'x'": "is no figure",
        "1 <": "can't be read",
        "(" * 5000: "longer than",
    }.items():
        with pytest.raises(ConditionError, match=said.replace("?", r"\?")):
            holds(text, figures)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    log, new = call_centre(tmp_path), tmp_path / "new.toml"
    new.write_text("[limits]\ninvite = { per_minut = 1 }\n")
    done = run("--policy", new, log)
    assert done.exit_code == 2 and "per_minut" in done.output and str(new) in done.output
    new.write_text("")
    assert "did you mean blocked_trusted" in run("--policy", new, "--fail-if", "blocked_trust > 0", log).output
    assert run("--policy", new, tmp_path / "none").exit_code == 2


def test_figures_of_a_backtest_of_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    tried = trial("")
    result = Backtest(tried)
    result.run(Recording([empty], tried))
    assert result.messages == 0 and result.changed() == []


@pytest.mark.parametrize(("hours", "blocked"), [(-1, True), (3, False)], ids=["at that time", "later"])
def test_where_calls_may_go_is_tried_at_the_time_of_day_of_the_record(
    tmp_path: Path, hours: int, blocked: bool
) -> None:
    log, new = call_centre(tmp_path), tmp_path / "new.toml"
    begin = datetime.datetime.fromtimestamp(START, datetime.UTC) + datetime.timedelta(hours=hours)
    end = begin + datetime.timedelta(hours=2)
    new.write_text(
        '[dialling]\ncountry = "49"\nnational = []\ninternational = ["0"]\n[[destinations]]\nname = "office"\nmode = "enforce"\n'
        f'off_hours = {{ from = "{begin:%H:%M}", to = "{end:%H:%M}", weekend = false, refuse = "abroad" }}\n'
    )
    done = run("--policy", new, "--json", log)
    rows = {row["source"]: row for row in json.loads(done.output)["sources"]}
    rules = rows.get("203.0.113.7", {}).get("rules", {})
    assert (rules.get("destination-off-hours", 0) > 100) is blocked, done.output[:2000]
