"""What becomes of a message that the guard itself failed on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..config.policy import Policy
from ..model import Decision, Kind, Verdict

#: Seconds between two lines about errors of one kind, and kinds that are told apart.
_SILENT: Final = 60
_KINDS: Final = 256


def decision(error: BaseException, raw: bytes, trusted: bool, policy: Policy) -> Decision:
    """As `[failure]` says: refused or let through. A reply always passes: the callee has answered."""
    setting = policy.failure.trusted if trusted else policy.failure.strangers
    is_reply = raw[:4].upper() == b"SIP/"
    is_open = setting == "open" or policy.mode == "observe" or is_reply
    # An ACK is never answered.
    status = 0 if is_open or raw[:4] == b"ACK " else 503
    return Decision(
        Verdict.ALLOW if is_open else Verdict.REJECT,
        Kind.REPLY if is_reply else Kind.REQUEST,
        "",
        status=status,
        phrase="Service Unavailable",
        reason=f"{type(error).__name__}: {error}"[:200],
        error=True,
    )


def line(error: BaseException) -> str:
    """An error for syslog. Text from the wire does not belong there: the type and place suffice."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "?"
    return f"{type(error).__name__} at {place}"


class Errors:
    """Errors for syslog, each kind once a minute with how many there were: whoever can cause one can cause thousands."""

    def __init__(self) -> None:
        #: By line: since when it is silent, and how often it came meanwhile.
        self._said: dict[str, tuple[float, int]] = {}

    def line(self, error: BaseException, now: float) -> str:
        """What to say of an error; "" for nothing. `now` in seconds of a clock that never steps."""
        text = line(error)
        since, more = self._said.get(text, (-_SILENT, 0))
        if now - since < _SILENT:
            self._said[text] = since, more + 1
            return ""
        if len(self._said) >= _KINDS:
            self._said.clear()
        self._said[text] = now, 0
        return f"{text} ({more} more of these since the last one was said)" if more else text
