"""Who guesses passwords behind an address at which others behave, where the log holds no answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_judgement import accused, read

from sipsieve_analysis.census import Profile
from sipsieve_analysis.sources import Source
from worlds import plain
from worlds.field import Field, office
from worlds.programs import PJSIP
from worlds.world import HOUR, START, World

OFFICE = "192.0.2.7"


@pytest.mark.parametrize("raw", [False, True], ids=["decisions", "plain log"])
def test_the_one_that_guesses_is_found_and_the_address_is_not_to_be_banned(tmp_path: Path, raw: bool) -> None:
    f = Field(World(3, with_replies=False))
    office(f)
    office(f)
    (ip, other) = sorted(f.world.legitimate)
    user, _ = f.account()
    for n in range(60):
        f.register(START + 5 * HOUR + n, ip, PJSIP.named("dialer"), user, f"guess{n}", 33000)
    report = read(tmp_path, [plain.write(f.world, tmp_path / "log").read_bytes()] if raw else f.world)
    (actor,) = (actor for actor in report.actors if ip in actor.addresses)
    assert [campaign.type for campaign in actor.campaigns] == ["brute_force"]
    (campaign,) = actor.campaigns
    assert (campaign.sources, campaign.messages, campaign.target_count) == ([ip], 120, 1)
    assert campaign.why.startswith("120 registrations as 1 user by 1 of the clients at an address")
    assert campaign.first_us >= (START + 5 * HOUR) * 1e6
    assert "don't ban the address" in actor.note
    # A list of indicators may reach a firewall without the report.
    (listed,) = (seen for seen in report.indicators if seen.indicator.value == ip)
    assert "don't ban the address" in listed.how
    assert [motive.intent for motive in actor.motives] == ["credential_theft"]
    assert other not in accused(report)


def test_an_office_is_joined_with_nobody_for_its_guest(tmp_path: Path) -> None:
    f = Field(World(4, with_replies=False))
    office(f)
    (ip,) = f.world.legitimate
    elsewhere, (user, _) = f.world.address(), f.account()
    for n in range(60):
        for address in (ip, elsewhere):
            f.register(START + 5 * HOUR + n, address, PJSIP.named("dialer"), user, f"guess{n}")
    report = read(tmp_path, f.world)
    assert not [actor for actor in report.actors if {ip, elsewhere} <= {*actor.addresses}]


def client(agent: str, calls: int, users: int, peak: int) -> Profile:
    """One with credentials in every second registration, each in a new call."""
    return Profile(
        OFFICE, agent, 2 * calls, methods={"REGISTER": 2 * calls}, register_calls=calls, register_users=users,
        authorized=calls, peak=peak, clients=["f" * 26],
    )  # fmt: skip


def test_phones_with_old_passwords_are_none_however_many_are_behind_an_address() -> None:
    others = client("Yealink SIP-T46S", 1, 1, 2)
    tool = client("dialer", 40, 1, 60)
    assert Source(OFFICE, [others, tool]).guessing == [tool]
    # Alone at its address it is told by the address.
    assert Source(OFFICE, [tool]).guessing == []
    for phones in (
        client("Grandstream GXP2170", 40, 1, 24),
        client("Grandstream GXP2170", 400, 20, 120),
        client("Grandstream GXP2170", 19, 1, 60),
    ):
        assert Source(OFFICE, [others, phones]).guessing == []
    answered = client("dialer", 40, 1, 60)
    answered.answered = 1
    assert Source(OFFICE, [others, answered]).guessing == []
