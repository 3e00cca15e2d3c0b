"""The executive summary: sentences for somebody who will read nothing else, made from the findings alone."""

from __future__ import annotations

from typing import Final

from ..ranking import Tier
from ..report import Actor, Report

#: Actors that get a sentence each.
_MOST: Final = 4

#: What an actor did, by its gravest campaign.
_DEEDS: Final = {
    "account_takeover": "guessed the password of an account and used it",
    "injection": "hid code in SIP header fields",
    "flood": "flooded the server",
    "spoofed_flood": "flooded the server with forged sender addresses",
    "distributed_flood": "flooded the server from many addresses together",
    "toll_fraud": "tried to place calls at somebody else's expense",
    "wangiri": "made many people ring back dear numbers",
    "brute_force": "tried passwords against accounts",
    "credential_stuffing": "tried stolen pairs of user and password",
    "spraying": "tried a few passwords against many accounts",
    "fuzzing": "sent malformed messages to find a weakness",
    "enumeration": "looked for users that exist",
    "mover": "came back from changing addresses",
    "scan": "scanned the server",
}

#: What an injection is after, which says more than that it is one.
_PAYLOADS: Final = {
    "remote_code_execution": "hid shell commands in SIP header fields, to take over a server behind",
    "data_tampering": "hid SQL that changes data in SIP header fields",
    "credential_theft": "hid SQL that reads secrets in SIP header fields",
}


def deed(actor: Actor) -> str:
    """What an actor did, as the rest of a sentence."""
    if not actor.campaigns:
        return "sent odd messages"
    first = str(actor.campaigns[0].type)
    if first == "injection":
        intents = {str(motive.intent) for motive in actor.motives}
        for intent, text in _PAYLOADS.items():
            if intent in intents:
                return text
    if first == "toll_fraud" and actor.succeeded:
        return "placed calls at somebody else's expense"
    return _DEEDS[first]


def who(actor: Actor) -> str:
    """An actor as the subject of a sentence; addresses are as the log has them, and are escaped by whoever shows them."""
    if not actor.addresses:
        return "A sender whose address proves nothing" if actor.victims else "A sender that the log does not name"
    more = len(actor.addresses) - 1
    name = f"{actor.addresses[0]} and {more} more" if more else actor.addresses[0]
    return f"A sender under forged addresses ({name})" if actor.spoofed else name


def summary(report: Report) -> list[str]:
    """Sentences: how grave, who got in, who did what, what reached the servers, what the guard changes, the rest."""
    if not report.messages:
        return ["Nothing could be read, so nothing can be said."]
    grave = [actor for actor in report.actors if actor.rank.tier is not Tier.LOW]
    total = f"{report.messages:,} SIP messages were analysed."
    if not grave:
        return [f"{total} Nothing in them calls for action.", *_rest(report)]
    now = sum(actor.rank.tier is Tier.IMMEDIATE for actor in grave)
    urgency = f", {now} of them at once" if now else ", none of them at once"
    found = [
        f"{total} {_number(len(grave), 'attacker')} among the senders {'calls' if len(grave) == 1 else 'call'} for action{urgency}."
    ]
    inside = [actor for actor in grave if actor.succeeded]
    if inside:
        found.append(f"{_number(len(inside), 'attacker')} got in: {', '.join(who(actor) for actor in inside[:_MOST])}.")
    elif not report.answers:
        found.append("Whether anybody got in, the log can't tell: it holds no answers of the servers.")
    else:
        found.append("The log shows no account taken over and no paid call.")
    found += [f"{who(actor)} {deed(actor)}; {_reach(actor)} reached the server behind." for actor in grave[:_MOST]]
    if len(grave) > _MOST:
        found.append(
            f"{_number(len(grave) - _MOST, 'more attacker')} {'is' if len(grave) == _MOST + 1 else 'are'} described below."
        )
    sent = sum(actor.effect.messages for actor in grave)
    left = sum(actor.effect.guarded for actor in grave)
    found.append(
        f"With the guard enforcing, {left:,} of these attackers' {sent:,} messages reach the server"
        + (
            f"; it refuses {report.lawful.refused:,} of {report.lawful.messages:,} messages of senders with nothing against them."
            if report.lawful.messages
            else "."
        )
    )
    return found + _rest(report)


def _rest(report: Report) -> list[str]:
    low = report.noise
    found = []
    if low.actors:
        found.append(
            f"{_number(low.actors, 'other sender')} with {low.messages:,} messages {'is' if low.actors == 1 else 'are'} the internet's usual noise."
        )
    if report.quiet_sources:
        found.append(f"Nothing speaks against {_number(report.quiet_sources, 'further source')}.")
    return found


def _reach(actor: Actor) -> str:
    received, sent = actor.effect.received, actor.effect.messages
    if sent == 1:
        return "its only message" if received else "its only message, stopped, never"
    which = "none of its" if not received else "all" if received == sent else f"{received:,} of"
    return f"{which} {_number(sent, 'message')}"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
