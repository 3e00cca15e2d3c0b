"""Tells refused credentials from a first challenge, and credentials of a source from forged ones."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .dialog import call_id
from .model import Counters, Source
from .network import CONNECTED

#: Answers that may mean that credentials were refused (RFC 3261 21.4.2, 21.4.4, 21.4.8).
REFUSALS: Final = frozenset({401, 403, 407})

#: What is remembered of credentials: who sent them is not shown, or is.
CLAIMED: Final = 1
PROVEN: Final = 2

#: Seconds for which a nonce is remembered; servers' nonces live for 30 to 300 s.
NONCE_LIFE: Final = 300

#: Seconds that a transaction lives (RFC 3261 17.1.2.2, timer F).
_TRANSACTION: Final = 32

_CREDENTIALS: Final = re.compile(rb"\n(?:proxy-)?authorization[ \t]*:[^\r\n]*", re.I)
_CHALLENGE: Final = re.compile(rb"\n(?:www|proxy)-authenticate[ \t]*:[^\r\n]*", re.I)
_NONCE: Final = re.compile(rb"[ \t,]nonce[ \t]*=[ \t]*\"([^\"\r\n]{1,512})\"", re.I)
_STALE: Final = re.compile(rb"[ \t,]stale[ \t]*=[ \t]*\"?true", re.I)
_CSEQ: Final = re.compile(rb"\ncseq[ \t]*+:[ \t]*+([0-9]{1,10})", re.I)


class Offer(NamedTuple):
    """Where a request says which credentials it offers; spans are (start, end)."""

    call_id: tuple[int, int]
    number: tuple[int, int]
    nonce: tuple[int, int] | None


def spans(head: bytes) -> Offer | None:
    """What `offered` reads, None where it reads nothing."""
    credentials = _CREDENTIALS.search(head)
    name, number = call_id(head), _CSEQ.search(head)
    if credentials is None or name is None or number is None:
        return None
    nonce = _NONCE.search(credentials[0])
    start = credentials.start()
    span = (start + nonce.start(1), start + nonce.end(1)) if nonce else None
    return Offer(name, number.span(1), span)


def offered(head: bytes, source: Source, now: float, counters: Counters) -> None:
    """Remembers that a request carries credentials, and whether they come from where they say.

    They do over a connection, and where their nonce had been sent to this very source: whoever forges
    datagrams does not see what is answered. That holds as far as the backend gives each client
    nonces of its own.
    """
    credentials = _CREDENTIALS.search(head)
    if credentials is None or (identity := _identity(head)) is None:
        return
    proven = source.transport in CONNECTED
    if not proven and (nonce := _NONCE.search(credentials[0])) is not None:
        proven = counters.marked(hash((nonce[1], source.key)), now, NONCE_LIFE) > 0
    counters.mark(identity, PROVEN if proven else CLAIMED, now)


def refused(head: bytes, status: int, source: Source, now: float, counters: Counters) -> int:
    """Whether an answer refuses credentials: 0, `CLAIMED` or `PROVEN`. Remembers the nonce of a challenge.

    A 401 or 407 to a request without credentials is a first challenge, and one with `stale=true`
    (RFC 7616 3.3) says that the password was right.
    """
    if status not in REFUSALS:
        return 0
    challenge = _CHALLENGE.search(head)
    if challenge is not None and (nonce := _NONCE.search(challenge[0])) is not None:
        counters.mark(hash((nonce[1], source.key)), 1, now)
        if _STALE.search(challenge[0]):
            return 0
    identity = _identity(head)
    return 0 if identity is None else counters.marked(identity, now, _TRANSACTION)


def _identity(head: bytes) -> int | None:
    """A request's name, the same in its answer: Call-ID and CSeq."""
    name, number = call_id(head), _CSEQ.search(head)
    return None if name is None or number is None else hash((head[name[0] : name[1]], number[1]))
