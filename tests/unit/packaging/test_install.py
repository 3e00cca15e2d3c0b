"""`make install` and `make uninstall`, into a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import ROOT

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


def make(*words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "-s", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    make("install", f"DESTDIR={tmp_path}", "PACKAGES=no")
    return tmp_path


def test_everything_stands_where_the_file_hierarchy_says(installed: Path) -> None:
    there = files(installed)
    assert {
        "etc/sipsieve/sipsieve.toml",
        "etc/logrotate.d/sipsieve",
        "usr/bin/sipsieve",
        "usr/sbin/sipsieve-packages",
        "usr/lib/sipsieve/kamailio.cfg",
        "usr/lib/sipsieve/kemi/sipsieve.cfg",
        "usr/lib/sipsieve/kemi/sipsieve_kemi.py",
        "usr/lib/sipsieve/kemi/sipsieve/detection/rules/sql.toml",
        "usr/lib/sipsieve/analysis/sipsieve_analysis/cli.py",
        "usr/lib/systemd/system/kamailio.service.d/sipsieve.conf",
    } <= there
    assert {f"usr/share/sipsieve/{name}" for name in files(ROOT) if name.startswith("integrations/")} <= there
    assert {path for path in there if "/prometheus/" in path} == {
        "usr/share/sipsieve/prometheus/grafana-dashboard.json",
        "usr/share/sipsieve/prometheus/sipsieve.rules.yml",
        "usr/share/sipsieve/prometheus/sipsieve.console.html",
    }
    assert {path.split("/")[0] for path in there} == {"etc", "usr"}
    assert (installed / "usr/lib/sipsieve/kemi/sipsieve.toml").readlink() == Path("/etc/sipsieve/sipsieve.toml")
    assert not [path for path in there if path.endswith(".pyc")]


def test_a_second_installation_keeps_the_edited_policy(installed: Path) -> None:
    policy = installed / "etc/sipsieve/sipsieve.toml"
    policy.write_text('mode = "observe"\n')
    stale = installed / "usr/lib/sipsieve/kemi/sipsieve/gone.py"
    stale.write_text("")
    make("install", f"DESTDIR={installed}", "PACKAGES=no")
    assert policy.read_text() == 'mode = "observe"\n'
    assert not stale.exists()


def test_uninstall_leaves_what_is_the_operators_and_purge_nothing(installed: Path) -> None:
    make("uninstall", f"DESTDIR={installed}")
    assert files(installed) == {"etc/sipsieve/sipsieve.toml", "etc/logrotate.d/sipsieve"}
    make("uninstall", f"DESTDIR={installed}", "PURGE=1")
    assert files(installed) == set()


@pytest.mark.debian
def test_packages_are_refused_when_a_wheel_is_not_the_pinned_one(installed: Path) -> None:
    wheels = installed / "wheels"
    wheels.mkdir()
    there = installed / "usr/lib/sipsieve" / VERSION
    there.mkdir()
    (there / "as-before").write_text("")
    done = subprocess.run(
        [str(installed / "usr/sbin/sipsieve-packages"), "--root", str(installed), "--wheelhouse", str(wheels)],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null"},
    )
    assert done.returncode == 1
    assert "is as it was" in done.stderr
    assert files(there) == {"as-before"}


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--python"], "needs a value"), (["--pyhton", "3.11"], "no such option"), (["--python", "4"], "give it as")],
)
def test_a_wrong_call_is_told(words: list[str], says: str) -> None:
    done = subprocess.run(
        [str(ROOT / "packaging" / "sipsieve-packages"), *words], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert says in done.stderr
