"""Who is one attacker, and who only has the same phone, the same address or the same habits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from test_judgement import accused, read

from sipsieve.decision_log.record import Recorder
from sipsieve_analysis import habits
from sipsieve_analysis.attribution.signs import PUBLIC
from sipsieve_analysis.census import Profile
from worlds.field import Field
from worlds.programs import MAKES, SIPVICIOUS, Program, script
from worlds.world import DAY, HOUR, START, World


def field(seed: int, answers: bool = True) -> Field:
    return Field(World(seed, with_replies=answers))


def groups(report: object) -> list[list[str]]:
    return [actor.addresses for actor in report.actors if len(actor.addresses) > 1]  # type: ignore[attr-defined]


def formed(*call_ids: str) -> str:
    """The form that a profile of these Call-IDs has."""
    mirrored = [text[::-1] for text in call_ids]
    return habits.call_form(
        Profile(
            "198.51.100.1",
            "",
            call_low=min(call_ids),
            call_high=max(call_ids),
            llac_low=min(mirrored),
            llac_high=max(mirrored),
        )
    )


def test_the_form_of_call_ids_is_that_of_all_of_them() -> None:
    assert formed("12345678", "98765432") == "d4"
    assert formed("12345678", "9abcdef0") == "h4"
    assert formed("kQ3v", "zz81") == "w2"
    assert formed("1f3b4f5c-0b1d-4ffe@198.51.100.7") == "h4-h2-h2@"
    # A counter that has grown by a digit, and one behind a name.
    assert formed("999-10.0.0.1@a.example", "1000-10.0.0.1@a.example") == "d2-A@"
    assert formed("a-1", "a") == "mixed"
    assert habits.call_form(Profile("198.51.100.1", "")) == ""


def own(seed: int) -> Program:
    return script(random.Random(seed)).named("")


def lists(f: Field, ips: list[str], program: Program, first: int, begin: float, apart: float) -> None:
    """Each address goes through twenty users of its own."""
    for n, ip in enumerate(ips):
        for m in range(20):
            f.ask(begin + n * apart + m * 3, ip, program, "REGISTER", str(first + n * 20 + m))


def test_one_script_that_parts_a_list_among_addresses_is_one_attacker_and_says_why(tmp_path: Path) -> None:
    f = field(1)
    ips = f.addresses(5)
    lists(f, ips, own(3), 1000, START, 2)
    report = read(tmp_path, f.world)
    assert [sorted(found) for found in groups(report)] == [sorted(ips)]
    assert any("program" in link and "range" in link for link in report.actors[0].links)


def test_the_same_list_days_apart_under_other_names_is_one_attacker_that_moves(tmp_path: Path) -> None:
    f = field(2)
    ips = f.addresses(3)
    for n, ip in enumerate(ips):
        lists(f, [ip], own(4).named(f"name{n}"), 1000 + 20 * n, START + n * 1.5 * DAY, 0)
    report = read(tmp_path, f.world)
    assert [sorted(found) for found in groups(report)] == [sorted(ips)]
    assert "mover" in {str(campaign.type) for campaign in report.actors[0].campaigns}


def spray(f: Field, ips: list[str], program: Program, users: list[str], times: int) -> None:
    """Wrong passwords for each user, each time from another address, hours apart."""
    for number in range(times):
        f.random.shuffle(users)
        for n, user in enumerate(users):
            ip = ips[(n + number) % len(ips)]
            f.register(START + number * 9 * HOUR + n * 600, ip, program, user, f"wrong{number}", cseq=program.cseq)


def test_a_list_of_users_that_is_dealt_out_over_many_addresses_links_them(tmp_path: Path) -> None:
    f = field(9)
    ips = f.addresses(20)
    # Two users for each address: too few to compare one with another.
    spray(f, ips, own(3), [str(1000 + n) for n in range(40)], 1)
    report = read(tmp_path, f.world)
    assert [sorted(found) for found in groups(report)] == [sorted(ips)]
    assert any("dealt out" in link for link in report.actors[0].links)


def test_phones_of_one_unknown_make_with_old_passwords_are_no_list(tmp_path: Path) -> None:
    f = field(10)
    for n, ip in enumerate(f.addresses(20)):
        # One account each, which it insists on.
        for again in range(6):
            f.register(START + n * 1200 + again * 5 * HOUR, ip, own(3), str(1000 + n), "old")
    assert groups(read(tmp_path, f.world)) == []


def test_two_who_use_one_public_tool_on_the_usual_extensions_are_two(tmp_path: Path) -> None:
    f = field(3)
    one, other = f.addresses(2)
    lists(f, [one], SIPVICIOUS, 1000, START, 0)
    lists(f, [other], SIPVICIOUS, 1000, START + 2 * DAY, 0)
    assert groups(read(tmp_path, f.world)) == []


def test_two_scripts_at_the_same_time_on_the_same_users_are_two(tmp_path: Path) -> None:
    f = field(4)
    one, other = f.addresses(2)
    lists(f, [one], own(5), 1000, START, 0)
    lists(f, [other], own(6), 1000, START + 5, 0)
    assert groups(read(tmp_path, f.world)) == []


def test_the_same_broken_probe_from_many_is_weather(tmp_path: Path) -> None:
    f = field(8)
    for n, ip in enumerate(f.addresses(20)):
        f.ask(START + n * 3 * HOUR, ip, own(9), "OPTIONS", "100", change=(b"CSeq:", b"CSeq: x"), drop=True)
    assert accused(read(tmp_path, f.world)) == set()


def test_a_street_of_one_make_after_an_outage_is_nobody(tmp_path: Path) -> None:
    for seed, answers in ((5, True), (6, False)):
        f = field(seed, answers)
        for n, ip in enumerate(f.addresses(30, near=True)):
            user, password = f.account()
            f.register(START + n, ip, MAKES[0], user, password)
        folder = tmp_path / str(seed)
        folder.mkdir()
        report = read(folder, f.world)
        assert accused(report) == set()
        assert groups(report) == []


def test_a_program_that_lawful_phones_use_too_joins_nobody_by_itself(tmp_path: Path) -> None:
    f = field(7)
    user, password = f.account()
    f.stay(f.world.address(), MAKES[0], user, password, START, START + 9 * HOUR, 900)
    one, other = f.addresses(2)
    lists(f, [one], MAKES[0].named(""), 2000, START, 0)
    lists(f, [other], MAKES[0].named(""), 2020, START + 5, 0)
    assert groups(read(tmp_path, f.world)) == []


NAMES = [f"{name}.{n}" for name in ("alice", "bruno", "chen", "dora", "emil", "fay", "gus", "hana") for n in range(4)]


def names(f: Field, ip: str, program: Program, users: list[str], begin: float) -> None:
    """A password for each of these users."""
    for n, user in enumerate(users):
        f.register(begin + n * 6, ip, program, user, "spring")


def test_one_list_of_names_worked_through_at_the_same_time_by_two_programs_is_one_attacker(tmp_path: Path) -> None:
    f = field(11)
    one, other = f.addresses(2)
    names(f, one, own(5), NAMES, START)
    names(f, other, own(6), NAMES[:-1], START + 90)
    report = read(tmp_path, f.world)
    assert [sorted(found) for found in groups(report)] == [sorted((one, other))]
    assert any("one list of names" in link for link in report.actors[0].links)


def test_lists_of_names_that_only_meet_are_two_and_so_are_equal_ones_hours_apart(tmp_path: Path) -> None:
    for seed, users, apart in ((12, NAMES[4:], 60.0), (13, NAMES, 9.0 * HOUR)):
        f = field(seed)
        one, other = f.addresses(2)
        names(f, one, own(5), NAMES, START)
        names(f, other, own(6), users, START + apart)
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert groups(read(folder, f.world)) == []


def one_by_one(f: Field, ips: list[str], takes: Callable[[int], list[str]]) -> None:
    """Each address asks for its users once, right behind the one before and under another phone's name; one lawful phone has the
    same program."""
    user, password = f.account()
    f.stay(f.world.address(), own(7).named("Yealink SIP-T46S"), user, password, START, START + 9 * HOUR, 900)
    time = START
    for n, ip in enumerate(ips):
        for user in takes(n):
            f.ask(time, ip, own(7).named(MAKES[n % len(MAKES)].agent), "REGISTER", user)
            time += 4
        time += 300


def test_a_shuffled_list_that_is_handed_on_is_one_attacker_under_whatever_names(tmp_path: Path) -> None:
    f = field(14)
    users = [str(3000 + n) for n in range(200)]
    f.random.shuffle(users)
    ips = f.addresses(5)
    one_by_one(f, ips, lambda n: users[n * 40 : n * 40 + 35])
    report = read(tmp_path, f.world)
    assert [sorted(found) for found in groups(report)] == [sorted(ips)]
    assert any("list handed on" in link for actor in report.actors for link in actor.links)


def test_choices_out_of_one_range_that_share_some_users_are_nobody_s_list(tmp_path: Path) -> None:
    f = field(15)
    users = [str(3000 + n) for n in range(200)]
    one_by_one(f, f.addresses(5), lambda n: f.random.sample(users, 40))
    assert groups(read(tmp_path, f.world)) == []


def test_switchboards_that_open_one_after_the_other_with_accounts_of_one_range_are_nobody(tmp_path: Path) -> None:
    f = field(16)
    user, password = f.account()
    f.stay(f.world.address(), MAKES[1], user, password, START, START + 9 * HOUR, 900)
    accounts = [f.account()[0] for _ in range(120)]
    f.random.shuffle(accounts)
    for n, ip in enumerate(f.addresses(4)):
        for again in range(5):
            for m, user in enumerate(accounts[n * 30 : n * 30 + 30]):
                f.register(
                    START + n * HOUR + again * 300 + m, ip, MAKES[1], user, "old", call_id=f"{n}-{m}@pbx.example"
                )
    report = read(tmp_path, f.world)
    assert groups(report) == []


def test_few_tries_on_each_of_many_users_hours_apart_are_a_spraying(tmp_path: Path) -> None:
    f = field(17)
    ips = f.addresses(40)
    spray(f, ips, own(3), [str(1000 + n) for n in range(40)], 6)
    report = read(tmp_path, f.world)
    kinds = {str(campaign.type) for campaign in report.actors[0].campaigns}
    assert "spraying" in kinds
    assert "brute_force" not in kinds


#: What svmap 0.3.8 wrote to a server on loopback.
SVMAP = (
    b"OPTIONS sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-1349770058;rport\r\nMax-Forwards: 70\r\n"
    b'To: "sipvicious"<sip:100@1.1.1.1>\r\nFrom: "sipvicious"<sip:100@1.1.1.1>;tag=3766303030303031636237370134303531383838383239\r\n'
    b"User-Agent: friendly-scanner\r\nCall-ID: 969068603725470218085233\r\nContact: sip:100@127.0.0.1:5060\r\nCSeq: 1 OPTIONS\r\n"
    b"Accept: application/sdp\r\nContent-Length: 0\r\n\r\n"
)


def test_a_public_tool_is_known_by_its_fingerprint_under_any_name() -> None:
    recorder = Recorder("0123456789ab", "0123456789ab", "enforce")
    for raw in (SVMAP, SVMAP.replace(b"friendly-scanner", b"eyeBeam")):
        line = recorder.core.decision(raw, START, "198.51.100.7", 5060, "udp", "1", "allow")
        _, order, forms = json.loads(line)["sipsieve"]["client"].split("_")
        assert {order, forms} <= PUBLIC
