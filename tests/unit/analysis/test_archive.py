"""`sipsieve archive`: once, whole or not at all, masked and no older than allowed; and read back as the logs are read."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from harness import ROOT
from sipsieve_analysis.cli import main
from store_server import store_server

CASE = ROOT / "tests/fixtures/case"
MASK = re.compile(r"masked-[0-9a-f]{18}")


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def archive(place: object, *arguments: object, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("archive", place, *arguments, "--json", "-q", code=code))
    return found


def report(*paths: object) -> dict[str, Any]:
    """The report, but for the names of the files that it was made from."""
    found: dict[str, Any] = json.loads(run("analyze", "--json", "-q", *paths, code=1))
    found["inputs"].pop("files")
    return found


def rows(place: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(place.glob("events/*/*/*.parquet")):
        found += pq.ParquetFile(path).read().to_pylist()
    return found


def record(serial: int, when: str = "2026-11-16T10:00:00.000001Z", user: str = "100") -> str:
    return json.dumps(
        {
            "@timestamp": when, "source": {"ip": "198.51.100.9", "port": 5060}, "network": {"transport": "udp"},
            "event": {"kind": "event", "action": "allow", "id": f"1-1-{serial}"},
            "sip": {"type": "request", "method": "INVITE", "uri": f"sip:{user}@example.com", "call_id": f"{serial}@host",
                    "from": "sip:+4915112345678@example.com", "to": f"sip:{user}@example.com"},
        }
    )  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(bz2.decompress((CASE / "decisions.jsonl.bz2").read_bytes()))
    return path


def test_an_archive_of_several_kinds_of_logs_is_read_as_these_are(tmp_path: Path, log: Path) -> None:
    others = [CASE / "kamailio.log.gz", CASE / "week.pcap.gz"]
    added = archive(tmp_path / "archive", "--edge", "fra-1", log, *others)
    assert [item["rows"] for item in added["inputs"]] == [1341, 141, 1410]
    assert report(tmp_path / "archive") == report(log, *others)
    names = {str(path.relative_to(tmp_path / "archive").parent) for path in (tmp_path / "archive").rglob("*.parquet")}
    assert "events/day=2026-11-16/edge=fra-1" in names and len(names) == 7


def test_what_is_in_the_archive_is_not_added_again(tmp_path: Path, log: Path) -> None:
    whole, place = log.read_bytes(), tmp_path / "archive"
    # While it is written, a line may be there in part.
    cut = whole.index(b"\n", 300_000) + 60
    log.write_bytes(whole[:cut])
    first = archive(place, log)["inputs"][0]
    log.write_bytes(whole)
    rest = archive(place, log)["inputs"][0]
    assert first["rows"] == whole[:cut].count(b"\n") and first["rows"] + rest["rows"] == 1341
    # Rotated, packed, beside the next one: what is known is known by what is in it.
    packed = tmp_path / "decisions.jsonl.1.gz"
    packed.write_bytes(gzip.compress(whole))
    log.write_text(record(1) + "\n")
    again = archive(place, packed, log, packed)["inputs"]
    assert [(item["known"], item["rows"]) for item in again] == [(True, 0), (False, 1), (True, 0)]
    assert len(rows(place)) == 1342
    # Another edge may have written the same.
    assert archive(place, "--edge", "other", packed)["inputs"][0]["rows"] == 1341


_CRASH = """
import os, sys
from pathlib import Path
from sipsieve_analysis.archive import place
from sipsieve_analysis.cli import main
at, real, count = int(sys.argv[1]), Path.rename, 0
def rename(self, target):
    global count
    count += 1
    if count == at and not after:
        os._exit(9)
    real(self, target)
    if count == at and after:
        os._exit(9)
after = sys.argv[2] == "after"
Path.rename = rename
main(sys.argv[3:])
"""


# The mark, seven days, the manifest: each begun and not finished, or finished and nothing after it.
@pytest.mark.parametrize(("at", "when"), [(1, "after"), (4, "before"), (8, "after"), (9, "before"), (9, "after")])
def test_a_crash_at_any_file_leaves_nothing_half(tmp_path: Path, log: Path, at: int, when: str) -> None:
    place = tmp_path / "archive"
    call = ["archive", str(place), "--edge", "e", str(log), "-q"]
    done = subprocess.run([sys.executable, "-c", _CRASH, str(at), when, *call], timeout=60, check=False)
    assert done.returncode == 9
    finished = (at, when) == (9, "after")
    told = CliRunner().invoke(main, ["analyze", "--json", "-q", str(place)]).output
    assert ("1,341" if finished else "Nothing could be read") in told
    again = archive(place, "--edge", "e", log)
    assert again["inputs"][0]["known"] is finished
    assert len(rows(place)) == 1341 and not list(place.rglob(".unfinished*"))


def policy(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(f"[privacy]\n{text}")
    return path


def test_numbers_are_masked_as_the_guard_masks_them_and_once(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 32)
    log = tmp_path / "decisions.jsonl"
    found = {
        "findings": [
            {"rule": "a", "family": "sql", "score": 5, "field": "uri.userinfo", "excerpt": "alice' OR 1"},
            {"rule": "b", "family": "sql", "score": 5, "field": "from", "excerpt": "sip:0049 151 12345678@x' OR 1"},
        ],
        "indicators": [{"type": "url", "value": "sip:alice@example.net"}, {"type": "ip", "value": "192.0.2.1"}],
    }  # fmt: skip
    first = {**json.loads(record(1, user="alice")), **found}
    log.write_text(json.dumps(first) + "\n" + record(2, user="+4915112345678") + "\n")
    settings = policy(tmp_path, f'mask = "users"\nkey_file = "{key}"\n')
    archive(tmp_path / "a", log, "--policy", settings)
    masked = rows(tmp_path / "a")
    text = json.dumps(masked)
    assert "alice" not in text and "15112345678" not in text and "192.0.2.1" in text
    assert [len(row["findings"] or ()) for row in masked] == [2, 0]
    # The caller and the called number are one: so are their masks, with and without the plus.
    assert masked[1]["from_uri"] == masked[1]["to_uri"] == masked[0]["from_uri"]
    # What was masked by the guard stays as it is: a log with masks in it joins one without.
    log.write_text(log.read_text().replace("sip:+4915112345678@", f"sip:{MASK.search(masked[1]['to_uri'])[0]}@"))  # type: ignore[index]
    archive(tmp_path / "b", log, "--policy", settings)
    assert [row["from_uri"] for row in rows(tmp_path / "b")] == [row["from_uri"] for row in masked]
    said = run("archive", tmp_path / "c", log, "--policy", policy(tmp_path, 'mask = "users"'), code=1)
    assert "privacy.key_file is needed" in said


def test_what_is_too_old_is_left_out_and_taken_away(tmp_path: Path) -> None:
    today = datetime.now(UTC)
    log, place = tmp_path / "decisions.jsonl", tmp_path / "archive"
    log.write_text("".join(record(n, f"{today - timedelta(days=n):%Y-%m-%dT%H:%M:%SZ}") + "\n" for n in range(10)))
    keep = policy(tmp_path, "retention_days = 7")
    assert archive(place, log, "--policy", keep)["inputs"][0] == {
        "path": str(log), "rows": 8, "expired": 2, "parts": 8, "known": False}  # fmt: skip
    shorter = archive(place, log, "--policy", policy(tmp_path, "retention_days = 3"))
    assert (shorter["expired_parts"], shorter["inputs"][0]["known"]) == (4, True)
    assert len(rows(place)) == 4
    told = json.loads(run("analyze", "--json", "-q", place))["inputs"]
    assert told["records"] == {"decision log": 10} and told["skipped"] == {
        "archived records that were too old to be kept": 6}  # fmt: skip


def test_times_that_no_clock_shows_share_one_partition(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    years = [1, 1969, 1999, 2000, 2099, 2100, 9999]
    log.write_text("".join(record(n, f"{year:04}-07-01T00:00:00Z") + "\n" for n, year in enumerate(years)))
    archive(tmp_path / "archive", log)
    days = sorted(path.name for path in (tmp_path / "archive/events").iterdir())
    assert days == ["day=2000-07-01", "day=2099-07-01", "day=other"] and len(rows(tmp_path / "archive")) == 7


def test_errors_say_what_to_do(tmp_path: Path, log: Path) -> None:
    place = tmp_path / "archive"
    archive(place, log)
    assert "letters, digits" in run("archive", place, "--edge", "../x", log, code=1)
    grown = tmp_path / "kamailio.log"
    grown.write_bytes(gzip.decompress((CASE / "kamailio.log.gz").read_bytes()))
    archive(place, grown)
    grown.write_bytes(grown.read_bytes() * 2)
    assert "archive it when it is rotated" in run("archive", place, grown, code=1)
    part = next(place.rglob("*.parquet"))
    shutil.copy(next(path for path in place.rglob("*.parquet") if path != part), part)
    assert "restore the parts" in run("analyze", place, code=2)
    part.unlink()
    assert "can't be read" in run("analyze", place, code=2)
    mark = place / "sipsieve-archive.json"
    mark.write_text(mark.read_text().replace('"schema": 1', '"schema": 2'))
    for call in (["analyze", place], ["archive", place, log]):
        assert "upgrade sipsieve" in run(*call, code=2 if call[0] == "analyze" else 1)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an archive in an empty bucket of an S3 server on loopback."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with store_server() as url:
        yield url


def test_a_store_holds_an_archive_as_a_folder_does(log: Path, bucket: str) -> None:
    added = archive(bucket, "--edge", "fra-1", log)
    assert added["inputs"][0]["rows"] == 1341 and len(added["inputs"]) == 1
    assert archive(bucket, "--edge", "fra-1", log)["inputs"][0]["known"]
    assert report(bucket) == report(log)
    assert "no archive" in run("analyze", bucket.replace("/eu?", "/us?"), code=2)


def test_keys_in_an_address_are_refused_and_not_repeated(log: Path) -> None:
    addresses = (
        "s3://name:geheim@archive/eu?region=us-east-1",
        "s3://name:ab/geheim@archive/eu",
        "s3://geheim@archive/eu",
        "s3://archive/eu?access_key=name&secret_key=geheim",
    )
    for address in addresses:
        for call in (["analyze"], ["archive"]):
            said = run(*call, address, *([log] if call == ["archive"] else []), code=2 if call == ["analyze"] else 1)
            assert "AWS_SECRET_ACCESS_KEY" in said and "geheim" not in said, address


def test_what_two_archives_hold_counts_once(tmp_path: Path, log: Path) -> None:
    archive(tmp_path / "one", "--edge", "fra-1", log)
    archive(tmp_path / "two", "--edge", "fra-2", log, CASE / "kamailio.log.gz")
    found = report(tmp_path / "one", tmp_path / "two", tmp_path / "one")
    assert found["inputs"]["skipped"].pop("archived inputs that were read already (read once)") == 2
    assert found == report(log, CASE / "kamailio.log.gz")
