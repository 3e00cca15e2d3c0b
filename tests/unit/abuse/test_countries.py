"""Where addresses are at home: files in MaxMind's format, conditions on them, and what a broken file does: nothing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import SDP, request
from mmdb import written
from sipsieve import _core
from sipsieve.abuse.sources import Networks
from sipsieve.config import policy
from sipsieve.config.geo import Geo
from sipsieve.control import geo_files
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.decision_log.record import Recorder
from sipsieve.detection import ruleset
from sipsieve.model import Decision
from sipsieve_analysis.operate.effective import effective, text_of_address
from sipsieve_analysis.operate.lines import line_of
from sipsieve_analysis.watch import words

NOW = 1_800_000_000.0
RULES = ruleset.load()

COUNTRIES = written(
    {
        "192.0.2.0/24": {"country": {"iso_code": "DE", "names": {"en": "Germany"}}, "city": {"geoname_id": 1}},
        "192.0.2.128/25": {"registered_country": {"iso_code": "NL"}},
        "198.51.100.0/24": {"country": "FR"},
        "203.0.113.0/24": {"country_code": "IT", "country": "Italy"},
        "2001:db8::/32": {"country": {"iso_code": "SE"}},
        "2001:db9::/32": {"country": {"geoname_id": 7}},
    },
    NOW,
)
OPERATORS = written(
    {
        "192.0.2.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Networks"},
        "198.51.100.0/24": {"asn": "AS64501", "as_name": "Böse; Nachbarn " * 9},
        "2001:db8::/33": {"asn": 64502},
    },
    NOW,
)
OPEN = "[limits]\nenabled = false\n"


@pytest.fixture
def geo(tmp_path: Path) -> Geo:
    for name, content in (("country", COUNTRIES), ("asn", OPERATORS)):
        (tmp_path / name).write_bytes(content)
    return Geo(country=str(tmp_path / "country"), asn=str(tmp_path / "asn"))


def engine(geo: Geo, text: str) -> Engine:
    loaded = policy.loads(f'{text}\n[geo]\ncountry = "{geo.country}"\nasn = "{geo.asn}"\n')
    return Engine(loaded, RULES, Networks(loaded, geo_files.offline(loaded.geo)))


def decided(own: Engine, ip: str, raw: bytes = request()) -> Decision:
    return own.decide(raw, own.networks.source(ip, 5060, "udp"), NOW, NoCounters())


def test_both_families_and_each_way_of_writing_a_record_are_read(geo: Geo) -> None:
    table = geo_files.offline(geo)
    assert table is not None
    found = {
        ip: table.find(ip) for ip in ("192.0.2.1", "192.0.2.200", "203.0.113.9", "2001:db8::1", "2001:db8:8000::1")
    }
    assert found == {
        "192.0.2.1": ("DE", 64500, "Example Networks"),
        "192.0.2.200": ("NL", 64500, "Example Networks"),
        "203.0.113.9": ("IT", 0, ""),
        "2001:db8::1": ("SE", 64502, ""),
        "2001:db8:8000::1": ("SE", 0, ""),
    }
    country, asn, name = table.find("::ffff:198.51.100.1")
    assert (country, asn) == ("FR", 64501) and name.startswith("Böse; Nachbarn") and len(name.encode()) <= 48
    for unknown in ("192.0.1.255", "192.0.3.0", "2001:db9::1", "2001:db7:ffff::", "::1", "255.255.255.255", "nonsense"):
        assert table.find(unknown) == ("", 0, ""), unknown


def test_a_file_of_ipv4_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / "v4").write_bytes(
        written({"0.0.0.0/1": {"country": "DE"}, "192.0.2.7/32": {"country": "NL"}}, NOW, version=4)
    )
    table = geo_files.offline(Geo(country=str(tmp_path / "v4")))
    assert table is not None
    assert [table.find(ip)[0] for ip in ("1.1.1.1", "192.0.2.7", "192.0.2.8", "2001:db8::1")] == ["DE", "NL", "", ""]


def _hostile() -> dict[str, bytes]:
    middle = len(COUNTRIES) // 2
    looped = bytearray(written({"192.0.2.0/24": {"country": "DE"}}, NOW))
    looped[:8] = bytes(8)
    return {
        "empty": b"",
        "text": b"<html>not found</html>",
        "cut": COUNTRIES[:middle],
        "without its tree": COUNTRIES[middle:],
        "a loop": bytes(looped),
        "of another kind": OPERATORS,
    }


@pytest.mark.parametrize("name", _hostile())
def test_a_broken_file_is_told_and_nothing_is_known(tmp_path: Path, name: str) -> None:
    path = tmp_path / "country"
    path.write_bytes(_hostile()[name])
    files = geo_files.GeoFiles(Geo(country=str(path)))
    told = files.load(Geo(country=str(path)), NOW)
    assert (
        len(told) == 1 and str(path) in told[0] and "geo.country" in told[0] and "no address has a country" in told[0]
    )
    assert files.table is not None and files.table.find("192.0.2.1") == ("", 0, "")


@given(st.integers(0, len(COUNTRIES) - 1), st.integers(0, 255), st.integers(0, len(COUNTRIES)))
def test_damage_anywhere_is_an_error_or_another_answer_and_never_more(place: int, byte: int, end: int) -> None:
    content = bytearray(COUNTRIES)
    content[place] = byte
    for damaged in (bytes(content), COUNTRIES[:end]):
        began = time.process_time()
        with contextlib.suppress(ValueError):
            _core.GeoFile(damaged, "country")
        assert time.process_time() - began < 1


def test_what_was_read_before_stays_where_the_new_file_is_broken_old_or_gone(geo: Geo) -> None:
    files = geo_files.GeoFiles(geo)
    assert files.load(geo, NOW) == [] and files.table is not None
    Path(geo.country).write_bytes(b"half a down")
    told = files.load(geo, NOW)
    assert len(told) == 1 and "what was read before is used" in told[0]
    assert files.table.find("192.0.2.1") == ("DE", 64500, "Example Networks")
    Path(geo.country).unlink()
    assert "can't be read: No such file" in files.load(geo, NOW)[0]
    Path(geo.country).write_bytes(written({"192.0.2.0/24": {"country": "AT"}}, NOW - 91 * 86_400))
    told = files.load(geo, NOW)
    assert len(told) == 1 and "is 91 days old, more than geo.max_age_days, 90" in told[0]
    assert files.table.find("192.0.2.1")[0] == "AT"
    # Who takes it out of the policy means it.
    assert files.load(Geo(asn=geo.asn), NOW) == [] and files.table.find("192.0.2.1") == ("", 64500, "Example Networks")


def test_what_is_in_force_is_told_with_its_age_and_what_is_wrong(geo: Geo) -> None:
    heard: list[str] = []
    files = geo_files.GeoFiles(geo, heard.append)
    files.load(geo, NOW)
    told = files.facts(NOW + 86_400)
    assert told["country"] == {
        "file": geo.country, "database": "Test", "built": int(NOW), "ranges": told["country"]["ranges"], "problem": None,
    }  # fmt: skip
    assert told["country"]["ranges"] > 4 and heard == []
    # Nobody reads it anew, and it becomes old all the same.
    assert "is 91 days old" in files.facts(NOW + 91 * 86_400)["asn"]["problem"]
    Path(geo.country).write_bytes(b"half a down")
    assert files.load(geo, NOW) == heard and len(heard) == 1
    told = files.facts(NOW)
    assert "what was read before is used" in told["country"]["problem"] and told["country"]["built"] == int(NOW)
    other = Geo(country=f"{geo.country}.other")
    with pytest.raises(geo_files.Unusable, match=r"No such file"):
        files.read(other, NOW, must=True)
    assert files.table is not None and files.table.find("192.0.2.1")[0] == "DE"
    files.load(other, NOW)
    told = files.facts(NOW)
    assert list(told) == ["country"] and told["country"]["built"] is None and told["country"]["ranges"] == 0
    assert "no address has a country" in told["country"]["problem"]


def test_without_room_since_the_start_nothing_can_be_named(geo: Geo) -> None:
    files = geo_files.GeoFiles(Geo())
    assert files.load(Geo(), NOW) == [] and files.facts(NOW) == {}
    with pytest.raises(geo_files.Unusable, match=r"restart Kamailio"):
        files.read(geo, NOW, must=True)
    assert len(files.load(geo, NOW)) == 1 and "restart Kamailio" in files.facts(NOW)["asn"]["problem"]


def test_neither_a_pipe_nor_a_folder_holds_up_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        (problem,) = geo_files.problems(Geo(country=str(path)), NOW)
        assert str(path) in problem


def test_requests_are_refused_by_country_and_what_is_not_known_never_is(geo: Geo) -> None:
    own = engine(
        geo, f'{OPEN}[[network]]\ncountry = ["DE"]\naction = "reject"\n[[network]]\nasn = [64502]\naction = "drop"\n'
    )
    refused = decided(own, "192.0.2.1")
    assert (refused.verdict, refused.status) == ("reject", 403)
    assert [finding.rule for finding in refused.findings] == ["network"]
    assert "the source is in country DE" in refused.reason
    assert decided(own, "2001:db8::1").verdict == "drop"
    assert "AS64502" in decided(own, "2001:db8::1").reason
    for other in ("192.0.2.200", "198.51.100.1", "2001:db8:8000::1", "10.0.0.1", "nonsense"):
        assert decided(own, other).verdict == "allow", other


def test_all_but_some_countries_leaves_out_what_is_not_known(geo: Geo) -> None:
    own = engine(geo, f'{OPEN}[[network]]\ncountry = ["DE", "NL"]\noutside = true\naction = "reject"\n')
    verdicts = {
        ip: str(decided(own, ip).verdict)
        for ip in ("192.0.2.1", "192.0.2.200", "198.51.100.1", "10.0.0.1", "2001:db9::1")
    }
    assert verdicts == {
        "192.0.2.1": "allow", "192.0.2.200": "allow", "198.51.100.1": "reject", "10.0.0.1": "allow", "2001:db9::1": "allow",
    }  # fmt: skip
    # A file that is gone refuses nobody.
    Path(geo.country).unlink()
    gone = engine(geo, f'{OPEN}[[network]]\ncountry = ["DE", "NL"]\noutside = true\naction = "reject"\n')
    assert decided(gone, "198.51.100.1").verdict == "allow"


def test_a_prefix_goes_before_a_country_and_calls_go_on(geo: Geo) -> None:
    text = (
        f'{OPEN}[[network]]\ncidr = "192.0.2.7"\nmode = "observe"\n[[network]]\ncountry = ["DE"]\naction = "reject"\n'
    )
    own = engine(geo, text)
    assert decided(own, "192.0.2.7").verdict == "allow" and decided(own, "192.0.2.8").verdict == "reject"

    class InCall(NoCounters):
        def knows_dialog(self, identity: int) -> bool:
            return True

    bye = request("BYE", to="<sip:bob@example.com>;tag=b")
    assert own.decide(bye, own.networks.source("192.0.2.8", 5060, "udp"), NOW, InCall()).verdict == "allow"
    watched = engine(geo, f'[rules]\nobserve = ["network"]\n{text}')
    seen = decided(watched, "192.0.2.8")
    assert (seen.verdict, seen.enforced) == ("reject", False)


def test_limits_and_mode_hold_by_country_and_operator(geo: Geo) -> None:
    text = (
        '[[network]]\ncountry = ["SE"]\nasn = [64502]\nmode = "observe"\n'
        '[[network]]\ncountry = ["DE"]\n[network.limits]\ninvite = { per_minute = 3 }\n'
    )
    own = engine(geo, text)
    facts = effective(own.policy, "192.0.2.1", own.networks.geo)
    assert facts["limits"]["invite"] == {"per_minute": 3, "burst": 0, "from": "network DE"}
    assert (facts["network"], facts["country"], facts["asn"]) == ("DE", "DE", 64500)
    lines = "\n".join(text_of_address(facts | {"live": None}, NOW))
    assert "at home      DE, AS64500 Example Networks" in lines
    assert effective(own.policy, "2001:db8::1", own.networks.geo)["mode"] == "observe"
    # Both are asked for, and one is not known.
    assert effective(own.policy, "2001:db8:8000::1", own.networks.geo)["mode"] == "enforce"
    counted = _core.Memory(4096, "", 1, 10)
    call = request("INVITE", body=SDP)
    source = own.networks.source("192.0.2.1", 5060, "tcp")
    verdicts = [
        own.judge.decide(
            call.replace(b"Call-ID: ", b"Call-ID: %d" % number), source, NOW, counted, lambda *_: 0, lambda: None
        )[0]
        for number in range(5)
    ]
    assert verdicts == ["allow"] * 3 + ["reject"] * 2


def test_destinations_hold_for_callers_of_a_country_or_operator(geo: Geo) -> None:
    text = (
        f'{OPEN}[dialling]\ncountry = "49"\n[[destinations]]\nname = "abroad"\nmode = "enforce"\n'
        'from_countries = ["NL", "FR"]\nforbidden = ["CU"]\n'
        '[[destinations]]\nname = "hosting"\nmode = "enforce"\nfrom_asns = [64500]\nforbidden = ["+4930"]\n'
    )
    own = engine(geo, text)

    def dials(number: str, ip: str) -> str:
        return str(decided(own, ip, request("INVITE", uri=f"sip:{number}@pbx.example.com", body=SDP)).verdict)

    assert (dials("+5371234567", "198.51.100.1"), dials("+5371234567", "192.0.2.1")) == ("reject", "allow")
    assert (dials("+49301234567", "192.0.2.1"), dials("+49301234567", "203.0.113.1")) == ("reject", "allow")


def test_record_and_tail_show_where_a_source_is_at_home(geo: Geo) -> None:
    own = engine(geo, OPEN)
    source = own.networks.source("192.0.2.1", 5060, "udp")
    decision = own.decide(request(), source, NOW, NoCounters())
    record: dict[str, Any] = json.loads(
        Recorder("0" * 12, "0" * 12, "enforce").decision(decision, request(), source, NOW, "1-1")
    )
    assert record["source"] == {
        "ip": "192.0.2.1", "port": 5060, "geo": {"country_iso_code": "DE"},
        "as": {"number": 64500, "organization": {"name": "Example Networks"}},
    }  # fmt: skip
    assert "192.0.2.1:5060 DE AS64500 " in line_of(record).plain
    unknown = own.networks.source("10.0.0.1", 5060, "udp")
    plain = json.loads(Recorder("0" * 12, "0" * 12, "enforce").decision(decision, request(), unknown, NOW, "1-1"))
    assert plain["source"] == {"ip": "10.0.0.1", "port": 5060}


def test_report_and_alert_name_countries_and_operators_of_an_actor(geo: Geo, tmp_path: Path) -> None:
    own = engine(geo, "")
    recorder = Recorder("0" * 12, "0" * 12, "enforce")
    lines = []
    for number, ip in enumerate(("192.0.2.1", "192.0.2.2", "192.0.2.200", "10.9.8.7") * 5):
        source = own.networks.source(ip, 5060, "udp")
        raw = request("INVITE", from_='"\' or 1=1--" <sip:a@example.com>;tag=a', body=SDP)
        decision = own.decide(raw, source, NOW, NoCounters())
        lines.append(recorder.decision(decision, raw, source, NOW + number, f"1-{number}"))
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(b"".join(lines))
    told = subprocess.run(
        [sys.executable, "-m", "sipsieve_analysis.cli", "analyze", "--json", "-q", str(log)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert told.stdout, told.stderr
    actors = json.loads(told.stdout)["actors"]
    by_address = {ip: actor["homes"] for actor in actors for ip in actor["addresses"]}
    assert "DE, AS64500 Example Networks" in by_address["192.0.2.1"]
    assert all(home.startswith(("DE", "NL")) for homes in by_address.values() for home in homes)
    alert = {
        "kind": "actor", "tier": "high", "addresses": ["192.0.2.1"], "address_count": 1, "homes": by_address["192.0.2.1"],
        "new_addresses": [], "spoofed": False, "intents": [], "why": [], "action": "", "first_seen": "", "last_seen": "", "id": "1",
    }  # fmt: skip
    assert "\nWhere from: DE, AS64500 Example Networks" in words.message([alert])[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[network]]\ncountry = ["DE"]\naction = "drop"', "network[0].country: nothing says where addresses are at home"),
        ('[[destinations]]\nname = "a"\nfrom_asns = [1]', "destinations[0].from_asns: nothing says where"),
        ('[[network]]\ntrusted = true', "network[0]: which addresses are meant"),
        ('[[network]]\ncidr = "192.0.2.1"\ncountry = ["DE"]', "network[0]: which addresses are meant"),
        ('[[network]]\ncidr = "192.0.2.1"\naction = "drop"', "network[0].action: goes with country or asn only"),
        ('[[network]]\nasn = [1]\ntrusted = true', "network[0].trusted: a country or operator is full of strangers"),
        ('[[network]]\ncountry = ["Germany"]', "network[0].country"),
        ('[geo]\ncountry = "relative.mmdb"', "geo.country"),
    ],
)  # fmt: skip
def test_what_can_never_hold_is_refused_with_its_key(text: str, said: str) -> None:
    with pytest.raises(policy.PolicyError) as error:
        policy.loads(text)
    assert said in str(error.value), error.value
