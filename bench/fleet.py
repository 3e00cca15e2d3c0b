"""Analysis of an archive of 10^5 to 10^8 records on DuckDB and on Spark: cost per record, memory, and whether both say the same.

Records are those of `bench/analysis.py`; with `--times` an archive of these is put together so many times over, each time with Call-IDs
and microseconds of its own: the archive of 10^8 records without their log of 68 GB. Spark runs in one Java process with two threads. Processor time is of all
processes of a run; memory is the peak of their sum, looked at each 0.2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis import generate
from sipsieve_analysis.archive import manifests
from sipsieve_analysis.archive.manifests import Part
from sipsieve_analysis.archive.place import Place
from sipsieve_analysis.events import COLUMNS

_TICK = os.sysconf("SC_CLK_TCK")
#: Rows of a group in a part, as `sipsieve archive` writes them.
_GROUP = 100_000
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _family(root: int) -> dict[int, tuple[float, int]]:
    """Processes below one: seconds of processor time, and bytes of memory."""
    parents: dict[int, int] = {}
    found: dict[int, tuple[float, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(entry.name)
            parents[pid] = int(fields[1])
            found[pid] = ((int(fields[11]) + int(fields[12])) / _TICK, int(fields[21]) * _PAGE)
    mine = {root}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return {pid: found[pid] for pid in mine & found.keys()}


def measured(command: list[str]) -> tuple[float, float, int, bytes]:
    """Seconds that passed, seconds of processor time, peak memory in bytes, and what was printed."""
    begin, spent, peak = time.perf_counter(), {}, 0
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors)
        while process.poll() is None:
            family = _family(process.pid)
            spent.update({pid: seconds for pid, (seconds, _) in family.items()})
            peak = max(peak, sum(size for _, size in family.values()))
            time.sleep(0.2)
        out.seek(0)
        printed = out.read()
        # 1 is "something was found" and the code of a crash too: only one of them has a report.
        if process.returncode not in (0, 1) or not printed:
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")[-2000:]
            raise SystemExit(f"failed with {process.returncode}: {' '.join(command)}\n{said}")
        return time.perf_counter() - begin, sum(spent.values()), peak, printed


def multiply(archive: Path, times: int) -> int:
    """Puts what an archive of one manifest holds into it so many times over, as other events of the same sources; the rows of all."""
    place = Place(archive)
    manifests.opened(place, COLUMNS)
    (manifest,) = manifests.read(place)
    parts = list(manifest.parts)
    for part in parts:
        rows = pq.read_table(archive / part.name, partitioning=None)
        for turn in range(1, times):
            calls = pc.binary_join_element_wise(f"{turn:04}", rows["call_id"], "")
            made = rows.set_column(rows.column_names.index("call_id"), "call_id", calls)
            for name in ("time_us", "end_us"):
                shifted = pc.add(rows[name], pa.scalar(turn, pa.int64()))
                made = made.set_column(rows.column_names.index(name), name, shifted)
            name = part.name.replace(".parquet", f"-{turn:04}.parquet")
            pq.write_table(made, archive / name, compression="zstd", row_group_size=_GROUP)
            manifest.parts.append(Part(name, part.day, part.rows, (archive / name).stat().st_size))
    manifest.records = {kind: count * times for kind, count in manifest.records.items()}
    manifests.write(place, manifest)
    return sum(part.rows for part in manifest.parts)


def main() -> None:
    """Prints a row for each size and engine; 1 where the two say different things."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100000,1000000,10000000", help="numbers of records")
    parser.add_argument("--times", type=int, default=1, help="how often the records of a size are in its archive")
    parser.add_argument("--memory", default="", help="DuckDB's --memory: from some 10^7 records on it needs more")
    parser.add_argument("--spark-conf", action="append", default=[], metavar="KEY=VALUE", help="a setting of Spark")
    parser.add_argument("--folder", default=None, help="where the records go (10^7 are 6 GB)")
    parser.add_argument(
        "--engines", default="duckdb,spark", help="which of both analyze: with one alone, nothing is compared"
    )
    parser.add_argument("--master", default="local[2]", help="Spark's")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    engines = arguments.engines.split(",")
    if unknown := set(engines) - {"duckdb", "spark"}:
        parser.error(f"--engines: no such engine: {', '.join(sorted(unknown))}; there are duckdb and spark")
    sipsieve = str(Path(sys.executable).with_name("sipsieve"))
    rows, differ = [], False
    print(f"{'records':>11} {'engine':>8} {'seconds':>8} {'CPU':>8} {'µs/record':>10} {'memory':>10}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for size in (int(text) for text in arguments.sizes.split(",")):
            log, archive = Path(folder) / f"{size}.jsonl", Path(folder) / f"archive-{size}"
            generate(log, size)
            base = [sipsieve, "analyze", "--json", "-q", "--temporary", folder]
            settings = [word for setting in arguments.spark_conf for word in ("--spark-conf", setting)]
            runs = {
                "archive": [sipsieve, "archive", str(archive), "-q", "--temporary", folder, "--json", str(log)],
                "duckdb": [*base, *(["--memory", arguments.memory] if arguments.memory else []), str(archive)],
                "spark": [*base, "--engine", "spark", "--spark-master", arguments.master, *settings, str(archive)],
            }
            said, count = {}, size
            for name in ("archive", *engines):
                command = runs[name]
                seconds, processor, memory, said[name] = measured(command)
                rows.append({"records": count, "engine": name, "seconds": seconds, "cpu": processor, "memory": memory})
                print(
                    f"{count:>11,} {name:>8} {seconds:>8.1f} {processor:>8.1f} {processor / count * 1e6:>10.1f} {memory / 2**20:>6.0f} MiB",
                    file=sys.stderr,
                    flush=True,
                )
                if name == "archive":
                    log.unlink()
                    count = multiply(archive, arguments.times) if arguments.times > 1 else size
            reports = {said[name] for name in engines}
            differ |= len(reports) > 1
            kept = sum(path.stat().st_size for path in archive.rglob("*.parquet"))
            print(
                f"{count:>11,} {kept / count:.1f} bytes a record in the archive"
                + (
                    ""
                    if len(engines) < 2
                    else "; the reports DIFFER"
                    if len(reports) > 1
                    else "; the reports are the same"
                ),
                file=sys.stderr,
            )
    if arguments.json:
        print(json.dumps(rows))
    sys.exit(differ)


if __name__ == "__main__":
    main()
