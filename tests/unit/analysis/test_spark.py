"""`sipsieve analyze --engine spark` on a standalone cluster of a master and two workers says what DuckDB says, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyspark
import pytest

from harness import SITE, free_port, wait_for
from worlds.score import make

# Java is Debian's, and a cluster takes a minute: `make fleet-test`.
pytestmark = [pytest.mark.debian, pytest.mark.fleet]

SIPSIEVE = SITE / "bin" / "sipsieve"
SPARK = Path(pyspark.__file__).parent

#: Little is asked, once: machine code for it would cost more than it saves.
PLAIN = [
    "spark.executor.memory=512m", "spark.sql.codegen.wholeStage=false", "spark.sql.codegen.factoryMode=NO_CODEGEN",
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1", "spark.ui.enabled=false",
]  # fmt: skip


def state(port: int) -> dict[str, Any]:
    """What the master says of its cluster; nothing while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):
        # While it starts it answers with a page for people.
        return {}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Path]]]:
    """The master's address, and a folder of each worker's."""
    folder = tmp_path_factory.mktemp("spark")
    port, web = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    environment = {
        **os.environ, "SPARK_DAEMON_MEMORY": "128m", "SPARK_NO_DAEMONIZE": "1", "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", "PYSPARK_PYTHON": str(SITE / "bin/python"),
    }  # fmt: skip
    with ExitStack() as stack:

        def begin(name: str, *arguments: str) -> None:
            program = [
                str(SPARK / "bin/spark-class"),
                f"org.apache.spark.deploy.{name}",
                "--host",
                "127.0.0.1",
                *arguments,
            ]
            log = (folder / f"{name}-{arguments[-1].replace('/', '_')[-20:]}.log").open("wb")
            process = subprocess.Popen(program, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)

        workers = [folder / "worker-1", folder / "worker-2"]
        begin("master.Master", "--port", str(port), "--webui-port", str(web))
        for worker in workers:
            begin("worker.Worker", "--cores", "1", "--memory", "1g", "--webui-port", "0", "-d", str(worker), url)
        wait_for(lambda: state(web).get("aliveworkers") == 2, "two workers", 120)
        yield url, workers


def report(*arguments: object) -> tuple[bytes, bytes]:
    """A run's JSON, and what it said on standard error."""
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--json", "-q", *map(str, arguments)], capture_output=True, timeout=550, check=False
    )
    assert done.returncode in (0, 1), done.stderr.decode()[-4000:]
    return done.stdout, done.stderr


def intruder() -> str:
    """Records of somebody who guesses a password, gets in, and calls premium numbers: requests and their answers."""
    lines = []
    for n in range(60):
        method, status = ("REGISTER", 200 if n == 29 else 401) if n < 30 else ("INVITE", 200)
        when = f"2026-11-16T10:{n:02}:00"
        target = "2001" if n < 30 else f"00900{n:07}"
        sip = {"method": method, "call_id": f"guess-{n}", "cseq": "1", "uri": f"sip:{target}@example.com",
               "from": "sip:2001@example.com", "to": f"sip:{target}@example.com"}  # fmt: skip
        for kind, ip, more in (
            ("request", "198.51.100.77", {"authorization": True}),
            ("reply", "192.0.2.9", {"status": status}),
        ):
            lines.append(
                json.dumps(
                    {
                        "@timestamp": f"{when}.{len(more)}0000{kind == 'reply':d}Z", "source": {"ip": ip, "port": 5060}, "network": {"transport": "udp"},
                        "event": {"kind": "event", "action": "allow"}, "sip": {"type": kind, **sip, **more},
                    }
                )
            )  # fmt: skip
    return "".join(line + "\n" for line in lines)


@pytest.mark.timeout(600)
def test_two_workers_say_what_one_process_says(cluster: tuple[str, list[Path]], tmp_path: Path) -> None:
    url, workers = cluster
    # Phones, trunks, guessers that get in, toll fraud, injections, floods; with the servers' answers.
    log = make(0).write(tmp_path / "decisions.jsonl")
    with log.open("a") as out:
        out.write(intruder())
    archive = tmp_path / "archive"
    subprocess.run([SIPSIEVE, "archive", archive, "-q", "--edge", "e", log], check=True, stdout=subprocess.PIPE)
    here, _ = report(archive)
    settings = [word for setting in PLAIN for word in ("--spark-conf", setting)]
    there, said = report("--engine", "spark", "--spark-master", url, *settings, archive)
    assert there == here
    found = json.loads(here)
    assert len(found["actors"]) >= 5 and any(actor["succeeded"] for actor in found["actors"])
    kinds = {campaign["type"] for campaign in found["campaigns"]}
    assert kinds >= {"account_takeover", "toll_fraud", "brute_force", "injection", "spoofed_flood"}
    # Both worked.
    assert all(list(worker.glob("app-*")) for worker in workers)
    assert b"Warning" not in said


def test_other_engines_read_archives_only(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text("{}\n")
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--engine", "spark", log], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2 and "sipsieve archive ARCHIVE decisions.jsonl" in done.stderr
