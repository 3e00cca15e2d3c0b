"""Takes HEP3 packets out of datagrams and streams, and looks whether they carry the agreed key.

What is inside is read by the core (kemi/core/src/bulk/hep.rs). The format: github.com/sipcapture/HEP, draft 3.
"""

from __future__ import annotations

import hmac
from typing import Final

#: The chunk (vendor 0) that carries the sender's key.
_KEY: Final = b"\x00\x00\x00\x0e"

_HEADER: Final = 6


class FrameError(ValueError):
    """A stream that is no HEP3: there is no way back into step."""


def is_packet(data: bytes) -> bool:
    """Whether a datagram is one whole packet, by its header."""
    return len(data) >= _HEADER and data.startswith(b"HEP3") and int.from_bytes(data[4:6], "big") == len(data)


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole packets of a stream, and what is left, which is less than 64 KiB. Raises `FrameError`."""
    packets: list[bytes] = []
    at, end = 0, len(data)
    while end - at >= _HEADER:
        length = int.from_bytes(data[at + 4 : at + 6], "big")
        if data[at : at + 4] != b"HEP3" or length < _HEADER:
            raise FrameError("a stream that is no HEP3")
        if at + length > end:
            break
        packets.append(data[at : at + length])
        at += length
    rest = data[at:]
    if not b"HEP3".startswith(rest[:4]):
        raise FrameError("a stream that is no HEP3")
    return packets, rest


def has_key(packet: bytes, key: bytes) -> bool:
    """Whether a chunk of the packet is the key. Walks the chunks: a payload may hold the same bytes."""
    at, end = _HEADER, len(packet)
    while at + _HEADER <= end:
        length = int.from_bytes(packet[at + 4 : at + 6], "big")
        if length < _HEADER:
            return False
        if packet[at : at + 4] == _KEY:
            return hmac.compare_digest(packet[at + _HEADER : at + length], key)
        at += length
    return False
