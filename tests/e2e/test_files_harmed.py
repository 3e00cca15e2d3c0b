"""Our files are harmed under a running server and before its start: it answers all along, dies of nothing, and what it counted is in the
log in the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness import SITE, Server, exchange, invite, request, sipsieve, status, wait_for
from sipsieve.abuse.bans import Entry
from sipsieve_analysis.operate import banlist
from sipsieve_analysis.operate.keeping import Keeper
from sipsieve_analysis.operate.rpc import Rpc
from sipsieve_analysis.operate.running import Running

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


# What else may happen to a file: each is done to the path of one of ours.


def cut_within(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        # No text holds such a byte.
        file.write(bytes([byte ^ 0x80]))


def take_away(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.away"))


def directory(path: Path) -> None:
    take_away(path)
    path.mkdir()
    (path / "in-the-way").touch()


def pipe(path: Path) -> None:
    """Nobody reads it, and nobody writes into it."""
    take_away(path)
    os.mkfifo(path)


def link(path: Path) -> None:
    """A link to where nothing can be written: as a full disk."""
    take_away(path)
    path.symlink_to("/dev/full")


def huge(path: Path) -> None:
    """As long as no memory is, most of it a hole."""
    os.truncate(path, 1 << 40)


HARMS = (cut_within, flip, take_away, directory, pipe, link, huge)

#: Files of counts and of state, and what is written beside one before it takes its place.
STATE = ("decisions.jsonl.ledger", "bans.json", "standing.json", "last-good.json", "decisions.jsonl.ledger.new")

#: No more of a log is read; what is behind a hole is looked for.
MOST = 64 << 20

EACH = POLICY.replace("summary", "each", 1)


def content(log: Path) -> bytes:
    """A log without its holes."""
    found = b""
    with log.open("rb") as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return found.replace(b"\0", b"")
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            found += os.pread(file.fileno(), min(end - at, MOST), at)
            at = end


def read(*logs: Path) -> tuple[int, list[bytes]]:
    """Messages of the caller in the logs, and the lines that are no record."""
    messages, unread = 0, []
    for line in (line for log in logs if log.is_file() for line in content(log).split(b"\n")):
        try:
            record = json.loads(line) if line else {}
        except ValueError:
            unread.append(line)
            continue
        if record.get("source", {}).get("ip") == SOURCE:
            messages += record["event"].get("count", 1)
    return messages, unread


class Stopped:
    """Nobody writes meanwhile."""

    def __init__(self, server: Server) -> None:
        self.pids = server.children()

    def __enter__(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in self.pids:
            wait_for(
                lambda p=pid: Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()[0] == "T", "it stands"
            )

    def __exit__(self, *exc: object) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)


def unharmed(server: Server) -> None:
    assert set(server.started) <= set(server.children()), "a process died"
    assert "signal" not in re.sub("sig_usr.*", "", server.text())
    assert "Traceback" not in server.text()


def cleared(path: Path) -> None:
    """What stands in a file's place is put away, whatever it is."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


class Harmed(Server):
    """Its log may have holes, and a line that is no record."""

    def records(self, kind: str = "event", *more: Path) -> list[dict[str, Any]]:
        found = []
        for path in (*more, self.log):
            for line in content(path).split(b"\n") if path.is_file() else ():
                with suppress(ValueError):
                    record = json.loads(line)
                    if not kind or record["event"]["kind"] == kind:
                        found.append(record)
        return found


def harmed_server(tmp_path: Path, arguments: tuple[str, ...] = ()) -> tuple[Server, Path]:
    """A server that has all its files, and the folder that they are in, which is not the one of its output and sockets."""
    folder = tmp_path / "kept"
    folder.mkdir()
    names = {"LOG": "decisions.jsonl", "STATE": "bans.json", "STANDING": "standing.json", "LAST_GOOD": "last-good.json"}
    environment = {f"SIPSIEVE_{key}": str(folder / name) for key, name in names.items()}
    policy = EACH.format(folder=folder)
    server = Harmed(tmp_path / "server", policy, workers=2, environment=environment, arguments=arguments)
    server.log = folder / "decisions.jsonl"
    return server, folder


def running_state(server: Server, folder: Path) -> None:
    """Makes the files that a server writes at its own time only."""
    now = int(time.time())
    entry = Entry("127.0.7.9", "manual", now, now + 600, reason="by hand")
    rpc = Rpc(str(server.folder / "sipsieve_rpc.fifo"))
    rpc.call("htable.setxs", banlist.BANS, entry.key, entry.value, 600)
    Keeper(rpc, folder / "bans.json").once()
    for name in STATE:
        if not (folder / name).exists():
            (folder / name).write_text("half of a file")


def reloaded(server: Server) -> str:
    """What is wrong with a reload, "" where it is done."""
    try:
        Running(str(server.folder / "sipsieve_rpc.fifo")).ask("reload")
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_the_log_is_harmed_under_a_running_server(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Each call is answered, and is in the log once; of what the log held before, one record is lost at most."""
    server, folder = harmed_server(tmp_path)
    log = server.log
    with server:
        with Calls(server) as calls:
            wait_for(lambda: read(log)[0] > 50, "records", 30)
            with Stopped(server):
                before, _ = read(log)
                harm(log)
                # What the harm took away.
                left, spoilt = read(log, folder / "decisions.jsonl.away")
                taken = before - left
            assert len(spoilt) <= 1
            wait_for(lambda b=calls.sent: calls.sent > b + 100, "calls", 30)
            unharmed(server)
            if harm in (directory, pipe, link):
                cleared(log)
        assert calls.wrong == []
        logs = [log, folder / "decisions.jsonl.away"]
        wait_for(lambda: read(*logs)[0] + taken == calls.sent, "each call in the log, once", 30)
        # What is half a line stays alone on it.
        assert read(*logs)[1] == spoilt
        server.assert_healthy("127.0.7.2")
        log.exists() and cleared(log)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_files_of_state_are_harmed_under_a_running_server_and_before_its_start(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    server, folder = harmed_server(tmp_path)
    log = server.log
    with server:
        running_state(server, folder)
        with Calls(server) as calls:
            wait_for(lambda: read(log)[0] > 20, "records", 30)
            for name in STATE:
                harm(folder / name)
            # The policy's file is read, and the last good one written, by who answers operators.
            assert reloaded(server) == ""
            ticks = len(server.records(""))
            wait_for(lambda: len(server.records("")) > ticks + 50, "records", 30)
            wait_for(lambda: read(log)[0] == calls.sent or None, "each call in the log, once", 30)
            unharmed(server)
        assert calls.wrong == []
        for name in STATE:
            cleared(folder / name)
            cleared(folder / f"{name}.away")
        running_state(server, folder)
    for name in STATE:
        harm(folder / name)
    with server:
        server.assert_healthy("127.0.7.2")
        said = server.text()
        for name in ("bans.json", "standing.json"):
            if harm is not take_away:
                assert f"{folder / name}: " in said, name


def test_policy_and_rules_are_harmed_under_a_running_server_and_before_its_start(tmp_path: Path) -> None:
    """Who reads them waits for nobody: a reload is refused, a start takes the last good ones."""
    server, folder = harmed_server(tmp_path)
    rules = folder / "own.toml"
    whole = {
        server.policy: f'[detection]\nrules = ["{rules}"]\n{server.policy.read_text()}',
        rules: 'family = "scanner"\n[[rule]]\nid = "own-tool"\npattern = "evil-tool"\nscore = 5\nreason = "a tool"\n'
        'hits = ["evil-tool"]\nmisses = ["good tool"]\n',
    }
    for path, text in whole.items():
        path.write_text(text)
    with server, Calls(server) as calls:
        for path, text in whole.items():
            for harm in HARMS:
                harm(path)
                refused = reloaded(server)
                assert path.name in refused, (path, harm, refused)
                for left in (path, path.with_name(f"{path.name}.away")):
                    cleared(left)
                path.write_text(text)
        assert reloaded(server) == ""
        unharmed(server)
    assert calls.wrong == []
    pipe(server.policy)
    with server:
        server.assert_healthy("127.0.7.2")
        assert "it is a pipe" in server.wait_record(lambda r: r["event"]["action"] == "last_good")["event"]["reason"]


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "unwritable"])
def test_the_folder_of_the_log_is_harmed(is_gone: bool) -> None:
    """What can't be written is counted, which is said, and stands in the log once it can be."""
    with tempfile.TemporaryDirectory(prefix="sipsieve-harmed-") as name:
        Path(name).chmod(0o755)
        as_user = ("-u", "nobody", "-g", "nogroup") if os.geteuid() == 0 else ()
        server, folder = harmed_server(Path(name), as_user)
        for path in (folder, server.folder):
            as_user and shutil.chown(path, "nobody", "nogroup")
        with server:
            with Calls(server) as calls:
                wait_for(lambda: read(server.log)[0] > 50, "records", 30)
                with Stopped(server):
                    before, _ = read(server.log)
                    if is_gone:
                        shutil.rmtree(folder)
                    else:
                        server.log.unlink()
                        as_user and shutil.chown(folder, "root", "root")
                        folder.chmod(0o555)
                wait_for(lambda: "the decision log can't be written" in server.text(), "that it is said", 30)
                wait_for(lambda b=calls.sent: calls.sent > b + 50, "calls", 30)
                assert not server.log.exists()
                folder.mkdir(exist_ok=True)
                folder.chmod(0o755)
                as_user and shutil.chown(folder, "nobody", "nogroup")
            assert calls.wrong == []
            wait_for(lambda: before + read(server.log)[0] == calls.sent, "each call in the log, once", 30)
            wait_for((folder / "decisions.jsonl.ledger").exists, "the file of counts", 30)
            unharmed(server)
            assert server.text().count("the decision log can't be written") == 1


def test_ways_to_operators_are_harmed_under_a_running_server_and_before_its_start(tmp_path: Path) -> None:
    server, _ = harmed_server(tmp_path)
    ways = [server.folder / f"sipsieve_rpc.{kind}" for kind in ("fifo", "sock")]
    for harm in (take_away, directory, link):
        with server, Calls(server) as calls:
            assert reloaded(server) == ""
            for way in ways:
                harm(way)
            assert "sipsieve_rpc" in reloaded(server)
            wait_for(lambda b=calls.sent: calls.sent > b + 50, "calls", 30)
            unharmed(server)
        assert calls.wrong == []
        for way in ways:
            cleared(way.with_name(f"{way.name}.away"))
            # A folder there keeps Kamailio itself from starting.
            if harm is directory:
                cleared(way)
    with server:
        server.assert_healthy("127.0.7.2")


def test_a_file_of_counts_that_is_harmed_is_written_anew(tmp_path: Path) -> None:
    """Also where no count changed meanwhile: what it holds is for when the machine stops."""
    server, folder = harmed_server(tmp_path)
    counts = folder / "decisions.jsonl.ledger"
    with server:
        wait_for(counts.exists, "the file of counts", 30)
        whole = counts.read_bytes()
        cut_within(counts)
        wait_for(lambda: counts.read_bytes() == whole, "the whole file", 30)
