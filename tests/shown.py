"""What the commands in the docs print: runs them, and with --write puts the outputs into the pages.

A block of a page that begins with a prompt is run where a comment stands right above it:

    <!-- shown: week; keep 1-6 -2; columns 130 -->
    ```console
    $ sipsieve suggest decisions.jsonl
    ...
    ```

The word is the scene: what is in the folder that the command is called in. `keep` names the lines of the last command's output
that the page has, `…` stands for the others; `columns` is the width of the terminal, `cut` that of the page. A page's blocks of one
scene are run one after the other in one folder. `<!-- file: NAME -->` above a block of another kind puts it there as a file.
"""

from __future__ import annotations

import bz2
import contextlib
import difflib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent

_BLOCK: Final = re.compile(
    r"^<!-- (?P<kind>shown|file): (?P<what>[^;>]+?)(?:; (?P<options>[^>]*?))? -->\n```\w*\n(?P<body>(?:(?!```).*\n)*)```$",
    re.M,
)
_PROMPT: Final = re.compile(r"^(?:\$ |# (?=sipsieve ))(.+)$")

#: Scenes with a running server.
_LIVE_SCENES: Final = frozenset({"server", "lists"})

#: What differs from run to run, or with any change of a rule.
_IDS: Final = (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b"), "ID")
#: What differs beside that where a server runs, longest first.
_LIVE: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?"), "TIME"),
    (re.compile(r"(?<=\d):\d{2,5}\b"), ":PORT"),
    (re.compile(r"^(\d+ +)\d+( +\d+(?: \(behind.*?\))?) +[\d.]+ MiB.*$"), r"\1PID\2 MEMORY"),
    (re.compile(r"\b\d+ idle workers .*$"), "IDLE"),
    (re.compile(r"\((behind: no message since)\)"), ""),
    (re.compile(r"(?:half|99 %) within [\d.]+ µs"), "LATENCY"),
    (re.compile(r"\b\d+[dhms]\b(?: \d+[dhms]\b)*"), "SPAN"),
    (re.compile(r"\b(records: )\d+"), r"\1N"),
    # A minute may be over meanwhile.
    (re.compile(r"^( +now, \w+ +).*"), r"\1COUNTS"),
    (re.compile(r" {2,}"), "  "),
)


class Block(NamedTuple):
    """A block of a page; `start` and `end` of its body."""

    kind: str
    what: str
    options: str
    body: str
    start: int
    end: int


def pages() -> list[Path]:
    """Those that may have blocks."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """In the order in which they stand there."""
    return [
        Block(match["kind"], match["what"].strip(), match["options"] or "", match["body"], *match.span("body"))
        for match in _BLOCK.finditer(page.read_text())
    ]


def unmarked(page: Path) -> list[str]:
    """Commands in console blocks that no comment marks."""
    text = page.read_text()
    marked = [block.body for block in blocks(page) if block.kind == "shown"]
    found = re.findall(r"^```console\n((?:(?!```).*\n)*)```$", text, re.M)
    return [line[2:] for body in found if body not in marked for line in body.splitlines()[:1]]


def cases(live: bool) -> list[tuple[Path, str]]:
    """Pages and scenes, those with a server or the others."""
    found = {
        (page, block.what): None for page in pages() for block in blocks(page)
        if block.kind == "shown" and (block.what in _LIVE_SCENES) == live
    }  # fmt: skip
    return list(found)


def steady(text: str, live: bool = False) -> str:
    """The text without what differs from run to run."""
    for pattern, put in (_IDS, *(_LIVE if live else ())):
        text = "\n".join(pattern.sub(put, line) for line in text.split("\n"))
    return text


def _option(options: str, name: str) -> list[str]:
    found = re.search(rf"(?:^|; *){name} ([^;]+)", options)
    return found[1].split() if found else []


def _kept(lines: list[str], wanted: list[str]) -> list[str]:
    """Those lines, counted from 1, or with a minus from the end; … for each gap."""
    if not wanted:
        return lines
    rows = set()
    for part in wanted:
        first, _, last = part.partition("-") if not part.startswith("-") else (part, "", "")
        begin = int(first) - 1 if int(first) > 0 else len(lines) + int(first)
        rows |= set(range(begin, int(last) if last else begin + 1))
    shown: list[str] = []
    for number, line in enumerate(lines):
        if number in rows:
            shown.append(line)
        elif not shown or shown[-1] != "…":
            shown.append("…")
    return shown


def _printed(command: str, folder: Path, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return [line.rstrip() for line in (done.stdout + done.stderr).rstrip().splitlines()]


def _environment(scene: str, folder: Path, own: dict[str, str]) -> dict[str, str]:
    """Of a terminal of 100 columns without colours, and of nobody's own settings."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    policy = {} if scene == "checkout" else {"SIPSIEVE_POLICY": str(folder / "sipsieve.toml")}
    settings = {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return {**os.environ, **settings, **policy, **own}


class Scene(NamedTuple):
    """A folder to call commands in, variables for them, and names that the page has instead of what is there."""

    folder: Path
    variables: dict[str, str]
    names: dict[str, str]


@contextlib.contextmanager
def _scene(name: str) -> Iterator[Scene]:
    if name == "checkout":
        (ROOT / "build").mkdir(exist_ok=True)
        yield Scene(ROOT, {}, {})
        return
    with tempfile.TemporaryDirectory(prefix="shown-") as made:
        folder = Path(made)
        shutil.copy(ROOT / "kemi" / "sipsieve.toml", folder / "sipsieve.toml")
        with _SCENES[name](folder) as scene:
            yield scene


@contextlib.contextmanager
def _case(folder: Path) -> Iterator[Scene]:
    """The week of tests/fixtures/case: its decision log, its capture, and the archive of the log."""
    fixture = ROOT / "tests" / "fixtures" / "case"
    (folder / "decisions.jsonl").write_bytes(bz2.decompress((fixture / "decisions.jsonl.bz2").read_bytes()))
    shutil.copy(fixture / "week.pcap.gz", folder)
    subprocess.run(
        [Path(sys.executable).parent / "sipsieve", "archive", "--quiet", "--edge", "edge-1",
         "--policy", "sipsieve.toml", "archive", "decisions.jsonl"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    yield Scene(folder, {}, {})


@contextlib.contextmanager
def _week(folder: Path) -> Iterator[Scene]:
    """A made network in the field, in observe mode, and in new.toml what is proposed for it, enforced."""
    from worlds import intruders
    from worlds.server import Server

    Server('mode = "observe"\n').write(intruders.make(4), folder / "decisions.jsonl")
    proposed = subprocess.run(
        [Path(sys.executable).parent / "sipsieve", "suggest", "--toml", "--policy", "sipsieve.toml", "decisions.jsonl"],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    (folder / "new.toml").write_text(f'mode = "enforce"\n{proposed.stdout}')
    yield Scene(folder, {}, {})


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[Scene]:
    """A server in observe mode that three senders have talked to."""
    from harness import Server, exchange, request

    with Server(folder, 'mode = "observe"\n', workers=2) as server:
        for source, user, agent in (("127.0.3.1", "bob", "Desk"), ("127.0.3.2", "100", "friendly-scanner")):
            for port in range(5060, 5072):
                options = request(uri=f"sip:{user}@example.com", headers=(f"User-Agent: {agent}",))
                exchange(server, options, source=source, source_port=port)
        hostile = request(
            "REGISTER", from_="\"UPDATE users SET password='x' WHERE username='admin'\" <sip:admin@example.com>;tag=a1",
            headers=("User-Agent: EagleSIP",),
        )  # fmt: skip
        exchange(server, hostile, source="127.0.3.3")
        names = {
            str(server.policy): "/etc/sipsieve/sipsieve.toml",
            str(server.log): "/var/log/sipsieve/decisions.jsonl",
        }
        variables = {
            "SIPSIEVE_RPC": str(server.folder / "sipsieve_rpc.fifo"),
            "SIPSIEVE_LOG": str(server.log),
            "SIPSIEVE_POLICY": str(server.policy),
        }
        yield Scene(folder, variables, names)


@contextlib.contextmanager
def _lists(folder: Path) -> Iterator[Scene]:
    """A server with two lists from outside, one of which can't be had."""
    from harness import Server, sipsieve, wait_for

    (folder / "blocklist.txt").write_text("198.51.100.0/24\n203.0.113.7\n10.0.0.1\nno address\n")
    policy = (
        f'[feeds]\nfolder = "{folder}/feeds"\n[[feed]]\nname = "blocklist"\nsource = "{folder}/blocklist.txt"\naction = "note"\n'
        f'[[feed]]\nname = "partner"\nsource = "{folder}/partner.csv"\nformat = "csv"\naction = "note"\n'
    )
    with Server(folder, policy, workers=2) as server:

        def settled() -> bool:
            told = sipsieve(server, "feeds").stdout
            return "fetching" not in told and "partner.csv" in told

        wait_for(settled, "the lists were looked at")
        variables = {"SIPSIEVE_RPC": str(server.folder / "sipsieve_rpc.fifo"), "SIPSIEVE_POLICY": str(server.policy)}
        yield Scene(folder, variables, {str(folder): "/srv/lists"})


@contextlib.contextmanager
def _plain(folder: Path) -> Iterator[Scene]:
    """A policy, and what the page itself puts there."""
    yield Scene(folder, {}, {})


@contextlib.contextmanager
def _rotated(folder: Path) -> Iterator[Scene]:
    """Decision logs that were rotated daily, the oldest 40 days ago."""
    log = folder / "decisions.jsonl"
    log.write_text("")
    for number in (1, 2, 31, 40):
        moved = folder / f"decisions.jsonl.{number}{'.gz' if number > 1 else ''}"
        moved.write_text("")
        then = time.time() - number * 86400 - 60
        os.utime(moved, (then, then))
    yield Scene(folder, {"SIPSIEVE_LOG": str(log)}, {str(folder): "/var/log/sipsieve"})


@contextlib.contextmanager
def _hep(folder: Path) -> Iterator[Scene]:
    """Somebody reports to the sensor as soon as it listens, and ends it when all is written."""
    from harness import free_port

    port, ended = free_port(), threading.Event()
    # Another server of the machine may have the usual port.
    command = folder / "bin" / "sipsieve"
    command.parent.mkdir()
    real = Path(sys.executable).parent / "sipsieve"
    command.write_text(f'#!/bin/sh\n[ "$1" != hep ] || set -- "$@" --udp 127.0.0.1:{port}\nexec {real} "$@"\n')
    command.chmod(0o755)
    reports = threading.Thread(target=_report, args=(folder, port, ended))
    reports.start()
    try:
        yield Scene(folder, {"PATH": f"{command.parent}:{os.environ['PATH']}"}, {f"port {port}": "port 9060"})
    finally:
        ended.set()
        reports.join()


def _report(folder: Path, port: int, ended: threading.Event) -> None:
    from harness import hep_packet, request

    attack = request(headers=("User-Agent: friendly-scanner",))
    sensor = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        while not ended.wait(0.1):
            # 127.0.0.1 and the port, as the system writes them.
            bound = f"0100007F:{port:04X} " in Path("/proc/net/udp").read_text()
            if not sensor and bound and (sensor := _sensor(folder)):
                out.sendto(hep_packet(attack, "203.0.113.9"), ("127.0.0.1", port))
            written = folder / "hep.jsonl"
            if sensor and written.exists() and written.read_bytes().endswith(b"\n"):
                os.kill(sensor, signal.SIGINT)
                return


def _sensor(folder: Path) -> int:
    """The process id of `sipsieve hep` that was called in the folder, or 0."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.joinpath("cwd").readlink() == folder and b"\0hep\0" in process.joinpath("cmdline").read_bytes():
                return int(process.name)
    return 0


_SCENES: Final = {
    "case": _case, "week": _week, "server": _server, "lists": _lists, "plain": _plain, "rotated": _rotated, "hep": _hep,
}  # fmt: skip


def bodies(page: Path, name: str) -> list[tuple[Block, str]]:
    """The page's blocks of a scene, each with what it should hold."""
    found = []
    with _scene(name) as scene:
        for block in blocks(page):
            if block.kind == "file":
                (scene.folder / block.what).write_text(block.body)
            elif block.what == name:
                found.append((block, _filled(block, scene)))
    return found


def _filled(block: Block, scene: Scene) -> str:
    """The block's commands with what they print."""
    environment = _environment(block.what, scene.folder, scene.variables)
    if columns := _option(block.options, "columns"):
        environment["COLUMNS"] = columns[0]
    commands = [line for line in block.body.splitlines() if _PROMPT.match(line)]
    lines: list[str] = []
    for line in commands:
        match = _PROMPT.match(line)
        assert match is not None
        printed = _printed(match[1], scene.folder, environment)
        for there, here in scene.names.items():
            printed = [text.replace(there, here) for text in printed]
        lines += [line, *(_kept(printed, _option(block.options, "keep")) if line == commands[-1] else printed)]
    if cut := _option(block.options, "cut"):
        lines = [
            line if len(line) <= int(cut[0]) or _PROMPT.match(line) else f"{line[: int(cut[0]) - 1]}…" for line in lines
        ]
    return "".join(f"{line}\n" for line in lines)


def differences(page: Path, name: str) -> str:
    """How the page differs from what its commands print, as a diff; "" where it does not."""
    told = []
    for block, made in bodies(page, name):
        live = name in _LIVE_SCENES
        old, new = steady(block.body, live).splitlines(), steady(made, live).splitlines()
        told += list(difflib.unified_diff(old, new, str(page.relative_to(ROOT)), "what is printed", lineterm=""))
    return "\n".join(told)


def main() -> None:
    """With --write puts the outputs into the pages, else says what differs. Further arguments: only these pages."""
    wanted = [Path(name).resolve() for name in sys.argv[1:] if not name.startswith("-")]
    for page, name in cases(live=False) + cases(live=True):
        if wanted and page not in wanted:
            continue
        print(f"{page.relative_to(ROOT)}: {name}", flush=True)
        if "--write" not in sys.argv:
            print(differences(page, name))
            continue
        text = page.read_text()
        for block, made in reversed(bodies(page, name)):
            # Nothing is written anew for what differs from run to run alone.
            live = name in _LIVE_SCENES
            if steady(made, live) != steady(block.body, live):
                text = f"{text[: block.start]}{made}{text[block.end :]}"
        page.write_text(text)


if __name__ == "__main__":
    main()
