"""The mixed load on the server that `make chaos` troubles: a customer's calls, attacks, and strangers who are to be banned."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections import Counter
from contextlib import suppress

from chaos_faults import HOARDS_EVERY, Troubles
from chaos_watch import Watch
from harness import invite, status

HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'

#: RFC 3261 17.1.1.2: an INVITE is sent again after 0.5, 1, 2, 4, 8, 16 s.
RETRANSMISSIONS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

#: Seconds after which Kamailio answers 408 for a backend that is silent (kamailio.cfg's `fr_timer`), and within which its timers
#: follow the wall clock, with some to spare.
GIVES_UP = 10.0
RESYNC = 10.0

#: Seconds around a restart in which a call may need more than one retransmission.
AROUND = 5.0

CALLER = "127.12.0.1"
ATTACKER = "127.12.0.2"

#: Who is banned, so that there are bans to keep and to restore: a new address with each look.
STRANGERS = "127.13.{}.{}"

#: Seconds between two calls: Kamailio keeps each transaction for half a minute, and its shared memory is small here.
PAUSE = 0.02


class Load:
    """Who calls and who attacks, each in a thread of its own until it is `over`."""

    def __init__(self, port: int, troubles: Troubles, over: threading.Event, watch: Watch) -> None:
        self.port = port
        self.watch = watch
        self.troubles = troubles
        self.over = over
        self.began = time.monotonic()
        self.sent: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.banned = 0
        #: Calls that Kamailio refused for want of memory.
        self.short = 0

    def call(self, source: str, data: bytes, again: bool) -> tuple[int, int]:
        """The final answer's status, 0 without one, and how many retransmissions it took."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.connect(("127.0.0.1", self.port))
            for number, wait in enumerate(RETRANSMISSIONS if again else (1.0,)):
                with suppress(ConnectionError):
                    sock.send(data)
                    self.sent[source] += source in (CALLER, ATTACKER)
                until = time.monotonic() + wait
                while (left := until - time.monotonic()) > 0:
                    sock.settimeout(left)
                    try:
                        reply = sock.recv(65535)
                    except TimeoutError:
                        break
                    except ConnectionError:
                        # Nobody listens: a restart.
                        self.over.wait(min(left, 0.05))
                        continue
                    if status(reply) >= 200:
                        self.answered[source] += source in (CALLER, ATTACKER)
                        return status(reply), number
        return 0, len(RETRANSMISSIONS)

    def calls(self) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            code, again = self.call(CALLER, invite(), True)
            ended = time.monotonic()
            self.over.wait(PAUSE)
            near = any(began - AROUND < moment < ended + AROUND for moment in self.troubles.restarts)
            short = any(first < ended and began < last for first, last in list(self.troubles.shortages))
            if short and code in (0, 408, 500):
                # Kamailio has no memory to forward it with, or to take the answer with.
                self.short += 1
            elif code == 408 and self.timers_jumped(began, ended):
                self.late(
                    began,
                    ended,
                    "a customer's call was answered 408 before any timer can have ended: the clock was set",
                )
            elif code != 200:
                self.late(began, ended, f"a customer's call was answered {code}")
            elif again > 1 and not near and not short:
                self.late(began, ended, f"a customer's call took {again} retransmissions, no restart near")

    def timers_jumped(self, began: float, ended: float) -> bool:
        """Whether Kamailio's timers ran ahead: they follow the wall clock where it was set forward, and every timer ends at once."""
        clock = self.troubles.last.get("clock", -math.inf)
        return ended - began < GIVES_UP - 1 and began - clock < RESYNC

    def late(self, began: float, ended: float, what: str) -> None:
        """An answer that came late is broken, whatever the machine did meanwhile; what that was stands beside it."""
        seen = json.dumps(self.watch.between(began, ended))
        self.troubles.broken.append(f"{self.lately(began, ended)}: {what}; {seen}")

    def lately(self, moment: float, ended: float) -> str:
        """What was done before that moment, and until the end, for whoever looks for a cause."""
        last = [
            f"{name} {moment - at:.1f} s"
            for name, at in list(self.troubles.last.items())
            if moment - ended <= moment - at < HOARDS_EVERY
        ]
        return f"second {moment - self.began:.0f}, for {ended - moment:.2f} s, after {', '.join(last)}"

    def attacks(self) -> None:
        while not self.over.is_set():
            code, _ = self.call(ATTACKER, invite(from_=HOSTILE), False)
            self.over.wait(PAUSE / 4)
            if code not in (0, 403):
                self.troubles.broken.append(f"an attack was answered {code}")

    def strangers(self) -> None:
        number = 0
        while not self.over.wait(1):
            number += 1
            for _ in range(8):
                code, _ = self.call(STRANGERS.format(number // 250, number % 250 + 1), invite(from_=HOSTILE), False)
                if not code:
                    self.banned += 1
                    break
