"""The role in packaging/ansible, played in a container with Debian's Kamailio: what docs/install.md says of it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "sipsieve-ansible-test"
CFG = "/etc/kamailio/kamailio.cfg"
ATTACK = (
    "OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKansible{call};rport\r\nMax-Forwards: 70\r\n"
    "From: \"1' OR '1'='1' UNION SELECT password FROM users --\" <sip:a@example.com>;tag=1\r\nTo: <sip:bob@127.0.0.1>\r\n"
    "Call-ID: {call}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
ASK = (
    "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(10)\ns.bind(('127.0.0.1',0))\n"
    "s.sendto(sys.argv[1].replace('{port}',str(s.getsockname()[1])).encode(),('127.0.0.1',5060))\nprint(s.recv(4096).split()[1].decode())"
)


class Host:
    """A container that the role is played in."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, code: int | None = 0) -> str:
        """What the command says inside. Fails unless it ends with `code`."""
        done = subprocess.run(
            ["docker", "exec", self.name, *command], capture_output=True, text=True, timeout=300, check=False
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def play(self, *values: str, code: int = 0) -> dict[str, int]:
        """Plays the example; the numbers of its last line."""
        package = next((ROOT / "build/deb").glob("sipsieve_*.deb")).name
        told = self.run(
            "ansible-playbook", "-i", "localhost,", "-c", "local", "-e", f"sipsieve_package=/deb/{package}",
            *(part for value in values for part in ("-e", value)), "/ansible/site.yml", code=code,
        )  # fmt: skip
        recap = told.split("PLAY RECAP", 1)[1]
        return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", recap)}

    def answer(self, call: str) -> str:
        """The status that an attack is answered with."""
        return self.run("python3", "-c", ASK, ATTACK.replace("{call}", call)).strip()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    name = f"sipsieve-ansible-{os.getpid()}"
    # Without systemd it is start-stop-daemon that stops Kamailio: it looks which program a process of another user runs.
    subprocess.run(
        ["docker", "run", "-d", "--rm", "--cap-add", "SYS_PTRACE", "--name", name, "-v", f"{ROOT}/packaging/ansible:/ansible:ro", "-v", f"{ROOT}/build/deb:/deb:ro", IMAGE],
        check=True, capture_output=True,
    )  # fmt: skip
    try:
        yield Host(name)
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=False, capture_output=True)


def test_the_role_puts_the_guard_in_and_a_second_run_changes_nothing(host: Host) -> None:
    first = host.play("sipsieve_mode=enforce")
    assert first["changed"] > 3 and first["failed"] == 0, first
    assert host.run("sipsieve", "status", "--json")
    assert host.answer("one") == "403", host.run("tail", "-5", "/var/log/sipsieve/decisions.jsonl", code=None)
    assert '"action":"reject"' in host.run("tail", "-3", "/var/log/sipsieve/decisions.jsonl")
    again = host.play("sipsieve_mode=enforce")
    assert (again["changed"], again["failed"]) == (0, 0), again
    assert host.run("grep", "-c", "sipsieve.cfg", CFG).strip() == "1"


def test_a_change_of_the_policy_reaches_the_server(host: Host) -> None:
    changed = host.play("sipsieve_mode=observe")
    assert changed["failed"] == 0 and changed["changed"] >= 1, changed
    assert host.answer("two") != "403"


def test_a_broken_policy_is_refused_before_it_is_in_place(host: Host) -> None:
    before = host.run("cat", "/etc/sipsieve/sipsieve.toml")
    host.play("sipsieve_mode=sometimes", code=2)
    assert host.run("cat", "/etc/sipsieve/sipsieve.toml") == before
    host.run("sipsieve", "status")
