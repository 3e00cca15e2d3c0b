"""The analysis's questions that were put together beforehand: they ask what the expressions ask."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipsieve_analysis import prepared, questions
from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector
from sipsieve_analysis.report import as_json

CASE = Path(__file__).parents[2] / "fixtures" / "case"

LINE = (
    "Nov 16 10:{minute:02}:{second:02} edge kamailio[41]: INFO: {{1 1 {method} {call}}} <script>: {method} from 192.0.2.{host}:5060 "
    'ruri=sip:{user}@example.com fu=sip:{user}@example.com tu=sip:{user}@example.com ua="{agent}"\n'
)


def many_clients(folder: Path) -> Path:
    """A log in which one address calls itself something else each time, and another sometimes."""
    path = folder / "kamailio.log"
    path.write_text(
        "".join(
            LINE.format(
                minute=n // 60, second=n % 60, method=("REGISTER", "INVITE", "OPTIONS")[n % 3], call=f"{n // 2:x}@192.0.2.{n % 4}",
                host=n % 4, user=100 + n % 90, agent=f"client {n % (40 if n % 4 == 1 else 3)}",
            )
            for n in range(1800)
        )
    )  # fmt: skip
    return path


def report_of(path: Path, folder: Path, window: tuple[int, int] | None = None) -> dict[str, Any]:
    folder.mkdir()
    store = Store(folder, small=True)
    collector = Collector(store, folder, UTC, year=2026)
    collector.add(path)
    collector.finish()
    store.window = window
    found = as_json(analyze(store, collector.intake))
    store.close()
    return found


def test_the_texts_are_those_of_the_expressions() -> None:
    assert prepared.PLACE.read_text() == questions.text(), "python -m sipsieve_analysis.questions makes it anew"


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("name", ["decisions.jsonl.bz2", "kamailio.log.gz", "many clients"])
def test_prepared_questions_and_expressions_give_one_report(
    name: str, part: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = CASE / name if "." in name else many_clients(tmp_path)
    whole = report_of(path, tmp_path / "whole")
    first, last = (
        int(datetime.fromisoformat(whole["window"][end]).timestamp() * 1_000_000) for end in ("start", "end")
    )
    window = (first, first + (last - first) // 2) if part else None
    found = report_of(path, tmp_path / "prepared", window)
    assert found["actors"]
    assert (found == whole) is not part
    monkeypatch.setattr(prepared, "questions", dict)
    assert report_of(path, tmp_path / "expressions", window) == found


def test_what_puts_expressions_together_is_not_imported_without_need() -> None:
    code = (
        "import sys\n"
        "from sipsieve_analysis.commands.analyze import command\n"
        f"command.main(['--json', '-q', {str(CASE / 'decisions.jsonl.bz2')!r}], standalone_mode=False)\n"
    )
    code = code.replace("command.main", "try:\n    command.main").rstrip() + (
        "\nexcept SystemExit:\n    pass\nprint([name for name in ('ibis', 'sqlglot', 'pandas') if name in sys.modules], file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(ran.stdout)["actors"]
    assert ran.stderr.strip() == "[]"
