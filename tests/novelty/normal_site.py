"""A site of phones and trunks with people behind them: what its guard sees in the course of days, all of it accepted.

Reproducible: the same seed and day give the same messages. Makes and messages are those of the benches' traffic; names of
people, companies and lines are composed, those of the days that are judged partly of productions that no day before had.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "detection")]

from lookalikes import ORDINARY  # noqa: E402

from mix import Make, Sent, Subscriber, Traffic  # noqa: E402
from sipsieve._core import Messages  # noqa: E402
from sipsieve_analysis.readers.replayed import Replay  # noqa: E402

#: Monday, 2 November 2026, 00:00 UTC.
START = 1_793_577_600.0
DAY = 86_400.0

#: Of a day's calls, by hour.
_HOURS = (1, 1, 0, 0, 0, 1, 4, 15, 40, 60, 60, 55, 35, 50, 60, 55, 45, 30, 15, 10, 6, 4, 2, 1)

TRUNKS = ("192.0.2.201", "192.0.2.202")

_CALL_ID = re.compile(rb"(?mi)^(call-id|i):[^\r\n]*")
_FROM = re.compile(rb"(?mi)^(from|f): [^<\r\n]*<sip:[^@>]*@")


class Message(NamedTuple):
    """A request and the status that the server answered, 0 for none."""

    time: float
    ip: str
    raw: bytes
    status: int


class Site:
    """One site. `names`: what its callers from outside are called; its own people's are composed."""

    def __init__(
        self,
        seed: int,
        phones: int = 500,
        names: Sequence[bytes] = (),
        makes: Sequence[Make] = (),
        held_back: float = 0.1,
    ) -> None:
        """`held_back`: the share of new callers whose names have productions that `before` never shows."""
        self.traffic = Traffic(seed, phones)
        self._seed = seed
        self._names = list(names)
        self._held_back = held_back
        rng = random.Random(f"{seed} people")
        for place, (who, name) in enumerate(zip(self.traffic.subscribers, ORDINARY.texts(["ordinary"], rng, "develop"), strict=False)):  # fmt: skip
            if who.name:
                who.name = name.text.replace("\\", "").replace('"', '\\"')
            if makes:
                who.make = makes[place % len(makes)]

    def day(self, number: int, new_names: str = "develop") -> Iterator[Message]:
        """One day's messages in the order of their time. `new_names`: the part that callers' composed names are of."""
        rng = random.Random(f"{self._seed} day {number}")
        begin = START + number * DAY
        found: list[Message] = []
        for who in self.traffic.subscribers:
            time = begin + rng.uniform(0, 14_400)
            while time < begin + DAY:
                found.append(self._sent(time, self.traffic.request(rng, who, "REGISTER")))
                if rng.random() < 0.2:
                    method = rng.choice(("SUBSCRIBE", "OPTIONS", "PUBLISH", "NOTIFY", "MESSAGE"))
                    found.append(self._sent(time + 2, self.traffic.request(rng, who, method)))
                time += 14_400 * rng.uniform(0.9, 1.1)
            for _ in range(rng.choice((0, 1, 2, 2, 3, 5))):
                found += self._call(rng, self._when(rng, begin), who, who.address, None)
        composed = ORDINARY.texts(["ordinary"], random.Random(f"{self._seed} callers {number}"), new_names)
        trunks = [self.traffic.subscribers[place] for place in (0, 1)]
        for _ in range(len(self.traffic.subscribers)):
            place = rng.randrange(len(TRUNKS))
            name = rng.choice(self._names) if self._names and rng.random() < 0.6 else next(composed).text.encode()
            caller = b"" if rng.random() < 0.5 else name
            found += self._call(rng, self._when(rng, begin), trunks[place], TRUNKS[place], caller)
        return iter(sorted(found, key=lambda message: message.time))

    @staticmethod
    def _when(rng: random.Random, begin: float) -> float:
        return begin + rng.choices(range(24), _HOURS)[0] * 3600 + rng.uniform(0, 3600)

    def _call(
        self, rng: random.Random, time: float, who: Subscriber, ip: str, caller: bytes | None
    ) -> Iterator[Message]:
        first = self.traffic.request(rng, who, "INVITE")
        identity = _CALL_ID.search(first.raw)
        assert identity is not None
        number = f"+49{rng.randrange(10**9, 10**10)}".encode()
        status = rng.choice((200, 200, 200, 200, 486, 487))
        for method, after in (("INVITE", 0.0), ("ACK", 0.5), ("BYE", rng.uniform(5, 600))):
            if method == "BYE" and status != 200:
                return
            raw = first.raw if method == "INVITE" else self.traffic.request(rng, who, method).raw
            raw = _CALL_ID.sub(lambda found: found[1] + identity[0][len(identity[1]) :], raw, count=1)
            if caller is not None:
                quoted = caller.replace(b"\\", b"").replace(b'"', b'\\"')
                shown = b'"' + quoted + b'" ' if quoted else b""
                raw = _FROM.sub(lambda found, s=shown: found[1] + b": " + s + b"<sip:" + number + b"@", raw, count=1)  # type: ignore[misc]
            yield Message(time + after, ip, raw, 0 if method == "ACK" else status)

    @staticmethod
    def _sent(time: float, sent: Sent) -> Message:
        refused = sent.method == "REGISTER" and b"uthorization" not in sent.raw
        return Message(time, sent.address, sent.raw, 401 if refused else 200)


def records(replay: Replay, messages: Iterator[Message] | Sequence[Message]) -> list[bytes]:
    """The decision log of these, with answers, as a guard writes it whose `log.raw_bytes` keeps the messages."""
    items = []
    for sent in messages:
        items.append((sent.time, sent.ip, sent.raw))
        if sent.status:
            items.append((sent.time + 0.02, "192.0.2.10", _answer(sent)))
    made = [
        (time, (ip, 5060, "udp"), (b"", b"", b"", b""), [], raw, 0, False, None) for time, ip, raw in sorted(items, key=lambda i: i[0])
    ]  # fmt: skip
    return replay.records(Messages.told(made)).splitlines()


def _answer(sent: Message) -> bytes:
    wanted = (b"via", b"v", b"from", b"f", b"to", b"t", b"call-id", b"i", b"cseq")
    head = sent.raw.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]
    kept = [line for line in head if line.partition(b":")[0].strip().lower() in wanted]
    return b"\r\n".join([b"SIP/2.0 %d Answer" % sent.status, *kept, b"Content-Length: 0", b"", b""])
