"""Which reader reads which other program's log, and how its finds become decision records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Final

from sipsieve._core import Messages

from .asterisk import Asterisk
from .fail2ban import Fail2Ban
from .freeswitch import FreeSwitch
from .homer import Homer
from .kinds import InputKind
from .sensors import Sensor
from .told import Clock, Reader, Twice, messages

#: Kinds whose lines a collector may have wrapped into JSON.
WRAPPABLE: Final = frozenset({InputKind.ASTERISK, InputKind.FREESWITCH, InputKind.FAIL2BAN})

#: Lines that come one by one are put together to so many before they are read.
_TOGETHER: Final = 4096


class Others:
    """Readers of one analysis: logs of one program that tell of the same events know of each other."""

    def __init__(self) -> None:
        self._asterisk, self._freeswitch = Twice(), Twice()

    def reader(self, kind: InputKind, zone: tzinfo, newest: datetime, skipped: Counter[str]) -> Reader | Fail2Ban:
        """A reader for one log. `newest`: when it was last written."""
        clock = Clock(zone, newest)
        if kind is InputKind.ASTERISK:
            return Asterisk(clock, skipped, self._asterisk)
        if kind is InputKind.FREESWITCH:
            return FreeSwitch(clock, skipped, self._freeswitch)
        if kind is InputKind.FAIL2BAN:
            return Fail2Ban(clock, skipped)
        return Homer(clock, skipped) if kind is InputKind.HOMER else Sensor(skipped)


def records(reader: Reader | Fail2Ban, pieces: Iterable[bytes], engine: Callable[[Messages], bytes]) -> Iterator[bytes]:
    """Decision records of a log, as lines of JSON, as it is read."""
    for piece in _gathered(pieces):
        yield _made(reader.feed(piece), engine)
    yield _made(reader.finish(), engine)


def _made(found: object, engine: Callable[[Messages], bytes]) -> bytes:
    if isinstance(found, bytes):
        return found
    return engine(messages(found)) if found else b""  # type: ignore[arg-type]


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    for piece in pieces:
        if len(piece) > _TOGETHER:
            yield piece
            continue
        held.append(piece)
        if len(held) >= _TOGETHER:
            yield b"".join(held)
            held.clear()
    yield b"".join(held)
