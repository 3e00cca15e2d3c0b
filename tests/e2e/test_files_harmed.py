"""Our files are cut under a running server: it answers all along, dies of nothing, and what it counted is in the log in the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

from harness import SITE, Server, exchange, invite, request, sipsieve, status, wait_for

POLICY = """[limits]
enabled = false
[log]
allow = "summary"
summary_seconds = 1
[standing]
state = "{folder}/standing.json"
"""

SOURCE = "127.0.7.1"

#: Every file that the guard keeps, or reads, while it runs.
FILES = ("decisions.jsonl.ledger", "decisions.jsonl", "bans.json", "standing.json", "last-good.json")


def cut(path: Path) -> None:
    os.truncate(path, 0)


class Calls:
    """Calls all the time; what is not answered 200 within a second is told."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sent = 0
        self.wrong: list[object] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.over.is_set():
            self.sent += 1
            answer = exchange(self.server, invite(), source=SOURCE, seconds=5)
            if status(answer) != 200:
                self.wrong.append(answer)
            self.over.wait(0.005)

    def __enter__(self) -> Calls:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.thread.join(30)


def server_in(folder: Path) -> Server:
    folder.mkdir()
    environment = {"SIPSIEVE_STATE": str(folder / "bans.json")}
    return Server(folder, POLICY.format(folder=folder), workers=2, environment=environment)


def accounted(*logs: Path) -> int:
    """Messages of the caller in the logs."""
    lines = [line for log in logs if log.is_file() for line in log.read_bytes().split(b"\n")]
    found = [re.search(rb'"count":(\d+)', line) for line in lines if SOURCE.encode() in line]
    return sum(int(match[1]) if match else 1 for match in found)


def test_the_memory_of_the_workers_is_on_no_file_that_anybody_can_cut(tmp_path: Path) -> None:
    """A file that is mapped and cut kills whoever touches what is gone."""
    with server_in(tmp_path / "server") as server:
        assert status(exchange(server, invite(), source=SOURCE)) == 200
        for pid in server.started:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                _, rights, _, _, inode, *name = line.split(maxsplit=5)
                path = name[0] if name else ""
                if "w" in rights and "s" in rights and inode != "0":
                    # Anonymous shared memory, and System V's: neither has a name in any folder.
                    assert re.fullmatch(r"/(dev/zero|SYSV[0-9a-f]{8}) \(deleted\)", path), line
                assert "sipsieve-" not in path and str(tmp_path) not in path, line


def test_calls_are_answered_and_counted_while_our_files_are_cut(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with server_in(folder) as server:
        assert sipsieve(server, "bans", "add", "127.0.7.9", "--for", "10m").returncode == 0
        keeper = subprocess.Popen(
            [str(SITE / "bin" / "sipsieve"), "bans", "keep", "--state", str(folder / "bans.json")],
            env={**os.environ, "SIPSIEVE_RPC": str(folder / "sipsieve_rpc.fifo")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            log, kept = server.log, tmp_path / "kept.jsonl"
            wait_for(
                lambda: all((folder / name).exists() for name in FILES if name != "standing.json"), "our files", 30
            )
            (folder / "standing.json").touch()
            with Calls(server) as calls:
                wait_for(lambda: accounted(log) > 50, "counts", 30)
                for name in FILES:
                    before = accounted(log, kept)
                    if name == "decisions.jsonl":
                        # What a log held that was cut is gone with it, so it is read before, while nobody writes.
                        workers = server.children()
                        for pid in workers:
                            os.kill(pid, signal.SIGSTOP)
                        with kept.open("ab") as file:
                            file.write(log.read_bytes())
                        cut(log)
                        for pid in workers:
                            os.kill(pid, signal.SIGCONT)
                        wait_for(lambda b=calls.sent: calls.sent > b + 100, "calls without a log", 30)
                    else:
                        cut(folder / name)
                    wait_for(lambda b=before: accounted(log, kept) > b + 50, f"counts after {name}", 30)
                shown = sipsieve(server, "status")
                assert shown.returncode == 0, shown.stderr
            assert calls.wrong == []
            wait_for(lambda: accounted(log, kept) == calls.sent, "each call in the log, once", 30)
            assert set(server.started) <= set(server.children()), "a process died"
            assert "signal" not in re.sub("sig_usr.*", "", server.text())
        finally:
            keeper.terminate()
            keeper.wait(30)
    # And the next start takes what it finds, and says what was damaged.
    with server:
        assert status(exchange(server, request("OPTIONS"), source="127.0.7.2")) == 200


def test_what_is_set_aside_may_have_no_place_to_go(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with server_in(folder) as server:
        assert status(exchange(server, invite(), source=SOURCE)) == 200
        wait_for(lambda: (folder / "decisions.jsonl.ledger").exists(), "the file of counts", 30)
    for name in FILES[:1] + FILES[2:]:
        (folder / name).write_bytes(b"damaged")
        directory_of = folder / f"{name}.damaged"
        directory_of.mkdir()
        (directory_of / "in-the-way").touch()
    with server:
        assert status(exchange(server, invite(), source=SOURCE)) == 200
        assert "was damaged" in server.text()
