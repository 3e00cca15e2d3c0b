"""Analysis of 10^4 to 10^7 decision records, beside a bare DuckDB scan of the same file; then of a capture and a raw
log, beside tshark and a count of lines.

Records are made by DuckDB from a template: phones, calls and a trunk, with brute force, enumeration, injections,
a flood and forged addresses among them. Both runs have two threads. Memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

import inputs

_SCAN = "import duckdb,sys; c=duckdb.connect(); c.execute('SET threads=2'); c.execute(\"SET memory_limit='1000MB'\"); print(c.execute(sys.argv[1]).fetchall())"

# One record in the guard's own form. i is the record's number; each tenth sends something else.
_RECORD = """
SELECT '{"@timestamp":"' || strftime(TIMESTAMP '2026-11-16' + INTERVAL (i * 604800000000 // $n) MICROSECOND, '%Y-%m-%dT%H:%M:%S.%fZ')
|| '","source":{"ip":"' || ip || '","port":' || (5060 + hash(ip) % 20000) || '},"network":{"transport":"udp"},"event":{"kind":"event","action":"'
|| CASE WHEN hostile THEN 'reject' ELSE 'allow' END || '","outcome":"success","id":"6919a-1f-' || i || '"},"rule":{'
|| CASE WHEN hostile THEN '"id":["sql-update-set"],' ELSE '' END || '"version":"0123456789ab"},"policy":{"version":"0123456789ab","mode":"enforce"},"counters":{"invite":3},"ecs":{"version":"8.11.0"},"sipsieve":{"version":2,"bytes":733},"sip":{"type":"'
|| CASE WHEN is_reply THEN 'response' ELSE 'request' END || '","method":"' || method || '"' || CASE WHEN is_reply THEN ',"code":200' ELSE '' END
|| ',"uri":{"original":"sip:' || target || '@example.com"},"call_id":"' || call || '@' || CASE WHEN is_reply THEN '192.0.2.9' ELSE ip END
|| '","cseq":{"code":1},"from":{"uri":{"original":"sip:' || caller || '@example.com"}},"to":{"uri":{"original":"sip:' || target || '@example.com"}}},"user_agent":{"original":"' || agent || '"}'
|| CASE WHEN hostile THEN ',"findings":[{"rule":"sql-update-set","family":"sql","score":5,"field":"from.display_name","reason":"an SQL UPDATE","excerpt":"UPDATE users SET password=''' || (i % 7) || ''' WHERE username=''admin''"}]' ELSE '' END
|| '}'
FROM (
    SELECT i, i % 10 = 9 AS is_reply, i % 100000 = 7 AS hostile,
        CASE WHEN i % 10 = 9 THEN '10.0.0.5' WHEN i % 10 = 8 THEN '203.0.113.' || (i // 10 % 40) WHEN i % 100 = 7 THEN '198.51.' || (i // 100 % 16) || '.' || (i // 1600 % 200)
             ELSE '10.' || (i // 10 % 20) || '.' || (i // 200 % 250) || '.7' END AS ip,
        CASE WHEN i % 10 < 5 THEN 'REGISTER' WHEN i % 10 < 7 THEN 'INVITE' WHEN i % 10 = 7 THEN 'BYE' WHEN i % 10 = 8 THEN 'REGISTER' ELSE 'REGISTER' END AS method,
        (i % 5000)::VARCHAR AS target, (i // 10 % 5000)::VARCHAR AS caller, hash(i // 2)::VARCHAR AS call,
        CASE WHEN i % 10 = 8 THEN 'friendly-scanner' ELSE 'Yealink SIP-T46S 66.85.0.' || (hash(ip) % 9) END AS agent
    FROM range($n) t(i)
)
"""


def generate(path: Path, records: int) -> float:
    """Writes so many records; returns bytes a record."""
    connection = duckdb.connect()
    query = _RECORD.replace("$n", str(records))
    connection.execute(
        f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01')"
    )
    return path.stat().st_size / records


def measured(command: list[str]) -> tuple[float, int]:
    """Seconds and peak memory in bytes of a command, with two cores at most."""
    before = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=_two_cores)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"failed: {' '.join(command)[:200]}")
    return time.perf_counter() - before, usage.ru_maxrss * 1024


def _two_cores() -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def others(folder: Path, count: int, sipsieve: str) -> list[dict[str, float | str]]:
    """A row each for a capture and a raw log of so many packets or lines, with the time of a peer that only reads them."""
    capture, log = folder / "bench.pcap", folder / "bench.log"
    inputs.capture(capture, count)
    inputs.raw_log(log, count)
    rows: list[dict[str, float | str]] = []
    for path, name, peer in (
        (
            capture,
            "tshark -Y sip",
            ["tshark", "-n", "-r", str(capture), "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID"],
        ),
        (log, "grep -c from", ["grep", "-c", "from", str(log)]),
    ):
        beside, _ = measured(peer)
        seconds, memory = measured([sipsieve, "analyze", "--json", "-q", "--temporary", str(folder), str(path)])
        rows.append({"input": path.suffix[1:], "count": count, "peer": beside, "analyze": seconds, "memory": memory})
        print(
            f"{count:>10,} {path.suffix[1:]:>9} {name} {beside:.2f} s, analyze {seconds:.2f} s, {memory / 2**20:.0f} MiB, {count / seconds:,.0f}/s",
            file=sys.stderr,
            flush=True,
        )
        path.unlink()
    return rows


def main() -> None:
    """Prints a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000,10000000", help="numbers of records")
    parser.add_argument("--packets", type=int, default=200_000, help="packets of the capture, and lines of the raw log")
    parser.add_argument("--folder", default=None, help="where the records go (10^7 are 7 GB)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    sipsieve = str(Path(sys.executable).with_name("sipsieve"))
    print(
        f"{'records':>10} {'file':>9} {'bare scan':>10} {'analyze':>9} {'ratio':>6} {'memory':>9} {'records/s':>11}",
        file=sys.stderr,
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for size in (int(text) for text in arguments.sizes.split(",")):
            path = Path(folder) / f"{size}.jsonl"
            each = generate(path, size)
            query = f"""SELECT source.ip, count(*) FROM read_json('{path}', format = 'newline_delimited', ignore_errors = true,
                columns = {{'@timestamp': 'VARCHAR', 'source': 'STRUCT(ip VARCHAR)'}}) GROUP BY 1 ORDER BY 2 DESC LIMIT 3"""  # noqa: S608 (our own file name)
            scan, _ = measured([sys.executable, "-c", _SCAN, query])
            seconds, memory = measured([sipsieve, "analyze", "--json", "-q", "--temporary", folder, str(path)])
            path.unlink()
            rows.append(
                {"records": size, "bytes": int(size * each), "scan": scan, "analyze": seconds, "memory": memory}
            )
            print(
                f"{size:>10,} {size * each / 1e6:>6.0f} MB {scan:>8.2f} s {seconds:>7.2f} s {seconds / scan:>6.1f} {memory / 2**20:>5.0f} MiB {size / seconds:>11,.0f}",
                file=sys.stderr,
                flush=True,
            )
        rows += others(Path(folder), arguments.packets, sipsieve)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
