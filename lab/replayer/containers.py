"""The stage in containers: drives lab/compose.yml and looks into what runs there."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec

from .kamailio import ROOT, StartError
from .player import Job, Outcome
from .scenario import Goal, Loaded, Step

COMPOSE: Final = ROOT / "lab" / "compose.yml"

#: First three bytes of each zone's addresses, what is added to its numbers, and the container that has them.
ZONES: Final = {
    "internet": ("198.18.66", 0, "attacker"),
    "self": ("198.18.66", 8, "attacker"),
    "office": ("198.18.77", 0, "phones"),
    "trunk": ("198.18.66", 200, "phones"),
}

#: Where the honeypot listens.
HONEYPOT: Final = "198.18.66.4"

#: Where each edge listens, by the network that its caller is in.
EDGES: Final = {
    ("edge", "198.18.66"): "198.18.66.2",
    ("edge", "198.18.77"): "198.18.77.2",
    ("edge-plain", "198.18.66"): "198.18.66.3",
    ("edge-plain", "198.18.77"): "198.18.77.3",
    ("honeypot", "198.18.66"): HONEYPOT,
}

LOG: Final = "/var/log/sipsieve/decisions.jsonl"

#: Seconds that all containers may take until they are healthy.
START: Final = 120.0


def compose_command() -> list[str]:
    """`docker compose` or Debian's `docker-compose`, whichever is there. Raises `StartError`."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise StartError(
        "neither `docker compose` nor `docker-compose` is installed: `apt-get install docker.io docker-compose`"
    )


class Containers:
    """The running lab."""

    uas = "198.18.0.40:5060"

    def __init__(self) -> None:
        self._compose = [*compose_command(), "-f", str(COMPOSE), "--profile", "honeypot"]
        self._names: dict[str, str] = {}
        self._mark = 0
        self._probes: list[dict[str, bool]] | None = None
        self._loaded: Loaded | None = None
        self.target_name = ""

    def up(self, *services: str) -> None:
        """Starts the lab from images that are there, and waits until every container is healthy."""
        done = subprocess.run(
            [*self._compose, "up", "-d", "--no-build", *services], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StartError(f"the lab did not come up:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        end = time.monotonic() + START
        while waiting := self._unhealthy():
            if time.monotonic() > end:
                raise StartError(f"not healthy within {START:g} s: {', '.join(waiting)}; see `make lab-logs`")
            time.sleep(0.5)

    def down(self) -> None:
        """Ends the lab with all that it stored."""
        subprocess.run([*self._compose, "down", "-v", "-t", "3"], capture_output=True, check=False)

    def logs(self, file: Path) -> None:
        """Writes what every container said to a file."""
        with file.open("wb") as out:
            subprocess.run([*self._compose, "logs", "--no-color"], stdout=out, stderr=subprocess.STDOUT, check=False)

    def running(self) -> bool:
        """Whether the edge and the attacker run."""
        return bool(self._id("edge") and self._id("attacker"))

    def _unhealthy(self) -> list[str]:
        ids = self._output([*self._compose, "ps", "-q"]).split()
        if not ids:
            return ["everything"]
        shown = self._output(["docker", "inspect", "-f", "{{.Name}} {{.State.Status}} {{.State.Health.Status}}", *ids])
        waiting = []
        for line in shown.splitlines():
            name, state, health = line.split()
            if state == "exited":
                raise StartError(f"{name.strip('/')} ended; see `make lab-logs`")
            if health != "healthy":
                waiting.append(name.strip("/"))
        return waiting

    def _id(self, service: str) -> str:
        if not self._names.get(service):
            self._names[service] = self._output([*self._compose, "ps", "-q", service]).strip()
        return self._names[service]

    def _output(self, argv: list[str]) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    def run(self, service: str, argv: list[str], stdin: str = "", user: str = "", seconds: float = 90.0) -> str:
        """Runs a command in a container and returns its output. Raises `StartError` where it fails."""
        command = ["docker", "exec", "-i", *(["-u", user] if user else []), self._id(service), *argv]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
        if done.returncode:
            raise StartError(f"{service}: {' '.join(argv[:4])} ended with {done.returncode}: {done.stderr[-1000:]}")
        return done.stdout

    # A stage

    def addresses(self, loaded: Loaded) -> dict[str, str]:
        """The scenario's sources, each with its address in the lab."""
        return {name: _address(host)[0] for name, host in loaded.scenario.sources.items()}

    def target(self, name: str) -> tuple[str, int]:
        """The edge's leg towards the internet; `play` takes the office's where a step comes from there."""
        self.target_name = name
        return EDGES[name, "198.18.66"], 5060

    def begin(self, loaded: Loaded, target: str) -> None:
        """Back office as new, no bans, and records count from here."""
        self._probes = None
        self._loaded = loaded
        if loaded.scenario.goal:
            self.run("billing", ["python3", "-m", "billing.inspect", "reset"])
        if target == "edge":
            self._mark = int(self.run("edge", ["sh", "/lab/forget", LOG]).split()[-1])

    def play(self, job: Job, step: Step, loaded: Loaded) -> Outcome:
        """Carries a step out in the container that has its address."""
        network = job.source.rpartition(".")[0]
        host = EDGES[self.target_name, network]
        if host != job.host:
            job.argv = [argument.replace(job.host, host) for argument in job.argv]
            job.values = [{key: text.replace(job.host, host) for key, text in values.items()} for values in job.values]
            job.host = host
        service = ZONES[loaded.scenario.sources[step.source].partition(".")[0]][2]
        # Only root may forge a source address; everything else is done without rights.
        user = "root" if job.forged else "lab"
        output = self.run(service, ["python3", "-m", "replayer.player"], json.dumps(asdict(job)), user)
        return Outcome(**json.loads(output))

    def records(self) -> list[dict[str, Any]]:
        """The decision log since `begin`, whole lines only."""
        text = self.run("edge", ["tail", "-c", f"+{self._mark + 1}", LOG])
        return [json.loads(line) for line in text.split("\n")[:-1] if line]

    def probe(self, goal: Goal, variant: str) -> bool | None:
        """Whether a goal shows in the back office."""
        assert self._loaded is not None
        looked = [wanted for wanted in self._loaded.scenario.goal if not (wanted.answered or wanted.output)]
        if self._probes is None:
            goals = json.dumps([msgspec.to_builtins(wanted) for wanted in looked])
            self._probes = json.loads(self.run("billing", ["python3", "-m", "billing.inspect", "probe"], goals))
        return self._probes[looked.index(goal)][variant]


def _address(host: str) -> tuple[str, str]:
    zone, _, number = host.partition(".")
    prefix, shift, service = ZONES[zone]
    return f"{prefix}.{int(number) + shift}", service
