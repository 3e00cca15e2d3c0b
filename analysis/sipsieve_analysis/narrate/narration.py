"""A checked narration as data, and its form in the JSON report."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from .answer import Sentence

_OPAQUE: Final = re.compile(r"\b(X\d{1,4})\b")


@dataclass(frozen=True, slots=True)
class Removed:
    """A sentence that did not hold, where it stood, and why."""

    part: str
    text: str
    why: str


@dataclass(slots=True)
class Checked:
    """What is left: sentences in the order of the report's ranking, whatever the model's was."""

    summary: list[Sentence] = field(default_factory=list)
    #: By the actor's id in the report, the gravest first.
    stories: dict[str, list[Sentence]] = field(default_factory=dict)
    first: list[Sentence] = field(default_factory=list)
    uncertain: list[Sentence] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)
    removed_count: int = 0

    @property
    def kept(self) -> int:
        """Sentences that are left."""
        return len(self.summary) + len(self.first) + len(self.uncertain) + sum(map(len, self.stories.values()))


@dataclass(slots=True)
class Narration:
    """What stands of a model's words, with where they come from. Nothing else in a report depends on it."""

    checked: Checked
    model: str
    version: str
    prompt: str
    excerpts: bool
    #: Senders' texts that the sentences name, by their opaque id.
    texts: dict[str, str] = field(default_factory=dict)
    #: The facts that the sentences cite, by id.
    facts: dict[str, str] = field(default_factory=dict)
    cached: bool = False
    asked_tokens: int = 0
    answered_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    attempts: int = 1

    def pieces(self, sentence: Sentence) -> list[tuple[bool, str]]:
        """A sentence in pieces, those that a sender wrote marked and in the place of their opaque id."""
        parts = _OPAQUE.split(sentence.text)
        return [(part in self.texts, self.texts.get(part, part)) for part in parts if part]


def as_json(narration: Narration) -> dict[str, Any]:
    """The `narration` of a JSON report, as `docs/report.schema.json` describes it."""

    def told(sentences: list[Sentence]) -> list[dict[str, Any]]:
        return [{"text": sentence.text, "evidence": sentence.evidence} for sentence in sentences]

    checked = narration.checked
    return {
        "written_by": "language model",
        "model": narration.model,
        "version": narration.version,
        "prompt": narration.prompt,
        "excerpts": narration.excerpts,
        "cached": narration.cached,
        "tokens": {"asked": narration.asked_tokens, "answered": narration.answered_tokens},
        "cost": round(narration.cost, 6),
        "seconds": narration.seconds,
        "attempts": narration.attempts,
        "summary": told(checked.summary),
        "actors": [{"id": identity, "story": told(story)} for identity, story in checked.stories.items()],
        "first": told(checked.first),
        "uncertain": told(checked.uncertain),
        "kept": checked.kept,
        "removed": checked.removed_count,
        "removed_sentences": [{"part": r.part, "text": r.text, "why": r.why} for r in checked.removed],
        "texts": narration.texts,
        "facts": narration.facts,
    }
