"""Countries and operators in a real Kamailio: refused, counted and recorded by them, replaced in one step, and never in the way."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, exchange, request, sipsieve, status
from mmdb import written

POLICY = """
[geo]
country = "{folder}/country.mmdb"
asn = "{folder}/asn.mmdb"
[[network]]
country = ["FR"]
action = "reject"
[[network]]
asn = [64501]
[network.limits]
other = {{ per_minute = 2 }}
"""


def put(path: Path, content: bytes) -> None:
    """As an updater does it: a new file in the old one's place."""
    path.with_suffix(".new").write_bytes(content)
    os.replace(path.with_suffix(".new"), path)


def countries(**homes: str) -> bytes:
    """`_9="FR"` for 127.0.9.0/24."""
    nets = {f"127.0.{name[1:]}.0/24": {"country": {"iso_code": home}} for name, home in homes.items()}
    return written(nets, time.time())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("geo")
    put(folder / "country.mmdb", countries(_9="FR", _10="DE"))
    put(
        folder / "asn.mmdb",
        written(
            {
                "127.0.11.0/24": {
                    "autonomous_system_number": 64501,
                    "autonomous_system_organization": "Example Networks",
                }
            },
            time.time(),
        ),
    )
    with Server(folder, POLICY.format(folder=folder), workers=2) as running:
        yield running


def answered(server: Server, source: str) -> int:
    answer = exchange(server, request(), source=source, seconds=3.0)
    return 0 if answer is None else status(answer)


def test_a_country_is_refused_an_operator_has_limits_of_its_own_and_both_are_on_record(server: Server) -> None:
    assert [answered(server, f"127.0.{third}.1") for third in (9, 10, 12)] == [403, 200, 200]
    refused = server.record_from("127.0.9.1")
    assert refused["source"]["geo"] == {"country_iso_code": "FR"} and refused["rule"]["id"] == ["network"]
    assert [answered(server, "127.0.11.1") for _ in range(3)] == [200, 200, 503]
    limited = server.record_from("127.0.11.1")
    assert limited["source"]["as"] == {"number": 64501, "organization": {"name": "Example Networks"}}
    assert "geo" not in server.record_from("127.0.12.1")["source"]
    told = sipsieve(server, "explain", "127.0.9.1", "--policy", str(server.policy)).stdout
    assert "at home      FR" in told and "requests     reject" in told, told


def test_a_new_file_holds_for_all_workers_after_a_reload_and_a_broken_one_changes_nothing(server: Server) -> None:
    country = server.folder / "country.mmdb"
    put(country, countries(_9="DE", _10="FR"))
    assert sipsieve(server, "reload").returncode == 0
    for _ in range(2):
        assert [answered(server, f"127.0.{third}.2") for third in (9, 10)] == [200, 403]
    put(country, b"an error page")
    checked = sipsieve(server, "check", "--policy", str(server.policy))
    assert checked.returncode == 0 and "country.mmdb: is damaged" in checked.stdout, checked
    assert sipsieve(server, "reload").returncode == 0
    for _ in range(2):
        assert [answered(server, f"127.0.{third}.3") for third in (9, 10)] == [200, 403]
    assert any("what was read before is used" in json.dumps(record) for record in server.records("state"))
    server.assert_healthy()


def test_the_server_starts_without_the_files_and_refuses_nobody(server: Server) -> None:
    (server.folder / "country.mmdb").unlink()
    server.stop()
    server.start()
    assert [answered(server, f"127.0.{third}.4") for third in (9, 10)] == [200, 200]
    said = [record for record in server.records("state") if "no address has a country" in json.dumps(record)]
    assert len(said) == 1
    assert answered(server, "127.0.11.9") == 200
    server.assert_healthy()


def test_a_file_can_be_set_for_a_time_and_status_says_what_is_in_force(server: Server) -> None:
    put(server.folder / "country.mmdb", countries(_9="FR"))
    put(server.folder / "other.mmdb", countries(_10="FR"))
    assert sipsieve(server, "reload").returncode == 0
    assert [answered(server, f"127.0.{third}.5") for third in (9, 10)] == [403, 200]
    done = sipsieve(server, "set", "geo.country", str(server.folder / "other.mmdb"))
    assert done.returncode == 0, done
    assert [answered(server, f"127.0.{third}.6") for third in (9, 10)] == [200, 403]
    told = sipsieve(server, "status").stdout
    assert f"geo.country: {server.folder}/other.mmdb (" in told and "0 days old" in told and "geo.asn: " in told, told
    refused = sipsieve(server, "set", "geo.country", "/nowhere.mmdb")
    assert refused.returncode == 1 and "/nowhere.mmdb: can't be read" in refused.stderr, refused
    assert [answered(server, f"127.0.{third}.7") for third in (9, 10)] == [200, 403]
    (server.folder / "country.mmdb").unlink()
    back = sipsieve(server, "set", "geo.country", "--clear")
    assert back.returncode == 0 and "no address has a country" in back.stderr, back
    assert "geo.country: none in force: " in sipsieve(server, "status").stdout
    assert [answered(server, f"127.0.{third}.8") for third in (9, 10)] == [200, 200]
    server.assert_healthy()
