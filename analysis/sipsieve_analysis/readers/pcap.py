"""Reads SIP messages out of captures: the core finds them in whatever they are wrapped in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import IO, Final

from sipsieve._core import Capture, Messages

from .kinds import read

#: Bytes read at once.
_CHUNK: Final = 4 << 20


def messages(stream: IO[bytes], skipped: Counter[str]) -> Iterator[Messages]:
    """The messages of a pcap, a pcapng, or a file of HEP3 packets, as the file is read.

    IP fragments and TCP streams are put together, tunnels (VLAN, PPPoE, MPLS, GRE, IP in IP, VXLAN, HEP) are looked
    into. What is no SIP message, or could not be read, is counted by kind in `skipped`.
    """
    capture = Capture()
    for chunk in read(stream, skipped, _CHUNK):
        yield capture.feed(chunk)
        skipped.update(dict(capture.skipped()))
    yield capture.finish()
    skipped.update(dict(capture.skipped()))
