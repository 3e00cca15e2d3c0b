"""From a report to its narration: the one call that puts the steps in their order."""

from __future__ import annotations

import re
from typing import Final

from ..report import Report
from . import answer, checker, material, prompt
from .answer import Sentence
from .endpoint import Endpoint
from .narration import Checked, Narration
from .settings import Settings

_OPAQUE: Final = re.compile(r"\bX\d{1,4}\b")


def narrate(report: Report, settings: Settings, endpoint: Endpoint) -> Narration:
    """Has the model put a report into words and checks them. Raises `NarrationError`; the report is not changed."""
    facts = material.gather(report, settings.excerpts)
    told = facts.told(settings.actors)
    schema = answer.schema([fact.id for fact in told], list(facts.actors.values())[: settings.actors], settings.bounded)
    conversation = prompt.messages(facts.as_json(told), schema if settings.structured == "json_object" else None)
    digest = prompt.digest(conversation, schema)
    reply = endpoint.ask(conversation, schema, digest)
    checked = checker.check(reply.answer, facts)
    sentences = _all(checked)
    named = {one for sentence in sentences for one in _OPAQUE.findall(sentence.text)}
    cited = {one for sentence in sentences for one in sentence.evidence}
    return Narration(
        checked, settings.model, reply.version, digest, settings.excerpts,
        {key: value for key, value in facts.texts.items() if key in named},
        {key: fact.text for key, fact in facts.facts.items() if key in cited},
        reply.cached, reply.asked_tokens, reply.answered_tokens, reply.cost, reply.seconds, reply.attempts,
    )  # fmt: skip


def _all(checked: Checked) -> list[Sentence]:
    stories = [sentence for story in checked.stories.values() for sentence in story]
    return [*checked.summary, *stories, *checked.first, *checked.uncertain]
