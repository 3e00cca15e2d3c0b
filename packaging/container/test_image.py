"""The image behind `make image`, with a PBX behind it: what docs/container.md says of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
PROJECT = f"sipsieve-proof-{os.getpid()}"


def run(*command: str, code: int | None = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout


def until(question: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def compose(*arguments: str) -> str:
    tool = (
        ["docker", "compose"]
        if run("docker", "compose", "version", code=None)
        else [shutil.which("docker-compose") or ""]
    )
    return run(*tool, "-p", PROJECT, "-f", str(HERE / "compose.yml"), *arguments)


class Edge:
    """The running example."""

    def __init__(self) -> None:
        self.name = compose("ps", "-q", "edge").strip()

    def inspect(self, form: str) -> Any:
        return json.loads(run("docker", "inspect", "-f", f"{{{{json {form}}}}}", self.name))

    @property
    def address(self) -> str:
        nets = self.inspect(".NetworkSettings.Networks")
        return str(next(net["IPAddress"] for name, net in nets.items() if name.endswith("outside")))

    def ask(self, method: str, from_: str) -> int:
        """The status of the answer to a request; 0 without one."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.settimeout(3)
            there.connect((self.address, 5060))
            here, port = there.getsockname()
            unique = f"{os.getpid()}{time.monotonic_ns()}"
            there.send(
                f"{method} sip:{self.address} SIP/2.0\r\nVia: SIP/2.0/UDP {here}:{port};branch=z9hG4bK{unique};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: {from_};tag=1\r\nTo: <sip:alice@{self.address}>\r\nCall-ID: {unique}\r\n"
                f"CSeq: 1 {method}\r\nContact: <sip:alice@{here}:{port}>\r\nExpires: 60\r\nContent-Length: 0\r\n\r\n".encode()
            )
            try:
                return int(there.recv(4096).split()[1])
            except TimeoutError:
                return 0


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    os.environ["SIP_PORT"] = "0"
    try:
        # What it has made when it fails is taken away, too: its network would be in the way of the next run.
        compose("up", "-d")
        started = Edge()
        until(lambda: started.inspect(".State.Health.Status") == "healthy", "the edge is healthy", 90)
        yield started
    finally:
        print(compose("logs", "--no-color"))
        compose("down", "-v", "-t", "5")


def test_a_phone_registers_at_the_pbx_and_an_attack_is_refused(edge: Edge) -> None:
    assert until(lambda: edge.ask("REGISTER", "<sip:alice@pbx.example>") == 200, "the PBX answers")
    assert edge.ask("REGISTER", '"x\' OR 1=1; DROP TABLE users--" <sip:alice@pbx.example>') == 403
    log = run("docker", "exec", edge.name, "cat", "/var/log/sipsieve/decisions.jsonl")
    decided = [json.loads(line) for line in log.splitlines()]
    assert {"allow", "reject"} <= {
        record["event"]["action"] for record in decided if record["event"]["kind"] == "event"
    }


def test_it_is_no_root_and_writes_nowhere_else(edge: Edge) -> None:
    assert run("docker", "exec", edge.name, "id", "-un").strip() == "kamailio"
    assert run("docker", "exec", edge.name, "id", "-u").strip() != "0"
    run("docker", "exec", edge.name, "touch", "/usr/lib/sipsieve/x", code=1)
    run("docker", "exec", edge.name, "touch", "/etc/sipsieve/x", code=1)
    status = run("docker", "exec", edge.name, "cat", "/proc/1/status")
    held = {
        line.split()[0]: line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "NoNewPrivs"))
    }
    assert held == {"CapEff:": "0000000000000000", "NoNewPrivs:": "1"}
    assert edge.inspect(".HostConfig.ReadonlyRootfs") is True


def test_the_user_is_the_one_that_the_manifest_names(edge: Edge) -> None:
    text = (HERE / "kubernetes.yaml").read_text()
    assert f"runAsUser: {run('docker', 'exec', edge.name, 'id', '-u').strip()}\n" in text
    assert f"runAsGroup: {run('docker', 'exec', edge.name, 'id', '-g').strip()}\n" in text


def test_commands_work_inside(edge: Edge) -> None:
    assert "policy" in run("docker", "exec", edge.name, "sipsieve", "status")
    run("docker", "exec", edge.name, "sipsieve", "bans", "add", "198.51.100.7", "--for", "1m")
    listed = json.loads(run("docker", "exec", edge.name, "sipsieve", "bans", "list", "--json"))
    assert [ban["source"] for ban in listed] == ["198.51.100.7"]


def test_the_pbx_is_reached_by_the_edge_alone(edge: Edge) -> None:
    nets = edge.inspect(".NetworkSettings.Networks")
    inside = next(name for name in nets if name.endswith("inside"))
    assert json.loads(run("docker", "network", "inspect", "-f", "{{json .Internal}}", inside)) is True
    pbx = compose("ps", "-q", "pbx").strip()
    ports = json.loads(run("docker", "inspect", "-f", "{{json .NetworkSettings.Networks}}", pbx))
    assert [name.rpartition("_")[2] for name in ports] == ["inside"]


def test_it_ends_when_it_is_told_to(edge: Edge) -> None:
    began = time.monotonic()
    run("docker", "stop", "-t", "30", edge.name)
    assert time.monotonic() - began < 25 and edge.inspect(".State.ExitCode") == 0
