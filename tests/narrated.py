"""A report of the case, what a model is told of it, and a model that answers: for the tests of narrations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT
from model_server import Exchange, Model, honest, serving
from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector
from sipsieve_analysis.narrate import material
from sipsieve_analysis.narrate.endpoint import Endpoint
from sipsieve_analysis.narrate.narration import Narration
from sipsieve_analysis.narrate.narrator import narrate
from sipsieve_analysis.narrate.settings import Settings
from sipsieve_analysis.report import Report

CASE = ROOT / "tests" / "fixtures" / "case" / "decisions.jsonl.bz2"


def report_of(path: Path, work: Path) -> Report:
    work.mkdir(exist_ok=True)
    store = Store(work)
    try:
        collector = Collector(store, work, UTC)
        collector.add(path)
        collector.finish()
        return analyze(store, collector.intake)
    finally:
        store.close()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of(CASE, tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def told(case: Report) -> material.Material:
    return material.gather(case)


def behaves(exchange: Exchange) -> None:
    exchange.complete(json.dumps(honest(exchange.facts())))


@pytest.fixture
def model() -> Iterator[Model]:
    with serving(behaves) as served:
        yield served


def settings(model: Model, **more: Any) -> Settings:
    return Settings(**{"url": model.url, "model": "test-model", "timeout_seconds": 20, "retries": 2, **more})


def narrated(report: Report, chosen: Settings) -> Narration:
    endpoint = Endpoint(chosen)
    try:
        return narrate(report, chosen, endpoint)
    finally:
        endpoint.close()


def model_reads(report: Report) -> str:
    found = material.gather(report)
    return found.as_json(found.told(20))


def kept(narration: Narration) -> list[Any]:
    checked = narration.checked
    return [checked.summary, checked.stories, checked.first, checked.uncertain]
