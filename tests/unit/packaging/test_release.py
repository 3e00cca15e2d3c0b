"""A release can be built again byte for byte, names what it is made of, is signed, and is held against advisories."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from harness import ROOT

#: Asks for git and ssh-keygen, which a bare machine may lack.
pytestmark = pytest.mark.debian

#: 2026-01-02 03:04:05 UTC.
EPOCH = 1767323045


def release(out: Path, *files: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    told = {"PYTHON": sys.executable, "SOURCE_DATE_EPOCH": str(EPOCH), "DIRTY": "yes", "TRIAL": "yes", **environment}
    return subprocess.run(
        [ROOT / "packaging" / "release", "1.2.3", out, *files],
        capture_output=True, text=True, timeout=120, env={**os.environ, **told}, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def repository() -> None:
    """Archives of the sources without history have no commit to release."""
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, check=False)
    assert done.returncode == 0, "a release is made of a commit: call this in a clone"


def test_sources_and_list_are_the_same_bytes_each_time(tmp_path: Path, repository: None) -> None:
    wheel = tmp_path / "some.whl"
    wheel.write_bytes(b"a wheel")
    made = []
    for name in ("one", "two"):
        done = release(tmp_path / name, wheel)
        assert done.returncode == 0, done.stderr
        made.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert made[0] == made[1]
    assert made[0].keys() == {"sipsieve-1.2.3.tar.gz", "sipsieve-1.2.3.cdx.json", "some.whl", "SHA256SUMS"}
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path / "one", check=True, capture_output=True)
    with tarfile.open(tmp_path / "one" / "sipsieve-1.2.3.tar.gz") as sources:
        members = sources.getmembers()
    commit = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, check=True)
    assert {member.mtime for member in members} == {int(commit.stdout)}
    assert "sipsieve-1.2.3/kemi/core/Cargo.lock" in {member.name for member in members}


def test_the_list_names_every_crate_and_every_pinned_package(tmp_path: Path, repository: None) -> None:
    assert release(tmp_path / "out").returncode == 0
    listed = json.loads((tmp_path / "out" / "sipsieve-1.2.3.cdx.json").read_bytes())
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    assert listed["metadata"]["component"]["version"] == "1.2.3"
    urls = {part["purl"] for part in listed["components"]}
    lock = tomllib.loads((ROOT / "kemi" / "core" / "Cargo.lock").read_text())["package"]
    crates = {f"pkg:cargo/{crate['name']}@{crate['version']}" for crate in lock if "source" in crate}
    texts = [
        path.read_text() for path in (ROOT / "kemi" / "requirements.txt", *ROOT.glob("analysis/requirements*.txt"))
    ]
    pins = {
        f"pkg:pypi/{name}@{version}" for text in texts for name, version in re.findall(r"^(\S+)==(\S+)", text, re.M)
    }
    assert len(crates) > 50 and len(pins) > 10
    assert urls == crates | pins
    unlicensed = [part["name"] for part in listed["components"] if part["purl"] in pins and not part.get("licenses")]
    assert unlicensed == []


def test_checksums_are_signed_and_a_changed_one_is_told_of(tmp_path: Path, repository: None) -> None:
    key, out = tmp_path / "key", tmp_path / "out"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    assert release(out, KEY=str(key)).returncode == 0
    signers = tmp_path / "allowed_signers"
    signers.write_text(f'releases@sipsieve namespaces="sipsieve-release" {(tmp_path / "key.pub").read_text()}')

    def verified(content: bytes) -> int:
        return subprocess.run(
            ["ssh-keygen", "-q", "-Y", "verify", "-f", signers, "-I", "releases@sipsieve", "-n", "sipsieve-release",
             "-s", out / "SHA256SUMS.sig"],
            input=content, capture_output=True, check=False,
        ).returncode  # fmt: skip

    sums = (out / "SHA256SUMS").read_bytes()
    assert verified(sums) == 0
    assert verified(sums.replace(b"a", b"b", 1)) != 0


def test_a_key_that_is_not_there_is_told_of_before_anything_is_made(tmp_path: Path, repository: None) -> None:
    done = release(tmp_path / "out", KEY=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "can't be read" in done.stderr
    assert not (tmp_path / "out").exists()


def advisory(package: str, **affected: object) -> dict[str, object]:
    return {
        "id": "TEST-1",
        "summary": "a flaw",
        "affected": [{"package": {"ecosystem": "PyPI", "name": package}, **affected}],
    }


def between(*events: dict[str, str]) -> dict[str, object]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


@pytest.mark.parametrize(
    ("package", "affected", "code"),
    [
        ("MsgSpec", between({"introduced": "0"}), 1),
        ("msgspec", between({"introduced": "0"}, {"fixed": "0.1"}), 0),
        ("msgspec", between({"introduced": "0"}, {"last_affected": "999"}), 1),
        ("msgspec", between({"introduced": "999"}), 0),
        ("somebody-elses", between({"introduced": "0"}), 0),
    ],
)
def test_pins_are_held_against_advisories_without_a_network(
    tmp_path: Path, package: str, affected: dict[str, object], code: int
) -> None:
    (tmp_path / "TEST-1.json").write_text(json.dumps(advisory(package, **affected)))
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / "advisories.py", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("msgspec" in done.stdout and "TEST-1" in done.stdout) == bool(code)


def test_an_empty_folder_of_advisories_is_no_all_clear(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / "advisories.py", tmp_path], capture_output=True, check=False
    )
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("maintainer", "url", "said"),
    [
        ("Jane Doe <jane@sip.example.org>", "https://pub.dev.net", "jane@sip.example.org> is an example"),
        ("Jane Doe <jane@Example.com>", "https://pub.dev.net", "packaging/maintainer: "),
        ("Jane Doe <jane@sieve.invalid>", "https://pub.dev.net", "packaging/maintainer: "),
        ("Jane Doe", "https://pub.dev.net", "NAME <ADDRESS>"),
        (
            "Jane Doe <jane@pub.dev.net>",
            "https://sipsieve.example.org",
            "APKBUILD: https://sipsieve.example.org is an example",
        ),
        ("Jane Doe <jane@exampleworks.net>", "https://pub.dev.net/example.org-talk", ""),
    ],
)
def test_an_example_of_a_maintainer_is_not_released(tmp_path: Path, maintainer: str, url: str, said: str) -> None:
    (tmp_path / "packaging/alpine").mkdir(parents=True)
    asked = tmp_path / "packaging/published"
    shutil.copy(ROOT / "packaging/published", asked)
    (tmp_path / "packaging/maintainer").write_text(maintainer + "\n")
    (tmp_path / "packaging/alpine/APKBUILD").write_text(f'url="{url}"\n')
    done = subprocess.run([asked], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False)
    assert done.returncode == bool(said) and said in done.stderr, done.stderr
    assert bool(done.stderr) == bool(said)
    tried = {"PATH": os.environ["PATH"], "TRIAL": "yes"}
    assert subprocess.run([asked], env=tried, check=False).returncode == 0


def test_what_the_sources_say_is_an_example_and_the_release_refuses_it(tmp_path: Path, repository: None) -> None:
    done = release(tmp_path / "out", TRIAL="")
    assert done.returncode == 1 and "TRIAL=yes" in done.stderr and not (tmp_path / "out").exists()


def test_each_recipe_names_the_one_maintainer() -> None:
    maintainer = (ROOT / "packaging/maintainer").read_text().strip()
    recipe = (ROOT / "packaging/alpine/APKBUILD").read_text().splitlines()
    assert recipe[:2] == [f"# Contributor: {maintainer}", f"# Maintainer: {maintainer}"]
    for path in ("packaging/debian/control", "packaging/rpm/sipsieve.spec"):
        assert "@" not in (ROOT / path).read_text().replace("@MAINTAINER@", ""), path
