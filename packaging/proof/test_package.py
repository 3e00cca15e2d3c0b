"""The Debian package in a clean Debian: installed, run, upgraded, mended and purged, one step after the other.

Run by `make deb-test` inside a chroot, as root, never on a machine in use: it installs and removes for real.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness import invite, peer, request, status

DEB = Path(os.environ["SIPSIEVE_DEB"])
WHEELS = Path("/src/build/wheelhouse")
HOST_CONFIG = Path("/etc/kamailio/kamailio.cfg")
POLICY = Path("/etc/sipsieve/sipsieve.toml")
LOG = Path("/var/log/sipsieve/decisions.jsonl")
HOME = Path("/usr/lib/sipsieve")
READY = Path("/usr/share/sipsieve/integrations")
TREE = Path("/src")
PID = Path("/run/kamailio/kamailio.pid")
UNIT = Path("/usr/lib/systemd/system/kamailio.service")
DROPIN = UNIT.with_name("kamailio.service.d") / "sipsieve.conf"
PORT = 5060
HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'


def run(*words: str, code: int = 0, **more: Any) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, **more)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return value


def everything() -> set[str]:
    """All files of the system, but for what is the project's tree, the kernel's or dpkg's own."""
    found = set()
    for folder, folders, names in os.walk("/"):
        folders[:] = [
            name for name in folders
            if os.path.join(folder, name) not in ("/src", "/proc", "/sys", "/dev", "/tmp", "/run", "/opt", "/root")
            and name != "__pycache__"
        ]  # fmt: skip
        found.update(os.path.join(folder, name) for name in [*folders, *names])
    return {path for path in found if not path.startswith(("/var/lib/dpkg/", "/var/log/", "/var/cache/"))}


def exchange(data: bytes) -> bytes | None:
    with peer("127.0.0.1", PORT) as sock:
        sock.send(data)
        try:
            return sock.recv(65535)
        except (TimeoutError, ConnectionError):
            return None


def refused(answer: bytes | None) -> bool:
    """Whether the guard refused; Debian's configuration itself answers 403 Not relaying."""
    assert answer is not None
    return answer.startswith(b"SIP/2.0 403 Forbidden")


def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []


def unit_settings() -> tuple[dict[str, str], list[str]]:
    """Environment and command line as systemd would put them together from the unit and the drop-in."""
    environment: dict[str, str] = {}
    command = ""
    for path in (UNIT, DROPIN):
        for line in path.read_text().splitlines():
            if line.startswith("Environment="):
                name, _, value = shlex.split(line.removeprefix("Environment="))[0].partition("=")
                environment[name] = value
            elif line.startswith("ExecStart="):
                command = line.removeprefix("ExecStart=")
    return environment, [environment.get(word[1:], word) if word[0] == "$" else word for word in shlex.split(command)]


def start() -> None:
    """Kamailio as the unit starts it: its user, its folder in /run, in the background."""
    user = pwd.getpwnam("kamailio")
    PID.parent.mkdir(exist_ok=True)
    os.chown(PID.parent, user.pw_uid, user.pw_gid)
    environment, command = unit_settings()
    assert command[-4:] == ["-x", "tlsf", "-X", "tlsf"]
    # To a file: the processes in the background keep what they inherit.
    with open("/tmp/kamailio.out", "ab") as output:
        subprocess.run(
            ["setpriv", "--reuid=kamailio", "--regid=kamailio", "--init-groups", *command],
            check=True, timeout=60, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={"PATH": "/usr/bin:/bin", **environment},
        )  # fmt: skip
    wait_for(lambda: status(exchange(request("OPTIONS", uri="sip:127.0.0.1"))), "Kamailio answers")


def left() -> str:
    """Kamailio's processes, each with its state and what it waits for in the kernel, and the last that it said."""
    lines = []
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        try:
            if "(kamailio)" in (about := (folder / "stat").read_text()):
                lines.append(f"{about[:60]} {(folder / 'wchan').read_text()} {(folder / 'syscall').read_text()}")
        except OSError:
            continue
    said = Path("/tmp/kamailio.out")
    return "\n".join([*lines, said.read_text(errors="replace")[-3000:] if said.exists() else ""])


def stop() -> None:
    if PID.exists():
        pid = int(PID.read_text())
        stat = Path(f"/proc/{pid}/stat")

        def ended() -> bool:
            # Nobody may be there to bury it.
            return not stat.exists() or ") Z " in stat.read_text()

        os.kill(pid, signal.SIGTERM)
        try:
            with suppress(AssertionError):
                wait_for(ended, "Kamailio ended at once", 5)
            if not ended():
                # Its main loop looks for a signal, then waits for one: what comes between the two is not seen before the next.
                os.kill(pid, signal.SIGTERM)
            wait_for(ended, "Kamailio ended")
        except AssertionError as error:
            raise AssertionError(f"{error}; what is left of it:\n{left()}") from None
        PID.unlink(missing_ok=True)


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    yield
    stop()


@pytest.fixture(scope="module")
def before() -> set[str]:
    return everything()


def test_it_installs_and_its_command_runs(before: set[str]) -> None:
    assert not HOME.exists()
    run("dpkg", "--install", str(DEB))
    assert "sipsieve" in run("sipsieve", "--version")
    listed = run("sipsieve", "--help")
    assert "check" in listed
    assert "sipsieve-packages --analyze" in run("sipsieve", "analyze", "x", code=1)
    log = LOG.parent.stat()
    assert (pwd.getpwuid(log.st_uid).pw_name, log.st_mode & 0o7777) == ("kamailio", 0o2750)
    assert list((HOME / "kemi" / "sipsieve" / "decision" / "__pycache__").glob("engine.*.pyc"))
    assert (HOME / "kemi" / "sipsieve.toml").read_text() == POLICY.read_text()


def test_check_names_the_line_to_add_and_one_line_puts_the_guard_in() -> None:
    said = run("sipsieve", "check", "--kamailio", str(HOST_CONFIG), code=1)
    wanted = re.search(r'^(\S+):(\d+): .*(include_file "/usr/lib/sipsieve/kemi/sipsieve.cfg")', said, re.M)
    assert wanted, said
    lines = HOST_CONFIG.read_text().splitlines(keepends=True)
    lines.insert(int(wanted[2]), wanted[3] + "\n")
    lines.insert(1, "#!define WITH_ANTIFLOOD\nlisten=udp:127.0.0.1:5060\n")
    HOST_CONFIG.write_text("".join(lines))
    run("sipsieve", "check", "--kamailio", str(HOST_CONFIG))


def test_kamailio_starts_as_its_unit_says_and_the_attack_stops() -> None:
    start()
    assert refused(exchange(invite(from_=HOSTILE, call_id="deb-hostile")))
    record = wait_for(
        lambda: next((r for r in records() if r.get("sip", {}).get("call_id") == "deb-hostile"), None), "a record"
    )
    assert record["event"]["action"] == "reject"
    assert pwd.getpwuid(LOG.stat().st_uid).pw_name == "kamailio"


def test_the_compiled_core_is_there_and_loads() -> None:
    core = HOME / "kemi" / "sipsieve" / "_core.abi3.so"
    assert core.stat().st_mode & 0o777 == 0o644
    load = (
        "import importlib.util as u; s = u.spec_from_file_location('_core', %r); m = u.module_from_spec(s); "
        "s.loader.exec_module(m); print(m.VERSION)"
    )
    assert re.match(r"\d+\.\d+", run("/usr/bin/python3", "-c", load % str(core)))
    # Kamailio's processes have it in memory as soon as the package's Python asks for it.
    if any(re.search(r"import _core|_core import", path.read_text()) for path in (HOME / "kemi").rglob("*.py")):
        pid = int(PID.read_text())
        assert str(core) in Path(f"/proc/{pid}/maps").read_text()
    assert "==== pyo3" in run("zcat", "/usr/share/doc/sipsieve/crates.txt.gz")


def nuisance(source: str) -> dict[str, Any] | None:
    """Sends something malformed from that address; the ban that came of it so far."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.sendto(b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40, ("127.0.0.1", PORT))
    return next((r["event"] for r in records() if r["event"].get("source") == source), None)


def test_the_files_for_other_programs_are_there_and_those_take_them(tmp_path: Path) -> None:
    there = {path.relative_to(READY): path.read_bytes() for path in READY.rglob("*") if path.is_file()}
    tree = TREE / "integrations"
    assert there == {path.relative_to(tree): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    assert {path.name for path in READY.with_name("prometheus").iterdir()} == {
        "grafana-dashboard.json",
        "sipsieve.console.html",
        "sipsieve.rules.yml",
    }
    assert {path.stat().st_mode & 0o777 for path in READY.parent.rglob("*") if path.is_file()} == {0o644}
    # fail2ban: its own program finds a ban in the log that this server has written.
    banned = wait_for(lambda: nuisance("127.9.0.7"), "a nuisance is banned, and that is in the log")
    assert banned["network"] == "127.9.0.7/32"
    found = subprocess.run(
        ["fail2ban-regex", "-o", "ip", str(LOG), str(READY / "fail2ban/filter.d/sipsieve.conf")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert found.stdout.split() == ["127.9.0.7"], found.stderr
    # nftables: the sets are there, and the bans get into them.
    run("nft", "-f", str(READY / "nftables/sipsieve.nft"))
    run("sipsieve", "bans", "add", "203.0.113.7", "--for", "1h", "--reason", "proof")
    with open(tmp_path / "keep", "wb") as output:
        keep = subprocess.Popen(
            ["sipsieve", "bans", "keep", "--nft", "inet/sipsieve"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(
            lambda: "203.0.113.7" in run("nft", "list", "set", "inet", "sipsieve", "banned4"), "it is in the kernel"
        )
    finally:
        keep.terminate()
        assert keep.wait(10) == 0, (tmp_path / "keep").read_text()
    run("nft", "delete", "table", "inet", "sipsieve")
    run("sipsieve", "bans", "flush")
    # rsyslog: what it says of the file beside Debian's own settings.
    copied = Path(shutil.copy(READY / "rsyslog/sipsieve.conf", "/etc/rsyslog.d/sipsieve.conf"))
    said = run("rsyslogd", "-N1")
    copied.unlink()
    assert "error" not in re.sub("rsyslogd: version.*", "", said), said
    for path in READY.parent.rglob("*.json"):
        json.loads(path.read_text())


def test_the_switch_turns() -> None:
    assert "is off" in run("sipsieve", "off", "--reason", "proof")
    assert not refused(exchange(invite(from_=HOSTILE)))
    assert "is on" in run("sipsieve", "on")
    assert refused(exchange(invite(from_=HOSTILE)))


def test_rotation_loses_no_line() -> None:
    before = len(records())
    run("logrotate", "--force", "--state", "/tmp/logrotate.state", "/etc/logrotate.d/sipsieve")
    moved = LOG.with_name(LOG.name + ".1")
    assert len(moved.read_text().splitlines()) >= before

    def both() -> bool:
        exchange(invite(from_=HOSTILE, call_id="after-rotation"))
        return any(r.get("sip", {}).get("call_id") == "after-rotation" for r in records())

    wait_for(both, "the new log is written to, without a signal")
    assert LOG.stat().st_mode & 0o777 == 0o640
    text = moved.read_text() + LOG.read_text()
    ids = [json.loads(line)["event"].get("id") for line in text.splitlines()]
    assert len([one for one in ids if one]) == len({one for one in ids if one})


def test_an_upgrade_keeps_the_edited_policy() -> None:
    POLICY.write_text('# edited\nmode = "observe"\n')
    newer = repacked("9.9", {})
    said = run("dpkg", "--install", str(newer))
    assert "onfiguration file" not in said
    assert POLICY.read_text().startswith("# edited")
    changed = repacked("9.10", {POLICY: 'mode = "enforce" # a new default\n'})
    run("dpkg", "--force-confold", "--install", str(changed))
    assert POLICY.read_text().startswith("# edited")
    assert "a new default" in POLICY.with_name("sipsieve.toml.dpkg-dist").read_text()
    POLICY.with_name("sipsieve.toml.dpkg-dist").unlink()
    log = LOG.parent.stat()
    assert pwd.getpwuid(log.st_uid).pw_name == "kamailio"
    stop()
    start()
    # The edited policy only looks on.
    assert not refused(exchange(invite(from_=HOSTILE)))


def repacked(version: str, files: dict[Path, str]) -> Path:
    """The same package with another version and other contents."""
    folder = Path("/tmp/repacked")
    shutil.rmtree(folder, ignore_errors=True)
    run("dpkg-deb", "--raw-extract", str(DEB), str(folder))
    control = folder / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    for path, text in files.items():
        (folder / path.relative_to("/")).write_text(text)
    target = Path(f"/tmp/sipsieve_{version}.deb")
    run("dpkg-deb", "--root-owner-group", "-z1", "--build", str(folder), str(target))
    return target


def test_another_python_is_said_at_start_and_by_check_and_mended_offline() -> None:
    stop()
    version = run("/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    packages = HOME / f"python{version}"
    shutil.rmtree(packages)
    mend = f"sipsieve-packages --python {version}"
    environment, command = unit_settings()
    failed = subprocess.run(
        [*command, "-D", "-E", "-e"], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert failed.returncode != 0
    assert mend in failed.stderr
    assert mend in run("sipsieve", "check", code=1)
    run("sipsieve-packages", "--wheelhouse", str(WHEELS))
    assert packages.is_dir()
    run("sipsieve", "check", "--kamailio", str(HOST_CONFIG))
    start()


def kept_memory() -> set[str]:
    """Ids of System V memory that Kamailio's user made."""
    user = str(pwd.getpwnam("kamailio").pw_uid)
    rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:])
    # key shmid perms size cpid lpid nattch uid gid cuid cgid …; memory with key 0 is nobody's to find again.
    return {row[1] for row in rows if row[9] == user and row[0] != "0"}


def test_purging_leaves_nothing(before: set[str]) -> None:
    stop()
    assert kept_memory()
    said = run("dpkg", "--remove", "sipsieve")
    assert str(HOST_CONFIG) in said
    assert POLICY.exists()
    assert LOG.exists()
    assert not HOME.exists()
    assert not kept_memory()
    # Without the include line, Kamailio starts as before.
    lines = HOST_CONFIG.read_text().splitlines(keepends=True)
    HOST_CONFIG.write_text("".join(line for line in lines if "sipsieve.cfg" not in line))
    run("kamailio", "-c", "-f", str(HOST_CONFIG))
    run("dpkg", "--purge", "sipsieve")
    assert not Path("/var/log/sipsieve").exists()
    assert everything() - before == set()
