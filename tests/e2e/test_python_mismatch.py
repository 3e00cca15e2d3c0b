"""Kamailio's Python has no packages of ours: said at start, with the command that mends it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import KEMI, ROOT, Server


def test_missing_packages_are_said_at_start(tmp_path: Path) -> None:
    shutil.copytree(KEMI, tmp_path / "kemi", ignore=shutil.ignore_patterns("__pycache__", "core"))
    shutil.copy(ROOT / "kamailio.cfg", tmp_path)
    (tmp_path / "venv" / "lib" / "python3.2" / "site-packages").mkdir(parents=True)
    server = Server(
        tmp_path / "run",
        config=tmp_path / "kamailio.cfg",
        environment={
            "SIPSIEVE_PYTHON": str(tmp_path / "kemi" / "sipsieve_kemi.py"),
            "SIPSIEVE_VENV": str(tmp_path / "venv"),
        },
    )
    with pytest.raises(AssertionError, match=r"(?i)kamailio ended"):
        server.start()
    said = [line for line in server.text().splitlines() if "sipsieve: No module named" in line]
    assert len(said) == 1
    assert "Kamailio embeds python3." in said[0]
    assert f"pip install -r {tmp_path}/kemi/requirements.txt" in said[0]
