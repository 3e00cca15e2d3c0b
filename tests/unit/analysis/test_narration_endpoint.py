"""Where a narration stands, and what a model's endpoint may cost, break and be told."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from harness import ROOT
from model_server import Exchange, Model, honest, serving
from narrated import behaves, kept, model_reads, narrated, settings
from sipsieve_analysis.narrate import prompt
from sipsieve_analysis.narrate.endpoint import Endpoint, NarrationError
from sipsieve_analysis.narrate.settings import Cost, Settings, SettingsError, read
from sipsieve_analysis.render import html, markdown
from sipsieve_analysis.report import Report, as_json

pytest_plugins = ("narrated",)


# The endpoint.


def test_a_narration_stands_in_each_report_and_is_marked(case: Report, model: Model) -> None:
    report = copy.deepcopy(case)
    report.narration = narrated(report, settings(model))
    data = as_json(report)
    fastjsonschema.compile(json.loads((ROOT / "docs" / "report.schema.json").read_text()))(data)
    told = data["narration"]
    assert (told["written_by"], told["model"], told["version"]) == (
        "language model",
        "test-model",
        "test-model-2026-11",
    )
    assert told["removed"] == 0 and told["kept"] > 10 and len(told["prompt"]) == 16
    assert [story["id"] for story in told["actors"]] == [actor["id"] for actor in data["actors"][:4]]
    for text in (html.write(report), markdown.write(report)):
        assert "by a language model" in text and told["prompt"] in text and "203.0.113.142" in text
    assert "In words" not in html.write(case) and "narration" not in as_json(case)


def test_a_removed_sentence_is_listed_and_harmless(case: Report) -> None:
    def lies(exchange: Exchange) -> None:
        answer = honest(exchange.facts())
        answer["summary"].append({"text": "<script>alert(1)</script> 203.0.113.250 \u202e", "evidence": ["G1"]})
        exchange.complete(json.dumps(answer))

    report = copy.deepcopy(case)
    with serving(lies) as served:
        report.narration = narrated(report, settings(served))
    page = html.write(report)
    assert "<script" not in page and "&lt;script&gt;" in page and "\u202e" not in page
    assert report.narration.checked.removed_count == 1
    assert "203.0.113.250" not in json.dumps(as_json(report)["narration"]["summary"])


def test_the_prompt_asks_for_the_schema_and_the_key_is_sent(
    case: Report, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NARRATION_KEY", "s3cret")
    narrated(case, settings(model, key_env="NARRATION_KEY"))
    assert model.keys == ["Bearer s3cret"]
    asked = model.asked[0]
    form = asked["response_format"]["json_schema"]
    ids = form["schema"]["properties"]["summary"]["items"]["properties"]["evidence"]["items"]["enum"]
    assert form["strict"] and ids == [fact["id"] for fact in json.loads(asked["messages"][1]["content"])["facts"]]
    assert "tools" not in asked and asked["temperature"] == 0
    narrated(case, settings(model, structured="json_object"))
    assert (
        model.asked[1]["response_format"] == {"type": "json_object"}
        and "schema" in model.asked[1]["messages"][0]["content"]
    )


def fails_first(*steps: str) -> tuple[list[str], Any]:
    left = list(steps)

    def behave(exchange: Exchange) -> None:
        step = left.pop(0) if left else "good"
        if step.isdigit():
            exchange.raw(int(step), b'{"error": {"message": "\x1b[2Jno"}}')
        elif step == "html":
            exchange.raw(200, b"<html>hello</html>", "text/html")
        elif step == "form":
            exchange.complete(json.dumps({"summary": "all is well"}))
        elif step == "prose":
            exchange.complete("Sure! Here is the report.")
        elif step == "deep":
            exchange.complete("[" * 100_000)
        elif step == "cut":
            exchange.complete('{"summary": [', finish="length")
        elif step == "empty":
            exchange.raw(200, b'{"choices": []}')
        elif step == "closed":
            exchange.connection.close()
        elif step == "short":
            exchange.send_response(200)
            exchange.send_header("Content-Length", "5000")
            exchange.end_headers()
            exchange.wfile.write(b'{"choices"')
            exchange.close_connection = True
        elif step == "large":
            exchange.raw(200, b" " * (5 << 20))
        else:
            behaves(exchange)

    return left, behave


@pytest.mark.parametrize(
    "step", ["500", "429", "html", "form", "prose", "deep", "cut", "empty", "closed", "short", "large"]
)
def test_what_fails_once_is_tried_again(case: Report, step: str) -> None:
    _, behave = fails_first(step)
    with serving(behave) as served:
        found = narrated(case, settings(served))
    assert found.attempts == 2 and found.checked.kept > 10


@pytest.mark.parametrize(("status", "times"), [(401, 1), (404, 1), (302, 1), (500, 3), (429, 3)])
def test_what_goes_on_failing_is_given_up_and_said(case: Report, status: int, times: int) -> None:
    _, behave = fails_first(*[str(status)] * 9)
    with serving(behave) as served, pytest.raises(NarrationError, match=str(status)) as caught:
        narrated(case, settings(served))
    assert len(served.asked) == times and "\x1b" not in str(caught.value)


def test_a_redirect_does_not_carry_the_key_elsewhere(case: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARRATION_KEY", "s3cret")
    with serving(behaves) as other:

        def elsewhere(exchange: Exchange) -> None:
            exchange.raw(307, b"", Location=f"{other.url}/chat/completions")

        with serving(elsewhere) as served, pytest.raises(NarrationError):
            narrated(case, settings(served, key_env="NARRATION_KEY"))
        assert other.asked == []


def _silent(exchange: Exchange) -> None:
    import time

    time.sleep(4)


def _drips(exchange: Exchange) -> None:
    import contextlib
    import time

    exchange.send_response(200)
    exchange.send_header("Content-Length", "5000")
    exchange.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(40):
            exchange.wfile.write(b" ")
            exchange.wfile.flush()
            time.sleep(0.1)


@pytest.mark.parametrize("behave", [_silent, _drips])
def test_what_is_slow_is_left(case: Report, behave: Any) -> None:
    import time

    with serving(behave) as served:
        began = time.monotonic()
        with pytest.raises(NarrationError, match=r"timeout_seconds|slowly|in time"):
            narrated(case, settings(served, timeout_seconds=1.2))
        assert time.monotonic() - began < 2.5


def test_money_and_tokens_are_capped_before_they_are_spent(case: Report, model: Model) -> None:
    with pytest.raises(NarrationError, match=r"cost\.most"):
        narrated(case, settings(model, cost=Cost(most=0.001, input_per_million=1, output_per_million=4)))
    with pytest.raises(NarrationError, match="max_tokens"):
        narrated(case, settings(model, max_tokens=2000))
    assert model.asked == []
    found = narrated(case, settings(model, cost=Cost(most=1, input_per_million=1, output_per_million=4)))
    assert found.cost == pytest.approx((900 * 1 + 300 * 4) / 1e6)


def test_attempts_that_fail_count_for_the_cap(case: Report) -> None:
    def wasteful(exchange: Exchange) -> None:
        exchange.complete("no", usage=(500_000, 1000))

    with serving(wasteful) as served, pytest.raises(NarrationError, match="max_tokens"):
        narrated(case, settings(served, retries=9))
    assert len(served.asked) == 1


def test_an_answer_that_is_kept_serves_without_a_network(case: Report, tmp_path: Path) -> None:
    with serving(behaves) as served:
        chosen = settings(served, cache=str(tmp_path / "kept"))
        first = narrated(case, chosen)
        again = narrated(case, chosen)
        assert len(served.asked) == 1
    assert (first.cached, again.cached) == (False, True) and kept(first) == kept(again)
    away = settings(Model(behaves, chosen.url), cache=chosen.cache, offline=True)
    assert kept(narrated(case, away)) == kept(first)
    other = copy.deepcopy(case)
    other.messages += 1
    with pytest.raises(NarrationError, match="offline"):
        narrated(other, away)


def test_a_kept_answer_that_was_changed_is_checked_again(case: Report, tmp_path: Path) -> None:
    with serving(behaves) as served:
        chosen = settings(served, cache=str(tmp_path))
        narrated(case, chosen)
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace("Its tier is immediate", "Its tier is harmless"))
    found = narrated(case, chosen)
    assert found.cached and any("harmless" in removed.why for removed in found.checked.removed)


def test_the_prompt_s_digest_is_the_prompt_s(case: Report) -> None:
    told = model_reads(case)
    one = prompt.digest(prompt.messages(told), {})
    assert one == prompt.digest(prompt.messages(model_reads(case)), {})
    assert (
        len(
            {
                one,
                prompt.digest(prompt.messages(told + " "), {}),
                prompt.digest(prompt.messages(told), {"type": "object"}),
            }
        )
        == 3
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('model = "m"', "url"),
        ('url = "ftp://x/v1"\nmodel = "m"', "no http or https"),
        ('url = "http://192.0.2.1/v1"\nmodel = "m"', "insecure_http"),
        ('url = "https://user:key@x/v1"\nmodel = "m"', "environment variable"),
        ('url = "https://x/v1"\nmodel = ""', "model"),
        ('url = "https://x/v1"\nmodel = "m"\napi_key = "k"', "api_key"),
        ('url = "https://x/v1"\nmodel = "m"\nretries = 99', "retries"),
        ('url = "https://x/v1"\nmodel = "m"\noffline = true', "cache"),
        ("url = ", "settings.toml"),
    ],
)
def test_settings_that_are_wrong_say_which_key(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=why):
        read(path)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(SettingsError, match="NO_SUCH_KEY"):
        Endpoint(Settings(url="https://x.example/v1", model="m", key_env="NO_SUCH_KEY"))
