"""Reads bytes into a `Message`, for whoever explains or counts messages apart from the way of live ones."""

from __future__ import annotations

from .. import _core
from ..model import Defect, Header, Kind, Message, Part, PartKind


def parse(raw: bytes) -> Message:
    """Reads one message. Never raises; costs time linear in `len(raw)`."""
    kind, method, status, uri, uri_start, phrase, headers, body_start, defects = _core.parse(raw)
    return Message(
        raw,
        Kind(kind),
        method,
        status,
        uri,
        uri_start,
        phrase,
        tuple(Header(*header) for header in headers),
        body_start,
        [Defect(*defect) for defect in defects],
    )


def parts(raw: bytes, *, sdp: bool = True, text_bodies: bool = False) -> list[Part]:
    """All parts of a message: first line, header fields in their order, lines of the body.

    `sdp` and `text_bodies` as in the policy's [detection]. Every byte of every header value is in at least one part,
    so that nothing is left unread: what does not follow its header's grammar comes as `TEXT`.
    """
    return [Part(PartKind(part[0]), *part[1:]) for part in _core.parts(raw, sdp, text_bodies)]
