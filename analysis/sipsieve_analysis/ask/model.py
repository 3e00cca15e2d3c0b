"""Lets a language model put a question into the vocabulary. It sees the question and the vocabulary, and no event."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..narrate import settings as settings_
from ..narrate.endpoint import Endpoint, NarrationError
from .query import LONGEST, Query, QueryError, decode, schema

_TASK: Final = (
    "Put the operator's question about SIP traffic into a query of the given JSON form. Only the values that the form lists exist. "
    "Use null for what the question does not ask for, 10 for top unless it names a number. Answer with the JSON object alone."
)


def read(question: str, path: Path) -> tuple[Query, str]:
    """The query, and the model as the endpoint names it. Raises `QueryError`, `SettingsError`."""
    if len(question) > LONGEST:
        raise QueryError(f"a question has up to {LONGEST} characters; this one has {len(question):,}")
    endpoint = Endpoint(settings_.read(path), decode)
    conversation = [{"role": "system", "content": _TASK}, {"role": "user", "content": question}]
    try:
        reply = endpoint.ask(conversation, schema(), "")
    except NarrationError as error:
        raise QueryError(f"--model: {error}") from error
    finally:
        endpoint.close()
    query: Query = reply.answer  # type: ignore[assignment]
    return query, reply.version
