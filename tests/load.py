"""A bounded load on one server: many messages, each one's answer known."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What came of a load: status by number of the message, and how long all took (s)."""

    sent: int = 0
    seconds: float = 0.0
    answers: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.sent / self.seconds


def run(
    port: int,
    message: Callable[[int], bytes],
    *,
    seconds: float,
    over: Callable[[], bool] = lambda: False,
    window: int = 64,
    per_second: float = 0.0,
) -> Outcome:
    """Sends message 0, 1, 2 … until `over`, `seconds` at the most, then waits for the last answers.

    At most `window` messages are unanswered at a time, fewer than the server's socket holds, so that
    nothing is lost in a full buffer, and a missing answer is the server's. The Call-ID of each must
    be its number. `per_second` slows it down; 0: as fast as it goes.
    """
    outcome = Outcome()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        started = time.monotonic()
        end = started + seconds
        last = started
        while True:
            now = time.monotonic()
            if over():
                end = min(end, now)
            open_ = now < end
            allowed = window - (outcome.sent - len(outcome.answers))
            if per_second:
                allowed = min(allowed, int((now - started) * per_second) - outcome.sent)
            if open_:
                for _ in range(allowed):
                    sock.send(message(outcome.sent))
                    outcome.sent += 1
            elif len(outcome.answers) >= outcome.sent or now - max(last, end) > 3:
                break
            select.select([sock], [], [], 0.001 if open_ else 0.1)
            try:
                while True:
                    answer = sock.recv(4096)
                    last = time.monotonic()
                    at = answer.index(b"\nCall-ID: ") + 10
                    outcome.answers[int(answer[at : answer.index(b"\r", at)])] = int(answer[8:11])
            except BlockingIOError:
                pass
        outcome.seconds = max(min(last, end), started + 0.001) - started
    return outcome
