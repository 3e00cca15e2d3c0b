"""Reads a question in plain English into a query, without a model: by words that are documented, and no others."""

from __future__ import annotations

import re
from typing import Any, Final

from .query import LONGEST, Query, QueryError, checked

#: What is asked for, by the first of these words that stands in the question.
_WHAT: Final = {
    "sources": "sources", "source": "sources", "addresses": "sources", "address": "sources", "who": "sources", "attackers": "sources",
    "users": "users", "accounts": "users", "extensions": "users", "numbers": "numbers", "rules": "rules", "families": "families",
    "agents": "agents", "clients": "agents", "tools": "agents", "methods": "methods", "actions": "actions", "decisions": "actions",
    "days": "days", "hours": "hours",
}  # fmt: skip

#: Words that are a condition.
_CONDITIONS: Final[dict[str, tuple[str, str]]] = {
    "registrations": ("method", "REGISTER"), "registered": ("method", "REGISTER"), "register": ("method", "REGISTER"),
    "calls": ("method", "INVITE"), "called": ("method", "INVITE"), "call": ("method", "INVITE"), "dialled": ("method", "INVITE"),
    "invite": ("method", "INVITE"), "invites": ("method", "INVITE"), "options": ("method", "OPTIONS"), "subscribe": ("method", "SUBSCRIBE"),
    "message": ("method", "MESSAGE"), "bye": ("method", "BYE"), "ack": ("method", "ACK"), "cancel": ("method", "CANCEL"), "notify": ("method", "NOTIFY"),
    "rejected": ("action", "reject"), "dropped": ("action", "drop"), "refused": ("action", "refused"), "blocked": ("action", "refused"),
    "banned": ("action", "banned"), "scrubbed": ("action", "scrub"), "cleaned": ("action", "scrub"), "allowed": ("action", "allow"),
    "passed": ("action", "passed"), "failed": ("action", "error"),
    "injection": ("family", "injection"), "injections": ("family", "injection"), "injected": ("family", "injection"),
    "sql": ("family", "sql"), "shell": ("family", "shell"), "path": ("family", "path"), "xss": ("family", "xss"), "template": ("family", "template"),
    "jndi": ("family", "jndi"), "ldap": ("family", "ldap"), "nosql": ("family", "nosql"), "xml": ("family", "xml"), "code": ("family", "code"),
    "ssi": ("family", "ssi"), "scanner": ("family", "scanner"), "scanners": ("family", "scanner"), "scanned": ("family", "scanner"),
    "malformed": ("family", "structure"), "broken": ("family", "structure"), "limits": ("family", "limits"), "limited": ("family", "limits"),
}  # fmt: skip

#: Phrases that are a condition; longer ones first. They are taken out before words are looked at.
_PHRASES: Final[tuple[tuple[str, str, str], ...]] = (
    (r"premium(?:[ -]rate)?(?: numbers?)?", "number", "premium"),
    (r"(?:international numbers?|numbers? abroad|abroad)", "number", "abroad"),
    (r"(?:in |of |over )?the (?:last|past) (?:hour)|last hour", "period", "last hour"),
    (r"(?:in |of |over )?the (?:last|past) (?:24 hours|day)|last (?:24 hours|day)", "period", "last day"),
    (r"(?:in |of |over )?the (?:last|past) (?:7 days|week)|last (?:7 days|week)", "period", "last week"),
    (r"(?:in |of |over )?the (?:last|past) (?:30 days|month)|last (?:30 days|month)", "period", "last month"),
    (r"yesterday", "period", "yesterday"),
    (r"today", "period", "today"),
)

_DAY: Final = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"

#: Words that say nothing by themselves.
_EMPTY: Final = frozenset(
    [
        "a",
        "all",
        "an",
        "and",
        "any",
        "are",
        "at",
        "attack",
        "attacked",
        "attacks",
        "attempted",
        "attempts",
        "by",
        "did",
        "do",
        "does",
        "events",
        "fired",
        "first",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "in",
        "is",
        "it",
        "list",
        "many",
        "me",
        "messages",
        "most",
        "of",
        "on",
        "or",
        "requests",
        "sent",
        "send",
        "show",
        "tell",
        "that",
        "the",
        "their",
        "there",
        "these",
        "they",
        "to",
        "tried",
        "try",
        "use",
        "used",
        "using",
        "was",
        "were",
        "what",
        "when",
        "where",
        "which",
        "with",
    ]
)

EXAMPLES: Final = (
    "which sources tried premium numbers last week?",
    "top 20 users by registrations refused since 2026-11-01",
    "which rules fired on injections yesterday?",
    "how many calls abroad by days",
    "which agents sent sql from 203.0.113.61?",
)


def read(question: str) -> Query:
    """The query that a question is. Raises `QueryError` where a word of it is not known."""
    text = " ".join(question.lower().replace("?", " ").replace(",", " ").split()).rstrip(". !")
    if len(text) > LONGEST:
        raise QueryError(f"a question has up to {LONGEST} characters; this one has {len(text):,}")
    found: dict[str, Any] = {}

    def take(pattern: str, *values: tuple[str, str | None]) -> None:
        nonlocal text
        match = re.search(rf"(?<!\S)(?:{pattern})(?!\S)", text)
        if match:
            for place, (name, value) in enumerate(values):
                _put(found, name, match[place + 1] if value is None else value)
            text = " ".join((text[: match.start()] + " " + text[match.end() :]).split())

    take(rf"between {_DAY} and {_DAY}", ("since", None), ("until", None))
    if match := re.search(rf"(?<!\S)on {_DAY}(?!\S)", text):
        _put(found, "since", match[1])
        _put(found, "until", match[1])
        text = text.replace(match[0], " ")
    take(rf"(?:since|from) {_DAY}", ("since", None))
    take(rf"(?:until|to|till) {_DAY}", ("until", None))
    take(r"(?:from|by|of|did) ([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f]*:[0-9a-f:]+)", ("source", None))
    take(r"top ([0-9]{1,4})", ("top", None))
    # Without a number it is as many as are shown anyway.
    take(r"(?:the )?top")
    for pattern, name, value in _PHRASES:
        take(pattern, (name, value))
    unknown = []
    # "who" and "which X" ask for X; "by X" behind a count too.
    by = re.search(r"(?:by|per) (days?|hours?|sources?|users?|rules?|methods?|agents?)(?!\S)", text)
    if by:
        found["what"] = by[1].rstrip("s") + "s"
        text = text.replace(by[0], " ")
    for word in text.split():
        if word in _WHAT and "what" not in found:
            found["what"] = _WHAT[word]
        elif word in _CONDITIONS:
            _put(found, *_CONDITIONS[word])
        elif word not in _EMPTY and word not in _WHAT:
            unknown.append(word)
    if unknown:
        raise QueryError(
            f"not understood: {', '.join(unknown[:8])}. Ask as in: {EXAMPLES[0]} (docs/ask.md has all words; --sql asks anything)"
        )
    if "what" not in found:
        raise QueryError(
            f"what is asked for? Name sources, users, numbers, rules, agents, methods, actions, days or hours, as in: {EXAMPLES[0]}"
        )
    found["top"] = int(found.get("top", 10))
    return checked(Query(**found))


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if found.get(name, value) != value:
        raise QueryError(f"{name} can be one thing: {found[name]} or {value}? Ask twice")
    found[name] = value
