"""A log that a real Kamailio wrote, tried again: the same policy comes to the same decisions of limits and bans."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from backend import Backend, answer, method
from harness import ROOT, Server, exchange, invite, request, wait_for
from replayer.loopback import Loopback, policy_text
from replayer.replay import replay
from replayer.scenario import load_all
from sipsieve.config import policy as policies
from sipsieve.detection import ruleset
from sipsieve_analysis.tuning.recording import Recording
from sipsieve_analysis.tuning.records import Known
from sipsieve_analysis.tuning.trials import Outcome, Trial, effect_of
from worlds.run import report_of

POLICY = """
[limits]
invite = { per_minute = 5 }
register = { per_minute = 12 }
other = { per_minute = 20 }
targets = { per_minute = 8 }
auth_failures = { per_minute = 4 }
malformed = { per_minute = 6 }
[log]
%s
"""

#: Rules that count: of limits, and of where calls go.
COUNTED = ("limit-", "destination-")

DIGEST = 'Digest username="u", realm="r", nonce="%s", uri="sip:r", response="0123"'


def script(message: bytes) -> list[bytes]:
    """A registrar that refuses each password, and a phone that answers."""
    if method(message) == "REGISTER":
        challenge = f'WWW-Authenticate: Digest realm="r", nonce="n{len(message)}"'
        return [answer(message, 401, "Unauthorized", headers=(challenge,))]
    return [] if method(message) == "ACK" else [answer(message)]


def traffic(server: Server, net: int) -> None:
    """Calls, scans, floods, guessed passwords and garbage, of several sources."""
    for n in range(14):
        exchange(server, invite(), source=f"127.1.{net}.1", seconds=0.3)
        exchange(server, request("OPTIONS", uri=f"sip:{100 + n}@example.com"), source=f"127.1.{net}.2", seconds=0.3)
    for n in range(10):
        header = () if n == 0 else ("Authorization: " + DIGEST % "n1",)
        exchange(server, request("REGISTER", headers=header), source=f"127.1.{net}.3", seconds=0.3)
    for _ in range(25):
        exchange(server, request("OPTIONS"), source=f"127.1.{net}.4", transport="tcp", seconds=0.3)
    for _ in range(8):
        exchange(server, request("OPTIONS", headers=("CSeq x",)), source=f"127.1.{net}.5", seconds=0.1)
    for _ in range(3):
        exchange(server, invite(headers=("Subject: x' OR 1=1 --",)), source=f"127.1.{net}.6", seconds=0.3)


@pytest.mark.parametrize(
    "log", ["raw_bytes = 0", "raw_bytes = 8192", 'record = "replay"'], ids=["records", "messages", "replay"]
)
def test_the_same_policy_decides_the_same(tmp_path: Path, log: str) -> None:
    toml = POLICY % log
    with Backend(script) as backend, Server(tmp_path, toml, backend=backend.uri) as server:
        traffic(server, 0)
        if log == "raw_bytes = 0":
            # Over the border of a minute: what was before it still counts in part.
            first = int(time.monotonic()) // 60
            wait_for(lambda: int(time.monotonic()) // 60 > first, "the next minute begins", 70)
            traffic(server, 0)
        traffic(server, 1)
        wait_for(lambda: len(server.records()) > 100, "records")
    recording, decided, bans, other = compared(server.log, toml)
    assert recording.reader.clock.told and recording.reader.bad == 0
    assert decided > 15 and bans >= 3
    assert other == []


#: Who sent what, by scenario.
SENDERS: dict[str, set[str]] = {}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The decision log of the lab's scenarios, recorded to be replayed."""
    with Loopback(tmp_path_factory.mktemp("lab"), more='[log]\nrecord = "replay"\n') as stage:
        for loaded in load_all(ROOT / "lab" / "scenarios"):
            if loaded.scenario.demo:
                replay(loaded, stage, "edge")
                SENDERS[loaded.name] = set(stage.addresses(loaded).values())
    return stage.log


@pytest.mark.parametrize(
    ("scenario", "found"),
    [
        ("wangiri-callback", "wangiri"),
        ("stolen-credential-friday-night", "toll_fraud"),
        ("prefix-hunting", "toll_fraud"),
        ("pbx-through-dial", "toll_fraud"),
        ("calls-around-the-world", ""),
    ],
)
def test_the_analysis_finds_each_fraud_alone(lab: Path, tmp_path: Path, scenario: str, found: str) -> None:
    """And whom it may blame: nobody who phones the world, nobody who was made to ring back."""
    own, calls, kept = SENDERS[scenario], set(), []
    for line in lab.read_bytes().splitlines(keepends=True):
        record = json.loads(line)
        if record["event"]["kind"] == "event" and record["source"]["ip"] in own:
            calls.add(record["sip"].get("call_id"))
        if record["event"]["kind"] == "event" and record["sip"].get("call_id") in calls:
            kept.append(line)
    assert len(kept) > 10
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(b"".join(kept))
    report = report_of(log, tmp_path / "work")
    above = [actor for actor in report["actors"] if actor["tier"] != "low"]
    assert [actor["campaigns"] for actor in above] == ([[found]] if found else [])
    assert {ip for actor in above for ip in actor["addresses"]} == (own if found == "toll_fraud" else set())


@pytest.mark.parametrize("whole", [True, False], ids=["replay", "records"])
def test_the_same_policy_decides_the_same_over_the_labs_scenarios(lab: Path, tmp_path: Path, whole: bool) -> None:
    log = lab
    if not whole:
        # As it would be without `record = "replay"`.
        log = tmp_path / "decisions.jsonl"
        with lab.open() as lines, log.open("w") as out:
            for line in lines:
                record = json.loads(line)
                if record["event"]["kind"] == "event":
                    del record["sipsieve"]["raw"], record["sipsieve"]["kept"], record["sipsieve"]["steady"]
                out.write(json.dumps(record, separators=(",", ":")) + "\n")
    recording, decided, bans, other = compared(log, policy_text())
    assert recording.reader.bad == 0 and decided > 15 and bans >= 2
    assert other == []
    if whole:
        # What a secret was taken out of though it was an attack itself.
        assert recording.reader.thin["changed message"] < sum(recording.kinds.values()) / 50


def compared(log: Path, toml: str) -> tuple[Recording, int, int, list[tuple[Known, Outcome]]]:
    """A log tried on its own policy: decisions of limits, destinations and bans on record, and the messages that are decided otherwise."""
    tried = Trial(policies.loads(toml), ruleset.load())
    recording = Recording([log], tried)
    decided, bans, other = 0, 0, []
    for batch in recording.batches():
        for known, made in zip(batch.known, batch.judged(tried), strict=True):
            old, new = ({rule for rule in rules if rule.startswith(COUNTED)} for rules in (known.rules, made.rules))
            decided += bool(old)
            bans += known.banned > 0
            banned = made.ban[1] if made.ban else 0
            if old != new or effect_of(known.action) != made.effect or banned != known.banned:
                other.append((known, made))
    return recording, decided, bans, other
