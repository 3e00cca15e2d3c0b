"""A start with broken policy, rules or files, as root with -u, and inside the unit's sandbox: SIP is answered, or it is said why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from harness import KEMI, ROOT, Server, exchange, request, status, wait_for
from replayer.loopback import without_guard
from sipsieve_analysis.operate.rpc import Rpc

GOOD = "[limits]\nstatus = 403\n[limits.other]\nper_minute = 2\n"
BROKEN = "[limits]\nstatus = 403\n[limits.other]\nper_minuet = 2\n"


def refused_with(server: Server, source: str) -> int:
    """What a source is answered that is over the limit of the good policy."""
    answers = [status(exchange(server, request("OPTIONS"), source=source)) for _ in range(4)]
    return answers[-1]


def test_a_broken_policy_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    with Server(tmp_path, GOOD, workers=2) as server:
        assert refused_with(server, "127.0.6.1") == 403
    server.policy.write_text(BROKEN)
    with server:
        assert refused_with(server, "127.0.6.1") == 403
        said = server.wait_record(lambda r: r["event"]["action"] == "last_good", "a record")
        assert re.search(r"policy\.toml:\d+: limits\.other\.per_minuet: no such key", said["event"]["reason"])
        assert "CRITICAL" in server.text()
        assert "last good ones" in server.text()
        # Mended, it is taken up without a restart.
        server.policy.write_text(GOOD.replace("403", "503"))
        done = sipsieve(server, "reload")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: refused_with(server, "127.0.6.2") == 503, "the new policy")
    # And is the last good one from now on.
    server.policy.write_text(BROKEN)
    with server:
        assert refused_with(server, "127.0.6.3") == 503


def sipsieve(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "SIPSIEVE_RPC": str(server.folder / "sipsieve_rpc.fifo"),
        "SIPSIEVE_POLICY": str(server.policy),
    }
    return subprocess.run(
        [str(Path(sys.executable).with_name("sipsieve")), *arguments],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_broken_rules_leave_the_last_good_ones_in_force(tmp_path: Path) -> None:
    rules = tmp_path / "own.toml"
    rules.write_text(
        'family = "scanner"\n[[rule]]\nid = "own-tool"\npattern = "evil-tool"\nscore = 5\nreason = "a tool"\n'
        'parts = ["text"]\nheaders = ["user-agent"]\nhits = ["evil-tool"]\nmisses = ["good tool"]\n'
    )
    tool = ("User-Agent: evil-tool",)
    with Server(tmp_path / "server", f'[detection]\nrules = ["{rules}"]\n', workers=1) as server:
        assert status(exchange(server, request("OPTIONS", headers=tool), source="127.0.6.4")) == 403
    rules.write_text("family = ")
    with server:
        assert status(exchange(server, request("OPTIONS", headers=tool), source="127.0.6.4")) == 403
        assert str(rules) in server.wait_record(lambda r: r["event"]["action"] == "last_good")["event"]["reason"]


def test_a_switch_says_fail_instead(tmp_path: Path) -> None:
    with Server(tmp_path, GOOD, workers=1) as server:
        pass
    server.policy.write_text(BROKEN)
    strict = Server(tmp_path, BROKEN, workers=1, environment={"SIPSIEVE_STRICT": "1"})
    with pytest.raises(AssertionError, match="per_minuet: no such key"):
        strict.start()
    strict.stop()


def test_without_a_last_good_one_it_is_said_what_is_wrong(tmp_path: Path) -> None:
    server = Server(tmp_path, BROKEN, workers=1)
    with pytest.raises(AssertionError, match="per_minuet: no such key"):
        server.start()
    server.stop()


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9])
def test_a_flipped_bit_is_seen_and_set_aside(tmp_path: Path, place: float) -> None:
    with Server(tmp_path, GOOD, workers=1) as server:
        pass
    kept = tmp_path / "last-good.json"
    content = bytearray(kept.read_bytes())
    content[int(place * len(content))] ^= 1
    kept.write_bytes(content)
    # A good policy starts whatever that file holds, and replaces it.
    with server:
        assert status(exchange(server, request("OPTIONS"), source="127.0.6.5")) == 200
    assert json.loads(kept.read_text())["format"] == 1
    kept.write_bytes(content)
    server.policy.write_text(BROKEN)
    with pytest.raises(AssertionError, match="per_minuet: no such key"):
        server.start()
    server.stop()
    assert "last-good.json: " in server.text()


def test_what_another_user_wrote_is_not_loaded(tmp_path: Path) -> None:
    with Server(tmp_path, GOOD, workers=1) as server:
        pass
    os.chown(tmp_path / "last-good.json", 65534, 65534)
    server.policy.write_text(BROKEN)
    with pytest.raises(AssertionError, match="not this user's own file"):
        server.start()
    server.stop()


def test_root_runs_no_code_that_the_workers_user_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    code = tmp_path / "kemi"
    shutil.copytree(KEMI, code, ignore=shutil.ignore_patterns("core", "target"))
    run = tmp_path / "run"
    run.mkdir()
    run.chmod(0o777)
    server = Server(
        run, "", workers=1, arguments=("-u", "nobody", "-g", "nogroup"),
        environment={"SIPSIEVE_PYTHON": str(code / "sipsieve_kemi.py")},
    )  # fmt: skip
    shutil.chown(code / "sipsieve", "nobody")
    with pytest.raises(AssertionError, match="root would run what it left"):
        server.start()
    server.stop()
    shutil.chown(code / "sipsieve", "root")
    with server:
        assert status(exchange(server, request("OPTIONS"), source="127.0.6.6")) == 200


def test_root_follows_no_link_that_the_workers_user_may_plant(tmp_path: Path) -> None:
    """In a folder of the workers' user each file of ours is a link to one that only root may touch, or to where only root may make one."""
    with tempfile.TemporaryDirectory(prefix="sipsieve-links-") as name:
        Path(name).chmod(0o755)
        closed, folder = Path(name, "closed"), Path(name, "state")
        closed.mkdir(mode=0o700)
        folder.mkdir()
        names = {
            "LOG": "decisions.jsonl", "STATE": "bans.json", "STANDING": "standing.json", "LAST_GOOD": "last-good.json",
        }  # fmt: skip
        environment = {f"SIPSIEVE_{key}": str(folder / file) for key, file in names.items()}
        targets = {}
        for file in (*names.values(), "decisions.jsonl.ledger", "decisions.jsonl.ledger.new", "bans.json.damaged"):
            targets[file] = closed / file
        for there in (False, True):
            for file, target in targets.items():
                (folder / file).unlink(missing_ok=True)
                (folder / file).symlink_to(target)
            for target in targets.values() if there else ():
                target.write_text("root's own")
                target.chmod(0o600)
            shutil.chown(folder, "nobody", "nogroup")
            server = Server(
                tmp_path / "server", "", workers=1, arguments=("-u", "nobody", "-g", "nogroup"), environment=environment
            )
            with server:
                assert status(exchange(server, request("OPTIONS"), source="127.0.6.7")) == 200
            held = {path.name: path.read_text() for path in closed.iterdir()}
            assert held == (dict.fromkeys(targets, "root's own") if there else {})


def test_who_started_it_hears_of_it_when_sip_is_answered(tmp_path: Path) -> None:
    """As the unit does it (Type=forking): what is behind `systemctl start` finds a server that answers."""
    server = Server(tmp_path, "", workers=2)
    pid = tmp_path / "daemon.pid"
    arguments = [word for word in server._kamailio.argv if word not in ("-DD", "-E", "-e")]
    arguments[arguments.index("-P") + 1] = str(pid)
    # A pipe would stay open with the daemon.
    with (tmp_path / "daemon.out").open("wb") as output:
        done = subprocess.run(
            arguments, env=server.environment, cwd=tmp_path, stdout=output, stderr=output, timeout=60, check=False
        )
    try:
        assert done.returncode == 0, (tmp_path / "daemon.out").read_text()
        began = time.monotonic()
        assert status(exchange(server, request("OPTIONS"), source="127.0.6.7")) == 200
        assert time.monotonic() - began < 1
    finally:
        os.kill(int(wait_for(lambda: pid.exists() and pid.read_text(), "its process id")), signal.SIGTERM)
        # Kamailio itself gives its children up to a minute.
        wait_for(lambda: not pid.exists(), "it has ended", 70)


#: prctl(2): PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN is what MemoryDenyWriteExecute comes to; 38 is PR_SET_NO_NEW_PRIVS.
SANDBOX = """
import ctypes, os, sys
prctl = ctypes.CDLL(None, use_errno=True).prctl
for option in (65, 38):
    if prctl(option, 1, 0, 0, 0):
        sys.exit(f"prctl({option}): {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_it_runs_where_no_memory_may_be_written_and_executed(tmp_path: Path) -> None:
    server = Server(tmp_path, "", workers=2)
    server._kamailio.argv[:0] = [sys.executable, "-c", SANDBOX]
    with server:
        server.assert_healthy()
        assert (
            status(exchange(server, request("OPTIONS", headers=("User-Agent: sipvicious",)), source="127.0.6.8")) == 403
        )
        assert isinstance(Rpc(str(tmp_path / "sipsieve_rpc.fifo")).call("core.version"), str)
        about = Path(f"/proc/{server.started[0]}/status").read_text()
        assert "NoNewPrivs:\t1" in about


def test_the_unit_leaves_little_to_a_worker_that_was_taken_over(tmp_path: Path) -> None:
    """systemd's own measure, over Debian's unit with our drop-in behind it."""
    unit = tmp_path / "kamailio.service"
    stock = Path("/lib/systemd/system/kamailio.service").read_text()
    unit.write_text(f"{stock}\n{(ROOT / 'packaging' / 'kamailio.service.conf').read_text()}")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    level = re.search(r"Overall exposure level for kamailio.service: ([0-9.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) <= 3.0


def test_start_within_a_second_of_bare(tmp_path: Path) -> None:
    """With nothing kept of an earlier start: rules, policy and memory are made ready in that second."""
    plain = tmp_path / "kamailio.cfg"
    plain.write_text(without_guard((ROOT / "kamailio.cfg").read_text()))

    def answered(name: str, config: Path) -> float:
        began = time.monotonic()
        with Server(tmp_path / name, config=config) as server:
            assert status(exchange(server, request("OPTIONS"))) == 200
            return time.monotonic() - began

    # The quickest of some: what else the machine does at the same time is not the guard's.
    bare = min(answered(f"b{number}", plain) for number in range(4))
    guarded = min(answered(f"g{number}", ROOT / "kamailio.cfg") for number in range(4))
    assert guarded - bare < 1.0, f"{guarded:.2f} s, and {bare:.2f} s without"
