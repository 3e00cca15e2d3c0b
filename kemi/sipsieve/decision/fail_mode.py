"""What becomes of a message that the guard itself failed on."""

from __future__ import annotations

from pathlib import Path

from ..config.policy import Policy
from ..model import Decision, Kind, Verdict


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


def unscrubbed(decided: Decision) -> Decision:
    """What becomes of a message whose bytes could not be replaced: a request is refused, a reply passes."""
    reason = f"{decided.reason}; could not be scrubbed"
    if decided.kind is Kind.REPLY:
        return decided._replace(verdict=Verdict.ALLOW, reason=reason, replacement=None)
    return decided._replace(verdict=Verdict.REJECT, status=403, phrase="Forbidden", reason=reason, replacement=None)


def line(error: BaseException) -> str:
    """An error for syslog. Text from the wire does not belong there: the type and place suffice."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "?"
    return f"{type(error).__name__} at {place}"
