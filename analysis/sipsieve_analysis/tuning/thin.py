"""Says what a recording can't tell, for which numbers that matters, and what to set so that the next one can."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from sipsieve.config.accounts import Accounts
from sipsieve.config.policy import Policy

from .recording import Recording


class Note(NamedTuple):
    """One thing that is not known: of how many messages, what follows for the figures, and what helps next time."""

    name: str
    messages: int
    text: str
    advice: str


_TEXTS: Final = {
    "counted": (
        "were let through and only counted: no decision on them is replayed, and rates of their sources are lower bounds",
        'log.allow = "each"',
    ),
    "banned": (
        "were dropped unread while their source was banned: what a policy that bans less would have made of them is not known",
        'mode = "observe", which bans nobody',
    ),
    "folded": (
        "of floods have no record of their own, and are not replayed",
        "a higher log.bytes_per_second",
    ),
    "off": ("passed while inspection was switched off, and have no record", ""),
    "errors": ("failed in the guard, and are left out", ""),
    "http": ("are HTTP over a limit: limits.http is not tried", ""),
    "no message": (
        "are on record without their text: recorded findings are weighed anew, but new rules, higher paranoia and other bounds "
        "of [detection] find nothing new in them",
        'log.record = "replay"',
    ),
    "changed message": (
        "had a secret, or a number that is masked, where a rule might look: recorded findings are weighed anew, but new rules, "
        "higher paranoia and other bounds of [detection] find nothing new in them",
        'privacy.mask = "off", where it hides numbers',
    ),
    "cut message": (
        "are longer than what is kept of a message: recorded findings are weighed anew, and nothing new is found in them",
        "log.raw_bytes = 8192, where it is less",
    ),
    "many findings": ("have more findings than a record holds: their scores are lower bounds", 'log.record = "replay"'),
    "challenges": (
        "answer with a challenge whose text is not on record: one that only says stale=true is taken for refused credentials, "
        "so auth_failures and its bans are upper bounds",
        'log.record = "replay"',
    ),
    "credentials": (
        "offer credentials whose user and realm are not on record: taken for those of From, so what [accounts], [[domain]] and "
        "[[destinations]] count by account is exact only where From names the account",
        'log.record = "replay"',
    ),
    "bodies": (
        "are INVITEs of which only the refused are known to have no body: a stricter content_length_zero.invite, or a network "
        "that is trusted no more, finds no others",
        'log.record = "replay"',
    ),
}  # fmt: skip


def notes(recording: Recording, policies: list[Policy]) -> list[Note]:
    """What matters of what is not known, the gravest first. `policies`: those that are compared."""
    found: Counter[str] = recording.reader.thin
    said = [Note(name, found[name], text, advice) for name, (text, advice) in _TEXTS.items() if found[name]]
    if policies and all(policy.content_length_zero.invite == "allow" for policy in policies):
        said = [note for note in said if note.name != "bodies"]
    if not any(_by_account(policy) for policy in policies):
        said = [note for note in said if note.name != "credentials"]
    clock = recording.reader.clock
    if recording.kinds["decision log"] and not clock.told:
        how = "taken from what was counted" if clock.offset else "taken as full minutes"
        text = f"where the minutes of the limits begin is on record in the notice of a start only; it is {how}"
        said.append(Note("clock", 0, text, "the log that holds the last start, too"))
    others = [kind for kind in recording.kinds if kind != "decision log"]
    if others:
        text = (
            f"a {' and a '.join(others)}: limits are counted from full minutes, dialogs and trust from its beginning; "
            "what was decided then is not in it, so all counts as let through unless --against names a policy"
        )
        said.append(Note("no decisions", sum(recording.kinds[kind] for kind in others), text, ""))
    return said


def _by_account(policy: Policy) -> bool:
    """Whether a policy counts or tells anything by account."""
    destinations = any(entry.accounts or entry.per != "source" for entry in policy.destinations)
    return destinations or bool(policy.domain) or policy.accounts != Accounts()
