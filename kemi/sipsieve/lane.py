"""Says what it takes to pass a message of a known shape without reading it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from . import challenge, dialog, limits, record
from .model import Kind, Message
from .parts import parts
from .sieve import METHODS

if TYPE_CHECKING:
    from .shape import Shape, Span

_NONE: Final = (0, 0)

#: A body in these is looked at by a switch of its own.
_TEXT: Final = frozenset({"MESSAGE", "INFO"})


class Lane(NamedTuple):
    """The same for all messages of a shape; spans are (start, end) in their bytes, (0, 0) for what is not there."""

    #: Place in `METHODS`.
    method: int
    #: Place in `limits.COUNTERS`, as outside of a dialog; -1: never counted.
    counter: int
    is_reply: bool
    #: A 2xx to an INVITE: sets a dialog up.
    remembers: bool
    #: Both tags are there: may belong to a dialog.
    tagged: bool
    credentials: bool
    call_id: Span
    from_tag: Span
    to_tag: Span
    #: The CSeq's.
    number: Span
    nonce: Span
    #: How its record ends; () where records are to be made in Python.
    record: record.Pieces


def of(message: Message, shape: Shape, holes: Iterable[Span]) -> Lane | None:
    """The lane of a message in which nothing is odd; None where Python has to look at each one.

    What the regular expressions of `dialog` and `challenge` would cut out must be whole values, as the
    parser cut them: then it is the same in every message of the shape.
    """
    method = shape.method
    is_reply = shape.kind is Kind.REPLY
    if method not in METHODS or (method in _TEXT and message.body) or (is_reply and shape.status >= 300):
        return None
    head = message.raw[: shape.head_end]
    remembers = is_reply and method == "INVITE" and shape.status >= 200
    values = {(part.start, part.end) for part in parts(message)}
    call_id = from_tag = to_tag = number = nonce = _NONE
    if shape.tagged and (remembers or not is_reply):
        identity = dialog.spans(head)
        if identity is None or not values.issuperset(identity):
            return None
        call_id, from_tag, to_tag = identity
    if shape.credentials and not is_reply:
        offer = challenge.spans(head)
        if offer is None or not {offer.call_id, offer.nonce or offer.call_id} <= values:
            return None
        call_id, number, nonce = offer.call_id, offer.number, offer.nonce or _NONE
    counter = -1 if method == "CANCEL" else limits.COUNTERS.index(limits.CLASSES.get(method, "other"))
    return Lane(
        METHODS.index(method),
        counter,
        is_reply,
        remembers and shape.tagged,
        shape.tagged,
        shape.credentials,
        call_id,
        from_tag,
        to_tag,
        number,
        nonce,
        record.pieces(message, holes),
    )
