"""Bans as data: lengths, the text in the table, keys and networks, the state file, the table's upkeep."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import request
from sipsieve.abuse import bans, sources
from sipsieve.abuse.ban_audit import BanAudit
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Scope
from sipsieve_analysis.readers.replayed import MemoryCounters

ONE = bans.Entry("192.0.2.1", "limit-invite", 1000, 1600, 2, Scope.DATAGRAMS, "481 invite in a minute")


def test_lengths_rise_and_forgeable_evidence_stops_at_the_cap() -> None:
    engine = Engine(policy.loads("[limits.other]\nper_minute = 1"), ruleset.load())

    def lengths(transport: str, offences: list[int]) -> list[int]:
        source = engine.networks.source("192.0.2.1", 5060, transport)
        found = []
        for number in offences:
            counters = MemoryCounters()
            counters._offences[source.key] = number - 1
            decided = [engine.decide(request("OPTIONS"), source, 60.0, counters) for _ in range(3)]
            ban = decided[-1].ban
            assert ban is not None
            found.append(ban.seconds)
        return found

    assert lengths("tcp", [1, 2, 3, 4, 5, 99]) == [60, 600, 3600, 86400, 86400, 86400]
    assert lengths("udp", [1, 2, 3, 4]) == [60, 600, 600, 600]


def test_an_entry_survives_the_table() -> None:
    assert bans.entry(ONE.key, ONE.value) == ONE


@given(st.text(), st.text())
def test_whatever_stands_in_the_table_is_read_or_refused(key: str, value: str) -> None:
    one = bans.entry(key, value)
    assert one is None or bans.entry(one.key, one.value) == one


@given(st.text())
def test_a_reason_never_breaks_the_fields_or_a_terminal(reason: str) -> None:
    one = ONE._replace(reason=reason)
    assert one.value.isascii() and one.value.isprintable()
    read = bans.entry(one.key, one.value)
    assert read is not None and read[:6] == one[:6]


@given(st.ip_addresses(), st.sampled_from([16, 24, 32]), st.sampled_from([32, 48, 64, 128]))
def test_a_key_stands_for_the_network_around_its_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, v4: int, v6: int
) -> None:
    prefix = v4 if address.version == 4 else v6
    assert bans.network(sources.key(address, prefix)) == ipaddress.ip_network(f"{address}/{prefix}", strict=False)


@pytest.mark.parametrize("key", ["", "x", "1.2.3.4.5", "2001:db8::", "999.1.1.1", ":", "1:2:3:4:5:6:7:8:9", "."])
def test_what_is_no_key_is_no_network(key: str) -> None:
    assert bans.network(key) is None


def test_a_ban_that_would_cover_a_trusted_address_is_refused() -> None:
    loaded = policy.loads(
        '[[network]]\ncidr = "2001:db8:0:1::5"\ntrusted = true\n[[network]]\ncidr = "10.0.0.0/8"\ntrusted = true'
    )
    networks = sources.Networks(loaded)
    assert networks.never_banned("2001:db8:0:1")
    assert not networks.never_banned("2001:db8:0:2")
    assert networks.never_banned("10.1.2.3")
    assert not networks.never_banned("192.0.2.1")
    assert networks.never_banned("nonsense")


def test_the_state_file_keeps_what_lasts_and_the_longest_first() -> None:
    later = ONE._replace(key="192.0.2.2", until=5000)
    over = ONE._replace(key="192.0.2.3", until=1100)
    text = bans.dump([ONE, later, over], 1000)
    assert bans.restore(text, 1200, 10) == [later, ONE]
    assert bans.restore(text, 1200, 1) == [later]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "bans": {}}', '{"format": 1, "bans": []}', "\x00"])
def test_a_broken_state_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        bans.restore(text, 0, 10)


def test_a_flipped_bit_changes_no_ban() -> None:
    text = bans.dump([ONE, ONE._replace(key="192.0.2.2", until=5000)], 1000).encode()
    whole, refused = bans.restore(text.decode(), 1200, 10), 0
    for place in range(len(text) * 8):
        flipped = bytearray(text)
        flipped[place // 8] ^= 1 << place % 8
        try:
            found = bans.restore(flipped.decode("ascii"), 1200, 10)
        except ValueError:
            refused += 1
        else:
            # White space, and the time at which it was written, mean nothing for a ban.
            assert found == whole, bytes(flipped)
    assert refused > 0.9 * len(text) * 8


def test_the_bans_of_the_version_before_are_read() -> None:
    text = json.dumps({"format": 1, "written": 1000, "bans": {ONE.key: ONE.value}})
    assert bans.restore(text, 1200, 10) == [ONE]


def test_foreign_entries_of_a_state_file_are_left_out() -> None:
    text = json.dumps({"format": 1, "bans": {"192.0.2.1": ONE.value, "../x": ONE.value, "192.0.2.2": 5}})
    assert [one.key for one in bans.restore(text, 1200, 10)] == ["192.0.2.1"]


class TestWarden:
    """The upkeep of the table."""

    def test_what_must_not_be_banned_and_what_is_no_ban_goes(self) -> None:
        audit = BanAudit(lambda key: key == "192.0.2.9")
        table = {"192.0.2.1": ONE.value, "192.0.2.9": ONE.value, "192.0.2.8": "rubbish"}
        removals, puts, stepped = audit.look(table, 1000, 5)
        assert {change.key for change in removals} == {"192.0.2.9", "192.0.2.8"}
        assert (puts, stepped) == ([], False)

    @pytest.mark.parametrize("step", [7200, -7200])
    def test_a_clock_that_is_set_leaves_bans_their_length(self, step: int) -> None:
        audit = BanAudit(lambda key: False)
        audit.look({ONE.key: ONE.value}, 1100, 50)
        removals, puts, stepped = audit.look({}, 1101 + step, 51)
        assert stepped and not removals
        assert [(put.key, put.until) for put in puts] == [(ONE.key, 1600 + step)]

    def test_a_ban_that_was_lifted_is_not_put_again(self) -> None:
        audit = BanAudit(lambda key: False)
        audit.look({ONE.key: ONE.value}, 1100, 50)
        audit.look({}, 1101, 51)
        assert audit.look({}, 9000, 52)[1] == []

    def test_drift_is_no_step(self) -> None:
        audit = BanAudit(lambda key: False)
        audit.look({}, 1000.0, 5.0)
        assert not audit.look({}, 1001.9, 6.0)[2]
