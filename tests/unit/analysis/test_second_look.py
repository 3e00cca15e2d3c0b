"""Who is one attacker where the log holds no answers, and who only has power again."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_judgement import accused, read

from sipsieve_analysis.report import Report
from worlds import plain
from worlds.field import Field
from worlds.programs import MAKES, PJSIP, SIPP, Program
from worlds.world import DAY, HOUR, START, World


def field(seed: int) -> Field:
    return Field(World(seed, with_replies=False))


def quoted(tmp_path: Path, world: World) -> Report:
    """The report on what a plain Kamailio logs of it."""
    return read(tmp_path, [plain.write(world, tmp_path / "log").read_bytes()])


def phones(f: Field, program: Program) -> None:
    """Some who keep their registrations with it."""
    for _ in range(3):
        user, password = f.account()
        f.stay(f.world.address(), program, user, password, START, START + 9 * HOUR, 900)


def stuffed(f: Field, ips: list[str], program: Program, begin: float, step: float, first: str) -> None:
    """Stolen names, each tried once, from one address after the other."""
    for n in range(15 * len(ips)):
        f.register(begin + n * step, ips[n % len(ips)], program, f"{first}.{n * 7919 % 10007}", "leaked")


def listed(f: Field, ip: str, program: Program, first: int, begin: float, step: float) -> None:
    for n in range(20):
        f.ask(begin + n * step, ip, program, "REGISTER", str(first + n))


def together(report: Report) -> list[list[str]]:
    return [sorted(actor.addresses) for actor in report.actors if len(actor.addresses) > 1]


def test_accused_with_a_phone_s_library_are_one_where_all_else_is_the_same_and_the_report_says_what(
    tmp_path: Path,
) -> None:
    f = field(1)
    phones(f, PJSIP.named("MicroSIP/3.21.3"))
    ips = f.addresses(6)
    stuffed(f, ips, PJSIP.named("Asterisk PBX"), START + 5 * HOUR, 5, "anna")
    report = quoted(tmp_path, f.world)
    assert together(report) == [sorted(ips)]
    assert accused(report) == set(ips)
    (actor,) = (actor for actor in report.actors if len(actor.addresses) > 1)
    assert [campaign.type for campaign in actor.campaigns] == ["credential_stuffing"]
    assert "trying passwords + form of Call-ID + User-Agent + same start + the same pace" in actor.links


def test_strangers_with_one_library_who_do_the_same_on_another_day_are_two(tmp_path: Path) -> None:
    f = field(2)
    phones(f, PJSIP.named("MicroSIP/3.21.3"))
    one, other = f.addresses(2)
    stuffed(f, [one], PJSIP.named("Asterisk PBX"), START + 5 * HOUR, 5, "anna")
    stuffed(f, [other], PJSIP.named("Asterisk PBX"), START + 2 * DAY, 5, "max")
    report = quoted(tmp_path, f.world)
    assert accused(report) == {one, other}
    assert together(report) == []


def test_strangers_at_the_same_time_at_another_pace_are_two(tmp_path: Path) -> None:
    f = field(3)
    phones(f, PJSIP.named("MicroSIP/3.21.3"))
    one, other = f.addresses(2)
    listed(f, one, PJSIP.named(""), 1000, START + HOUR, 3)
    listed(f, other, PJSIP.named("Z"), 5000, START + HOUR + 200, 11)
    report = quoted(tmp_path, f.world)
    assert accused(report) == {one, other}
    assert together(report) == []


def test_a_mover_that_names_itself_anew_is_one_by_its_own_form_its_list_and_its_pace(tmp_path: Path) -> None:
    f = field(4)
    phones(f, MAKES[0])
    ips = f.addresses(3)
    for n, ip in enumerate(ips):
        listed(f, ip, PJSIP.named(("", "A1", "voip")[n]), 2000 + 20 * n, START + n * 1.5 * DAY, 3)
    report = quoted(tmp_path, f.world)
    assert together(report) == [sorted(ips)]
    assert {"enumeration", "mover"} == {campaign.type for campaign in report.campaigns}


def test_a_public_load_tester_on_two_days_is_two(tmp_path: Path) -> None:
    f = field(5)
    one, other = f.addresses(2)
    for ip, begin in ((one, START), (other, START + 2 * DAY)):
        for n in range(300):
            f.ask(begin + n * 0.1, ip, SIPP, "INVITE", "service", caller="sipp")
    report = quoted(tmp_path, f.world)
    assert accused(report) == {one, other}
    assert together(report) == []


@pytest.mark.parametrize("quotes", [False, True])
@pytest.mark.parametrize("lines", [1, 2, 3, 6])
def test_a_street_of_phones_with_several_lines_that_has_power_again_is_nobody(
    lines: int, quotes: bool, tmp_path: Path
) -> None:
    f = field(lines)
    accounts = [f.account() for _ in range(30 * lines)]
    for n, ip in enumerate(f.addresses(30, near=lines == 1)):
        begin = START + f.random.uniform(0, 60)
        for line, (user, password) in enumerate(accounts[n * lines : (n + 1) * lines]):
            f.register(begin + line * 0.5, ip, MAKES[0], user, password)
    report = quoted(tmp_path, f.world) if quotes else read(tmp_path, f.world)
    assert accused(report) == set()
    assert together(report) == []


def test_a_slow_sprayer_without_answers_is_one_though_some_of_its_addresses_look_like_a_phone(tmp_path: Path) -> None:
    f = field(7)
    phones(f, MAKES[2])
    bot = Program(
        "Cisco-SIPGateway/IOS-12.x", ("Via", "To", "From", "CSeq", "Call-ID", "Contact", "Max-Forwards", "User-Agent", "Authorization", "Content-Length"),
        lambda rng: f"{rng.getrandbits(32):X}", lambda rng: f"{rng.getrandbits(64):X}", lambda rng: f"{rng.getrandbits(32):X}",
    )  # fmt: skip
    ips, users = f.addresses(40), [str(1000 + n) for n in range(62)]
    for round_ in range(2):
        f.random.shuffle(users)
        for n, user in enumerate(users):
            f.register(START + round_ * 5 * HOUR + n * 90, ips[(n + round_) % len(ips)], bot, user, f"Winter{round_}")
    report = read(tmp_path, f.world)
    assert together(report) == [sorted(ips)]
    assert accused(report) == set(ips)
    assert [campaign.type for campaign in report.campaigns if campaign.sources] == ["spraying"]
