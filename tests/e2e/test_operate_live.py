"""Policy and rules change on a running server: no message is lost, none is decided by two versions."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import load
from harness import ROOT, Server, exchange, request, status, wait_for
from sipsieve_analysis.operate.running import Refused, Running

TOOL = {"headers": ("User-Agent: EagleSIP",)}


def cli(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / ".venv/bin/sipsieve"), *arguments, "--rpc", str(server.folder / "sipsieve_rpc.fifo")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def answer(server: Server, *arguments: str) -> dict[str, Any]:
    ran = cli(server, *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    decoded: dict[str, Any] = json.loads(ran.stdout)
    return decoded


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, "[limits]\nenabled = false\n", workers=2) as running:
        yield running


def test_a_reload_is_seen_by_the_next_message_and_recorded(server: Server) -> None:
    assert status(exchange(server, request(**TOOL))) == 403
    server.policy.write_text('[actions]\nscanner = "log"\n')
    done = answer(server, "reload")
    assert (done["old"]["revision"], done["new"]["revision"]) == (1, 2)
    wait_for(lambda: status(exchange(server, request(**TOOL))) == 200, "the new policy holds")
    written = server.wait_record(lambda r: r["event"]["action"] == "reload")
    assert written["event"]["user"]
    assert written["event"]["old"]["policy"] == done["old"]["policy"]
    assert written["event"]["new"]["policy"] == done["new"]["policy"] == server.records()[-1]["policy"]["version"]


def test_a_broken_file_is_refused_with_the_reason_and_the_old_set_goes_on(server: Server) -> None:
    server.policy.write_text('[actions]\nscaner = "log"\n')
    ran = cli(server, "reload")
    assert ran.returncode == 1
    assert f"{server.policy}:" in ran.stderr
    assert "Did you mean 'scanner'" in ran.stderr
    assert status(exchange(server, request(**TOOL))) == 403
    assert answer(server, "status")["revision"]["revision"] == 1
    # The server refuses by itself too, where the caller can't read its files or doesn't look.
    with pytest.raises(Refused, match="scaner"):
        Running(str(server.folder / "sipsieve_rpc.fifo")).ask("reload")
    refused = server.wait_record(lambda r: r["event"]["action"] == "reload")
    assert refused["event"]["outcome"] == "failure"
    assert "scaner" in refused["event"]["reason"]


def test_a_value_is_set_for_a_time_and_taken_back(server: Server) -> None:
    answer(server, "set", "mode", "observe", "--for", "8s")
    wait_for(lambda: status(exchange(server, request(**TOOL))) == 200, "observed only")
    assert answer(server, "status")["set"]["mode"]["text"] == "observe"
    wait_for(lambda: status(exchange(server, request(**TOOL))) == 403, "enforced again")
    assert answer(server, "status")["set"] == {}
    actions = [r["event"]["action"] for r in server.records("state")]
    assert [action for action in actions if action in ("set", "unset")] == ["set", "unset"]
    assert cli(server, "set", "limits.invite.per_minute", "many").returncode == 1
    negative = cli(server, "set", "limits.invite.per_minute", "-3", "--for", "1m")
    assert negative.returncode == 1 and "limits.invite.per_minute: " in negative.stderr and "from 0" in negative.stderr
    assert cli(server, "set", "log.path", "/tmp/x").returncode == 1
    assert cli(server, "set", "mode", "--clear").returncode == 1
    assert answer(server, "status")["revision"]["revision"] == 3


def test_status_names_the_workers_that_stayed_behind(server: Server) -> None:
    before = answer(server, "status")
    assert {worker["revision"] for worker in before["workers"]} == {1}
    assert all(worker["memory"] > 1 << 20 for worker in before["workers"])
    answer(server, "set", "detection.reject_score", "6")
    after = answer(server, "status")
    # No message came: all are idle.
    assert set(after["laggards"]) == {worker["pid"] for worker in after["workers"]}
    udp = wait_for(
        lambda: exchange(server, request()) and answer(server, "status")["laggards"] != after["laggards"],
        "a worker that gets a message switches",
    )
    assert udp
    assert cli(server, "status").returncode == 0
    os.kill(after["workers"][0]["pid"], 0)


def test_an_address_is_explained_with_its_counters_and_ban(tmp_path: Path) -> None:
    policy = "[limits.source_ports]\nper_minute = 2\n[limits.findings]\nper_minute = 20\n"
    with Server(tmp_path, policy, workers=2) as server:
        for _ in range(3):
            assert status(exchange(server, request("REGISTER"), source="127.0.2.1")) == 200
        facts = answer(server, "explain", "127.0.2.1")
        assert facts["live"]["counters"]["udp"]["register"] == 3
        assert facts["live"]["ban"] is None
        for port in range(20001, 20007):
            exchange(server, request(**TOOL), source="127.0.2.2", source_port=port, seconds=0.5)
        wait_for(lambda: answer(server, "explain", "127.0.2.2")["live"]["ban"], "a ban")
        said = cli(server, "explain", "127.0.2.2")
        assert "banned       by limit-" in said.stdout
        answer(server, "set", "mode", "observe")
        assert answer(server, "explain", "127.0.2.1")["mode"] == "observe"


def test_without_a_server_every_command_says_what_to_do(tmp_path: Path) -> None:
    for arguments in (["status"], ["reload"], ["set", "mode", "observe"]):
        ran = subprocess.run(
            [str(ROOT / ".venv/bin/sipsieve"), *arguments, "--rpc", str(tmp_path / "none.fifo")],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert ran.returncode == 1
        assert "Is Kamailio running?" in ran.stderr


#: Messages a second that the load asks for at most; it gives what the machine has left.
RATE = float(os.environ.get("SIPSIEVE_RELOAD_RATE", "20000"))
RELOADS = 20


def test_twenty_reloads_under_load_lose_and_wrongly_answer_none(tmp_path: Path) -> None:
    """One message in a hundred is hostile: few enough for each to have its own record at any rate. Under one
    version it is refused, under the other let through; its record says which version decided, and the answer
    must be that version's."""
    policy = '[limits]\nenabled = false\n[log]\nallow = "summary"\nsummary_seconds = 1\n[actions]\nscanner = "%s"\n'
    clean = request(call_id="NUMBER").replace(b"NUMBER", b"%d", 1)
    hostile = request(call_id="NUMBER", **TOOL).replace(b"NUMBER", b"%d", 1)
    with Server(tmp_path, policy % "reject", workers=4) as server:
        outcomes: list[load.Outcome] = []
        over = threading.Event()

        def make() -> None:
            outcomes.append(
                load.run(
                    server.port, lambda n: (clean if n % 100 else hostile) % n, seconds=120, over=over.is_set,
                    per_second=RATE,
                )
            )  # fmt: skip

        sending = threading.Thread(target=make)
        sending.start()
        running = Running(str(server.folder / "sipsieve_rpc.fifo"))
        versions = {running.ask("status")["revision"]["policy"]: "reject"}
        slowest = 0.0
        try:
            for number in range(RELOADS):
                action = ("log", "reject")[number % 2]
                server.policy.write_text(policy % action)
                new = running.ask("reload")["new"]
                versions[new["policy"]] = action
                switched = wait_for(lambda new=new: _all_switched(running, new["revision"]), "busy workers switch")
                slowest = max(slowest, switched)
        finally:
            over.set()
        sending.join()
        outcome = outcomes[0]
        print(
            f"{RELOADS} reloads, {outcome.sent} messages, {outcome.rate:.0f} a second; slowest switch {slowest:.2f} s"
        )
        assert len(versions) == 2
        assert outcome.sent - len(outcome.answers) == 0
        records = {int(r["sip"]["call_id"]): r for r in server.records()}
        decided = set()
        for number, code in outcome.answers.items():
            if number % 100:
                assert code == 200, f"clean message {number} was answered {code}"
                continue
            version = records[number]["policy"]["version"]
            decided.add(version)
            assert code == (403 if versions[version] == "reject" else 200), records[number]
        assert decided == set(versions)
        total = wait_for(
            lambda: _messages(server) if _messages(server) >= outcome.sent else None, "every message is on record"
        )
        assert total == outcome.sent
        assert answer(server, "status")["totals"]["errors"] == 0


def _all_switched(running: Running, revision: int) -> float:
    """How many seconds after the change the last of the four busy workers switched; 0 while one has not."""
    now = running.ask("status")
    busy = [worker for worker in now["workers"] if worker["place"] <= 4]
    if any(worker["revision"] != revision for worker in busy):
        return 0.0
    return max(float(worker["switched"]) - float(now["since"]) for worker in busy)


def _messages(server: Server) -> int:
    counts = sum(r["event"]["count"] for r in server.records("metric"))
    return len(server.records("event")) + int(counts)


def test_numbers_are_masked_alike_by_all_workers_and_after_a_reload(tmp_path: Path) -> None:
    policy = '[privacy]\nmask = "numbers"\n[limits]\nenabled = false\n[log]\nraw_bytes = 2000\n'
    number = "4930987654321"
    with Server(tmp_path, policy, workers=3) as server:

        def send(name: str) -> dict[str, Any]:
            raw = request(uri=f"sip:+{number}@example.com", to=f"<sip:00{number}@example.com>", call_id=name, **TOOL)
            assert status(exchange(server, raw)) == 403
            return server.record_of(name)

        records = [send(f"mask-{n}") for n in range(12)]
        server.policy.write_text(policy + "[actions]\nsql = 'log'\n")
        answer(server, "reload")
        records += [send(f"again-{n}") for n in range(12)]
        masks = {uri["original"] for record in records for uri in (record["sip"]["uri"], record["sip"]["to"]["uri"])}
        assert len(masks) == 1
        assert "sip:masked-" in masks.pop()
        assert number.encode() not in server.log.read_bytes()
        assert {record["policy"]["version"] for record in records} > {records[0]["policy"]["version"]}


def test_an_operators_own_rules_and_exceptions_come_and_go_live(server: Server, tmp_path: Path) -> None:
    own, exceptions = tmp_path / "own.toml", tmp_path / "exceptions.toml"
    rule = (
        'family = "scanner"\n[[rule]]\nid = "own-blue-phone"\npattern = "BluePhone"\nscore = 5\n'
        'reason = "a phone that is banned here"\nhits = ["BluePhone 1.0"]\nmisses = ["RedPhone"]\n'
    )
    blue = {"headers": ("User-Agent: BluePhone 1.0",)}
    policy = f"[limits]\nenabled = false\n[detection]\nrules = [{str(own)!r}]\n"
    assert status(exchange(server, request(**blue))) == 200
    own.write_text(rule)
    server.policy.write_text(policy)
    answer(server, "reload")
    wait_for(lambda: status(exchange(server, request(**blue))) == 403, "the new rule holds")
    own.write_text(rule.replace('"BluePhone"', '"Blue(Phone"'))
    refused = cli(server, "reload")
    assert refused.returncode == 1
    assert "own-blue-phone" in refused.stderr
    assert status(exchange(server, request(**blue))) == 403
    own.write_text(rule)
    exceptions.write_text('[[exception]]\nrule = "own-blue-*"\nreason = "the boss has one"\n')
    server.policy.write_text(f"{policy}exceptions = [{str(exceptions)!r}]\n")
    answer(server, "reload")
    wait_for(lambda: status(exchange(server, request(**blue))) == 200, "the exception holds")
