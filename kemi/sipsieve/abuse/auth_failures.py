"""Tells refused credentials from a first challenge, and credentials of a source from forged ones."""

from __future__ import annotations

from typing import Final

from .._core import Inspection, identity
from ..model import Counters, Source
from .sources import CONNECTED

#: Answers that may mean that credentials were refused (RFC 3261 21.4.2, 21.4.4, 21.4.8).
REFUSALS: Final = frozenset({401, 403, 407})

#: What is remembered of credentials: who sent them is not shown, or is.
CLAIMED: Final = 1
PROVEN: Final = 2

#: Seconds for which a nonce is remembered; servers' nonces live for 30 to 300 s.
NONCE_LIFE: Final = 300

#: Seconds that a transaction lives (RFC 3261 17.1.2.2, timer F).
_TRANSACTION: Final = 32


def offered(seen: Inspection, source: Source, now: float, counters: Counters) -> None:
    """Remembers that a request carries credentials, and whether they come from where they say.

    They do over a connection, and where their nonce had been sent to this very source: whoever forges
    datagrams does not see what is answered. That holds as far as the backend gives each client
    nonces of its own.
    """
    if not seen.offers_credentials:
        return
    proven = source.transport in CONNECTED
    if not proven and (nonce := seen.nonce):
        proven = counters.marked(identity(nonce, source.key.encode()), now, NONCE_LIFE) > 0
    counters.mark(seen.transaction, PROVEN if proven else CLAIMED, now)


def refused(seen: Inspection, source: Source, now: float, counters: Counters) -> int:
    """Whether an answer refuses credentials: 0, `CLAIMED` or `PROVEN`. Remembers the nonce of a challenge.

    A 401 or 407 to a request without credentials is a first challenge, and one with `stale=true`
    (RFC 7616 3.3) says that the password was right.
    """
    if seen.status not in REFUSALS:
        return 0
    if nonce := seen.nonce:
        counters.mark(identity(nonce, source.key.encode()), 1, now)
        if seen.stale:
            return 0
    return counters.marked(seen.transaction, now, _TRANSACTION) if seen.transaction else 0
