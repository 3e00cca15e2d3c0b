"""The form that a model's answer must have, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct


class Sentence(Struct, forbid_unknown_fields=True):
    """One sentence with the ids of the facts that prove it."""

    text: str
    evidence: list[str]


class Story(Struct, forbid_unknown_fields=True):
    """What one actor did."""

    actor: str
    story: list[Sentence]


class Answer(Struct, forbid_unknown_fields=True):
    """A whole narration."""

    summary: list[Sentence]
    actors: list[Story]
    first: list[Sentence]
    uncertain: list[Sentence]


def decode(text: str | bytes) -> Answer:
    """The answer in a model's text. Raises `msgspec.DecodeError` (`ValidationError` is one) where it has another form."""
    return msgspec.json.decode(text, type=Answer)


#: Sentences in a part, and characters of a sentence, that an endpoint is asked to keep to where it can.
_MOST_SENTENCES: Final = 6
_LONGEST: Final = 240


def schema(facts: Sequence[str], actors: Sequence[str], bounded: bool = False) -> dict[str, Any]:
    """The form as JSON Schema, in the subset that strict structured output takes: only these ids can be cited.

    `bounded` bounds lengths too, which not every endpoint takes: a small model may never end a text by itself.
    """
    bounds = {"maxItems": _MOST_SENTENCES} if bounded else {}

    def sentences(what: str) -> dict[str, Any]:
        return {
            "type": "array",
            "description": what,
            "items": _object({
                "text": {"type": "string", "description": "One plain English sentence."} | ({"minLength": 1, "maxLength": _LONGEST} if bounded else {}),
                "evidence": {"type": "array", "items": {"type": "string", "enum": list(facts)}, "description": "Ids of the facts that prove it."} | ({"minItems": 1, "maxItems": 4} if bounded else {}),
            }),
            **bounds,
        }  # fmt: skip

    story = _object({
        "actor": {"type": "string", "enum": list(actors) or [""]},
        "story": sentences("What it did, in one to four sentences."),
    })  # fmt: skip
    return _object({
        "summary": sentences("For a manager: what happened and how grave it is, in two to four sentences."),
        "actors": {"type": "array", "description": "One entry for each actor.", "items": story} | ({"maxItems": len(actors)} if bounded else {}),
        "first": sentences("What to do first; each sentence cites a fact that begins with 'What to do'."),
        "uncertain": sentences("What the report can't show."),
    })  # fmt: skip


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
