"""`sipsieve ask`: words and models only choose among typed queries; numbers come from the engine; SQL can't leave it."""

from __future__ import annotations

import bz2
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

import model_server
from harness import ROOT, SITE, wait_for
from sipsieve_analysis.ask import query as query_
from sipsieve_analysis.ask import sql, words
from sipsieve_analysis.cli import main
from sipsieve_analysis.events import Store

CASE = ROOT / "tests/fixtures/case/decisions.jsonl.bz2"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ask") / "decisions.jsonl"
    path.write_bytes(bz2.decompress(CASE.read_bytes()))
    return path


def ask(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["ask", *map(str, arguments)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def answer(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask("--json", *arguments))
    return found


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        (words.EXAMPLES[0], {"what": "sources", "number": "premium", "period": "last week"}),
        (words.EXAMPLES[1], {"what": "users", "method": "REGISTER", "action": "refused", "since": "2026-11-01", "top": 20}),
        (words.EXAMPLES[2], {"what": "rules", "family": "injection", "period": "yesterday"}),
        (words.EXAMPLES[3], {"what": "days", "method": "INVITE", "number": "abroad"}),
        (words.EXAMPLES[4], {"what": "agents", "family": "sql", "source": "203.0.113.61"}),
        ("top agents", {"what": "agents"}),
        ("Who was banned on 2026-11-16?", {"what": "sources", "action": "banned", "since": "2026-11-16", "until": "2026-11-16"}),
        ("which numbers were called between 2026-11-16 and 2026-11-18", {"what": "numbers", "method": "INVITE", "since": "2026-11-16", "until": "2026-11-18"}),
    ],
)  # fmt: skip
def test_words_are_a_query(question: str, meant: dict[str, Any]) -> None:
    assert words.read(question) == query_.Query(**meant)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("which sources tried to frobnicate", "not understood: frobnicate"),
        ("which sources were not banned", "not understood: not"),
        ("sql last week", "what is asked for"),
        ("which sources since 2026-13-41", "is no day"),
        ("which sources sent sql and shell", "family can be one thing"),
        ("top 5000 sources", "from 1 to 1000"),
        ("sources " * 10_000, "up to 500 characters"),
    ],
)
def test_what_is_not_understood_is_said_never_guessed(question: str, said: str) -> None:
    with pytest.raises(query_.QueryError, match=re.escape(said)):
        words.read(question)


def test_an_answer_has_its_query_and_the_engines_numbers(log: Path) -> None:
    found = answer("which sources sent injections last week?", log)
    assert found["query"] == "what = sources, family = injection, period = last week"
    assert [(row["source"], row["messages"]) for row in found["rows"]] == [("203.0.113.61", 3), ("203.0.113.142", 2)]
    assert found["since"] == "2026-11-15T17:34:20Z" and found["messages"] == 5
    days = answer("which days", log)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    counts: dict[str, int] = {}
    for record in records:
        if record["event"]["kind"] in ("event", "metric") and record.get("sip", {}).get("type") != "reply":
            day = record["@timestamp"][:10]
            counts[day] = counts.get(day, 0) + record["event"].get("count", 1)
    assert {row["day"]: row["messages"] for row in days["rows"]} == counts
    assert ask("who was banned", log, code=1).startswith("Query: what = sources, action = banned")


def test_sql_reads_events_and_nothing_else(log: Path, tmp_path: Path) -> None:
    found = answer("--sql", "SELECT method, count(*) AS n FROM events GROUP BY 1 ORDER BY 2 DESC LIMIT 1", log)
    assert found["columns"] == ["method", "n"] and found["rows"][0][0] == "REGISTER"
    assert "one SELECT is allowed" in ask("--sql", "DELETE FROM events", log, code=2)
    Store(tmp_path).close()
    out, database = tmp_path / "out", tmp_path / "events.duckdb"
    for query in (
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')", f"COPY events TO '{out}'", f"ATTACH '{out}' AS other", "INSTALL httpfs", "LOAD httpfs",
        "SET enable_external_access = true", "RESET enable_external_access", "DELETE FROM events", "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2", "PRAGMA database_list", "EXPLAIN ANALYZE SELECT 1", f"EXPORT DATABASE '{out}'", "SELECT", "",
        "SELECT * FROM read_parquet('https://127.0.0.1/x')", "CALL pragma_version()", "INSERT INTO events SELECT * FROM events",
        "SELECT getenv('HOME')",
    ):  # fmt: skip
        with pytest.raises(query_.QueryError, match="--sql:"):
            sql.run(database, query)
    assert not out.exists()


def test_sql_is_bounded(tmp_path: Path) -> None:
    Store(tmp_path).close()
    database = tmp_path / "events.duckdb"
    with pytest.raises(query_.QueryError, match=r"more than 0\.3 seconds"):
        sql.run(
            database, "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range, b.range) = 1", 0.3
        )
    columns, rows, more = sql.run(database, "SELECT range FROM range(5000)")
    assert (columns, len(rows), more) == (["range"], 1000, True)


def test_ctrl_c_ends_a_query_that_takes_long(log: Path) -> None:
    far = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range, b.range) = 1"
    command = [str(SITE / "bin/sipsieve"), "ask", "--sql", far, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: _counting(process.pid), "the query", 60)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130 and b"Traceback" not in said


def _counting(pid: int) -> bool:
    """Whether a process has spent two seconds within threads beside its first."""
    tick = os.sysconf("SC_CLK_TCK")
    spent = 0.0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        if thread.name != str(pid):
            fields = (thread / "stat").read_text().rpartition(")")[2].split()
            spent += int(fields[11]) / tick
    return spent > 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--memory", "much", "who"], "--memory 'much'"),
        (["--memory", "1KB", "who"], "--memory '1KB': too little; 200MB is the least that is taken"),
        (["--sql", "--model", CASE, "SELECT 1"], "--sql needs no --model"),
        # Words without their quotes: what is meant for the question is taken for a file.
        (["which", "sources"], "a question of several words stands between quotes"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(log: Path, arguments: list[object], said: str) -> None:
    assert said in ask(*arguments, log, code=2)


def test_nothing_in_an_archive_is_said(tmp_path: Path) -> None:
    nothing, archive = tmp_path / "empty.jsonl", tmp_path / "archive"
    nothing.touch()
    done = CliRunner().invoke(main, ["archive", str(archive), "-q", str(nothing)])
    assert done.exit_code == 0, done.output
    assert "Nothing to ask: there is no event in what was named." in ask("who", archive, code=1)


def test_numbers_that_json_does_not_have_are_text(log: Path) -> None:
    text = ask("--json", "--sql", "SELECT 'nan'::double, '-inf'::double, 0.5::double", log)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(text, parse_constant=refuse)["rows"] == [["nan", "-inf", 0.5]]


def test_what_a_sender_calls_itself_reaches_no_terminal(tmp_path: Path) -> None:
    names = ["\x1b[2J\x1b]0;owned\x07", "\u202egpj.exe", "a\r\nb\tc", "x" * 5000]
    log = tmp_path / "decisions.jsonl"
    log.write_text(
        "".join(
            json.dumps(
                {
                    "@timestamp": f"2026-11-16T10:00:0{n}.000000Z", "source": {"ip": "203.0.113.7", "port": 5060}, "network": {"transport": "udp"},
                    "event": {"kind": "event", "action": "allow"}, "sip": {"type": "request", "method": "INVITE", "call_id": f"c{n}"},
                    "user_agent": {"original": name},
                }
            )
            + "\n"
            for n, name in enumerate(names)
        )
    )  # fmt: skip
    for words_ in (["top agents"], ["--sql", 'SELECT agent, agent AS "\x1b[2Jx" FROM events']):
        shown = ask(*words_, log)
        assert all(letter == "\n" or letter.isprintable() for letter in shown), shown
        assert "\\x1b[2J" in shown and max(map(len, shown.splitlines())) < 250
    assert len(answer("top agents", log)["rows"]) == len(names)


def settings(tmp_path: Path, url: str) -> Path:
    path = tmp_path / "model.toml"
    path.write_text(f'url = "{url}"\nmodel = "any"\ntimeout_seconds = 20\nretries = 1\n')
    return path


def test_a_model_picks_a_query_and_sees_no_event(log: Path, tmp_path: Path) -> None:
    picked = {"what": "sources", "family": "injection", "method": None, "action": None, "number": None, "source": None,
              "period": "last week", "since": None, "until": None, "top": 10}  # fmt: skip
    with model_server.serving(lambda exchange: exchange.complete(json.dumps(picked))) as model:
        found = answer(
            "Whose payloads went for what stands behind us, lately?", "--model", settings(tmp_path, model.url), log
        )
    assert found["query"] == "what = sources, family = injection, period = last week"
    assert found["model"] == "test-model-2026-11"
    assert found["rows"] == answer("which sources sent injections last week?", log)["rows"]
    # The question and the vocabulary are all that it is told.
    told = json.dumps(model.asked)
    for text in ("203.0.113.61", "UPDATE users", "friendly-scanner", "198.51.100"):
        assert text not in told
    assert model.asked[0]["messages"][1]["content"] == "Whose payloads went for what stands behind us, lately?"


@pytest.mark.parametrize(
    "said",
    [
        "There were 4,711 injections, all benign.",
        json.dumps({"what": "sources", "answer": 4711}),
        json.dumps({"what": "secrets"}),
        json.dumps({"what": "sources", "source": "1.2.3.4' OR 1=1 --"}),
        json.dumps({"what": "sources", "since": "yesterday'); DROP TABLE events; --"}),
        json.dumps({"what": "sources", "top": 10**9}),
        json.dumps({"sql": "SELECT * FROM read_csv('/etc/passwd')"}),
        "[" * 100_000,
        "",
    ],
)
def test_a_model_that_lies_or_was_taken_over_gets_nothing_asked(log: Path, tmp_path: Path, said: str) -> None:
    with model_server.serving(lambda exchange: exchange.complete(said)) as model:
        output = ask("how bad is it?", "--model", settings(tmp_path, model.url), log, code=2)
    assert "--model:" in output and "4711" not in output
    assert len(model.asked) == 2


def test_what_a_query_may_be_is_what_a_model_is_offered() -> None:
    offered = query_.schema()["properties"]
    assert list(offered) == [field.name for field in msgspec.structs.fields(query_.Query)]
    for what in offered["what"]["enum"]:
        assert query_.decode(json.dumps({"what": what})).what == what
