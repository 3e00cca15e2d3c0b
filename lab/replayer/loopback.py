"""The stage on this machine: edge, telephone system and called party as processes on loopback."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from .kamailio import ROOT, Process, free_port, kamailio
from .player import Job, Outcome, play
from .scenario import Goal, Loaded, Step

#: First three bytes of each zone's addresses.
ZONES: Final = {"internet": "127.66.0", "office": "127.77.0", "trunk": "127.88.0", "self": "127.0.0"}

EDGE: Final = "127.0.0.1"
PBX: Final = "127.0.0.2"
PHONES: Final = "127.0.0.3"

#: What an operator of this stage would set: the trunk and the telephone system are trusted.
NETWORK: Final = f'[network]\ntrusted = ["{ZONES["trunk"]}.0/24", "{PBX}/32"]\n'


def policy_text() -> str:
    """The containers' policy, with the addresses of loopback."""
    own = (ROOT / "lab" / "edge" / "policy.toml").read_text("utf-8")
    return NETWORK + own[own.index("[dialling]") :]


class Loopback:
    """Starts everything below `folder` on free ports; a context manager that ends it again."""

    def __init__(
        self, folder: Path, targets: tuple[str, ...] = ("edge",), venv: Path = ROOT / ".venv", more: str = ""
    ) -> None:
        """`more`: further tables of the guard's policy."""
        self._more = more
        self.folder = folder
        self.log = folder / "decisions.jsonl"
        self._venv = venv
        self._stack = ExitStack()
        self._ports: dict[str, int] = {}
        self._targets = targets
        self._mark = 0
        self.uas = ""
        self.processes: list[Process] = []

    def __enter__(self) -> Loopback:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        phones, pbx = free_port(PHONES), free_port(PBX)
        self.uas = f"{PHONES}:{phones}"
        self._run(
            Process(
                ["sipp", "-sf", str(ROOT / "lab" / "sipp" / "uas.xml"), "-i", PHONES, "-bind_local", "-p", str(phones), "-nostdin", "-max_socket", "200"],
                self.folder / "phones", {}, phones, "phones",
            )
        )  # fmt: skip
        self._run(
            kamailio(
                self.folder / "pbx", ROOT / "lab" / "pbx" / "kamailio.cfg",
                {"PBX_LISTEN": f"udp:{PBX}:{pbx}", "PBX_TRUNK": self.uas, "PBX_RUN": str(self.folder / "pbx")},
                pbx, "pbx",
            )
        )  # fmt: skip
        for target in self._targets:
            self._edge(target, f"sip:{PBX}:{pbx}")

    def _edge(self, target: str, backend: str) -> None:
        port = self._ports[target] = free_port(EDGE)
        folder = self.folder / target
        folder.mkdir(parents=True, exist_ok=True)
        policy = folder / "policy.toml"
        policy.write_text(policy_text() + self._more)
        config = ROOT / "kamailio.cfg"
        if target == "edge-plain":
            config = folder / "kamailio.cfg"
            config.write_text(without_guard((ROOT / "kamailio.cfg").read_text()))
        environment = {
            "SIPSIEVE_LISTEN": f"udp:{EDGE}:{port} tcp:{EDGE}:{port}",
            "SIPSIEVE_BACKEND": backend,
            "SIPSIEVE_POLICY": str(policy),
            "SIPSIEVE_LOG": str(self.log),
            "SIPSIEVE_WORKERS": "2",
            "SIPSIEVE_PYTHON": str(ROOT / "kemi" / "sipsieve_kemi.py"),
            "SIPSIEVE_VENV": str(self._venv),
            "SIPSIEVE_RUN": str(folder),
        }
        self._run(kamailio(folder, config, environment, port, target))

    def _run(self, process: Process) -> None:
        # Registered first: what failed to come up may have left workers.
        self._stack.callback(process.stop)
        self.processes.append(process)
        process.start()

    def addresses(self, loaded: Loaded) -> dict[str, str]:
        """The scenario's sources, each with its loopback address."""
        return {name: address(host) for name, host in loaded.scenario.sources.items()}

    def target(self, name: str) -> tuple[str, int]:
        """Where `edge` or `edge-plain` listens."""
        return EDGE, self._ports[name]

    def play(self, job: Job, step: Step, loaded: Loaded) -> Outcome:
        """Carries a step out, in this process."""
        return play(job, self.folder / "tools" / loaded.name)

    def begin(self, loaded: Loaded, target: str) -> None:
        """Remembers where the decision log stands."""
        self._mark = self.log.stat().st_size if self.log.exists() else 0

    def records(self) -> list[dict[str, Any]]:
        """The decision log since `begin`, whole lines only."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(self._mark)
            return [json.loads(line) for line in log.read().split(b"\n")[:-1] if line]

    def probe(self, goal: Goal, variant: str) -> bool | None:
        """There is no back office here: only the containers have one."""
        return None

    def alive(self) -> list[str]:
        """Names of the processes that have ended, though nobody asked them to."""
        return [process.name for process in self.processes if not process.alive()]


def address(host: str) -> str:
    """A scenario's `zone.number` on loopback."""
    zone, _, number = host.partition(".")
    return f"{ZONES[zone]}.{number}"


def without_guard(config: str) -> str:
    """The reference configuration less the line that brings the guard in."""
    kept = [line for line in config.splitlines() if not (line.startswith("include_file") and "sipsieve.cfg" in line)]
    if len(kept) == len(config.splitlines()):
        raise ValueError("kamailio.cfg: no line includes sipsieve.cfg")
    return "\n".join(kept) + "\n"


def usable() -> str:
    """What is missing for this stage, "" where nothing is."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(":")] + [Path("/usr/sbin")]
    for program in ("kamailio", "sipp", "svmap"):
        if not any((folder / program).exists() for folder in folders):
            return f"{program} is not installed; `make demo` installs what is missing"
    return ""
