"""`sipsieve analyze --engine spark` on a standalone cluster of a master and two workers says what DuckDB says, byte for byte."""

from __future__ import annotations

import bz2
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
from pyspark.errors import PySparkException

from harness import ROOT, SITE, free_port, wait_for
from sipsieve_analysis.intake import InputError
from sipsieve_analysis.spark import failures
from store_server import store_server
from worlds.score import make

# Java is Debian's, and a cluster takes minutes: `make fleet-test`.
pytestmark = [pytest.mark.debian, pytest.mark.fleet]

SIPSIEVE = SITE / "bin" / "sipsieve"
CASE = ROOT / "tests/fixtures/case"
SPARK = Path(pyspark.__file__).parent

#: What opens the store: in the environment of programs, and nowhere else.
SECRET = "a-key-that-only-the-environment-has"

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
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": SECRET,
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


#: The same as options.
SETTINGS = [word for setting in PLAIN for word in ("--spark-conf", setting)]


def on_cluster(url: str, *archives: Path | str) -> tuple[bytes, bytes]:
    """What Spark says of them, and what it said on standard error."""
    return report("--engine", "spark", "--spark-master", url, *SETTINGS, *archives)


def archived(archive: Path, edge: str, *inputs: Path) -> Path:
    """An archive of these inputs."""
    subprocess.run([SIPSIEVE, "archive", archive, "-q", "--edge", edge, *inputs], check=True, stdout=subprocess.PIPE)
    return archive


@pytest.mark.timeout(600)
def test_two_workers_say_what_one_process_says(cluster: tuple[str, list[Path]], tmp_path: Path) -> None:
    url, workers = cluster
    # Phones, trunks, guessers that get in, toll fraud, injections, floods; with the servers' answers.
    log = make(0).write(tmp_path / "decisions.jsonl")
    with log.open("a") as out:
        out.write(intruder())
    archive = archived(tmp_path / "archive", "e", log)
    here, _ = report(archive)
    there, said = on_cluster(url, archive)
    assert there == here
    found = json.loads(here)
    assert len(found["actors"]) >= 5 and any(actor["succeeded"] for actor in found["actors"])
    kinds = {campaign["type"] for campaign in found["campaigns"]}
    assert kinds >= {"account_takeover", "toll_fraud", "brute_force", "injection", "spoofed_flood"}
    # Both worked.
    assert all(list(worker.glob("app-*")) for worker in workers)
    assert b"Warning" not in said


def suricata(log: Path) -> str:
    """What Suricata says of each request of a decision log, half a second later; and of two of a sender's that the log lacks."""
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    told = [
        (record["@timestamp"][:19], record["source"]["ip"], record["source"]["port"], record["sip"]["method"])
        for record in seen
        if record["event"]["kind"] == "event" and record["sip"].get("method")
    ]
    told += [(f"2026-11-16T10:00:{n:02}", "198.51.100.200", 5099, "REGISTER") for n in range(2)]
    return "".join(
        json.dumps(
            {"timestamp": f"{when}.500000+0000", "event_type": "sip", "src_ip": ip, "src_port": port, "dest_ip": "192.0.2.10",
             "proto": "UDP", "sip": {"method": method, "uri": "sip:x"}}
        ) + "\n"
        for when, ip, port, method in told
    )  # fmt: skip


@pytest.mark.timeout(600)
def test_what_several_inputs_tell_of_is_counted_once_on_both(cluster: tuple[str, list[Path]], tmp_path: Path) -> None:
    """The week of the case as four programs saw it, in two archives, the decision log in both."""
    url, _ = cluster
    log, eve = tmp_path / "decisions.jsonl", tmp_path / "eve.json"
    log.write_bytes(bz2.decompress((CASE / "decisions.jsonl.bz2").read_bytes()))
    eve.write_text(suricata(log))
    # Lines that name no source are looked up by time alone.
    unnamed = tmp_path / "kamailio.log"
    unnamed.write_text(
        "".join(
            f"Nov {16 + n % 7} 1{n % 10}:{n % 60:02}:00 edge kamailio[4100]: ERROR: <core> [core/parser/parse_from.c:74]: "
            f"parse_from_header(): bad From header [x{n}]\n"
            for n in range(2000)
        )
    )
    os.utime(unnamed, (1_796_000_000, 1_796_000_000))
    front = archived(tmp_path / "front", "front", log, CASE / "week.pcap.gz")
    back = archived(tmp_path / "back", "back", log, CASE / "kamailio.log.gz", unnamed, eve)
    alone, here = json.loads(report(archived(tmp_path / "one", "one", log))[0]), report(front, back)[0]
    there, _ = on_cluster(url, front, back)
    assert there == here
    found = json.loads(here)
    read, skipped = found["inputs"]["records"], found["inputs"]["skipped"]
    assert read["decision log"] == alone["totals"]["messages"] == 1341
    assert skipped["archived inputs that were read already (read once)"] == 1
    again = skipped["events that another input tells of in more detail (counted once)"]
    assert again > 2000 and found["totals"]["messages"] == sum(read.values()) - again
    assert len(read) == 4, "programs"


@pytest.mark.timeout(600)
def test_executors_read_a_store_by_themselves(
    cluster: tuple[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Hadoop's connector, with keys that each machine has in its own environment."""
    url, workers = cluster
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(bz2.decompress((CASE / "decisions.jsonl.bz2").read_bytes()))
    before = {path for worker in workers for path in worker.glob("app-*")}
    with store_server() as store:
        subprocess.run(
            [SIPSIEVE, "archive", store, "-q", "--edge", "e", log, CASE / "kamailio.log.gz"], check=True, stdout=subprocess.PIPE
        )  # fmt: skip
        here, _ = report("--engine", "duckdb", store)
        there, said = on_cluster(url, store)
        asked = store.partition("endpoint_override=")[2]
        with urllib.request.urlopen(f"http://{asked}/archive?list-type=2", timeout=10) as answer:
            part = next(key for key in answer.read().decode().split("<Key>") if "/events/" in key).partition("<")[0]
        urllib.request.urlopen(
            urllib.request.Request(f"http://{asked}/archive/{part}", method="DELETE"), timeout=10
        ).close()
        lost = subprocess.run(
            [SIPSIEVE, "analyze", "-q", "--engine", "spark", "--spark-master", url, *SETTINGS, store], capture_output=True, timeout=300, check=False
        )  # fmt: skip
    assert there == here and len(json.loads(here)["actors"]) >= 3
    # It is an error, never a smaller report.
    assert lost.returncode == 2 and part.encode() in lost.stderr.splitlines()[-1]
    after = {path for worker in workers for path in worker.glob("app-*")} - before
    logs = [file.read_bytes() for path in after for file in path.rglob("std*")]
    assert len(after) >= 2 and any(b"CoarseGrainedExecutorBackend" in text for text in logs), "executors' command lines"
    assert not [text for text in (*logs, said, lost.stderr, there) if SECRET.encode() in text]


def test_other_engines_read_archives_only(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_text("{}\n")
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--engine", "spark", log], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2 and "sipsieve archive ARCHIVE decisions.jsonl" in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PySparkException("Job aborted.\n\tat x\nCaused by: java.lang.OutOfMemoryError: Java heap space\n\tat y"), "OutOfMemoryError: Java"),
        (ConnectionRefusedError(111, "Connection refused"), "driver ended"),
    ],
)  # fmt: skip
def test_what_spark_fails_of_is_told_in_one_line_with_what_to_do(error: Exception, said: str) -> None:
    with pytest.raises(InputError) as told, failures():
        raise error
    assert said in str(told.value) and "spark.driver.memory=" in str(told.value) and "\n" not in str(told.value)


def test_an_error_of_ours_is_not_taken_for_spark_s() -> None:
    with pytest.raises(KeyError), failures():
        raise KeyError("x")


def test_a_setting_without_a_value_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    archive = archived(tmp_path / "archive", "e", CASE / "kamailio.log.gz")
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--engine", "spark", "--spark-conf", "spark.driver.memory", archive], capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 2 and "spark.driver.memory: is no KEY=VALUE" in done.stderr
