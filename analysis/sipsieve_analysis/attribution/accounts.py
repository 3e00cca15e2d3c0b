"""Tells from answers whose account was guessed, and whose is used by somebody else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Final

from ..sources import PATIENT_PER_MINUTE
from .destinations import is_dear
from .exchanges import Calls, Login

#: Users tried by one who tries many.
_MANY_USERS: Final = 5

#: Wrong passwords before a right one that are a guess, from one who tries as fast as a program or several users; and
#: from one who goes on to call abroad.
_GUESSED: Final = 10
_MISTYPED: Final = 3


def guessers(logins: list[Login]) -> set[str]:
    """Addresses that were let in only after many wrong passwords: what was accepted there speaks for nobody."""
    return {login.ip for login in logins if login.right and login.before >= _GUESSED and login.same_client}


def taken_over(
    ips: Collection[str], peak: int, logins: dict[str, list[Login]], calls: dict[str, list[Calls]]
) -> tuple[set[str], str]:
    """The accounts that these addresses got into by guessing, and why that is so.

    `peak` are the messages of the busiest minute; logins and answered calls are by address.
    """
    mine = [login for ip in sorted(ips) for login in logins.get(ip, [])]
    wrong: Counter[str] = Counter()
    for login in mine:
        wrong[login.user] += login.before
    tried = len([login for login in mine if login.wrong])
    hasty = peak > PATIENT_PER_MINUTE or tried >= _MANY_USERS or len({login.ip for login in mine if login.wrong}) > 1
    callers = {(call.ip, call.user) for ip in ips for call in calls.get(ip, [])}
    taken: dict[str, int] = {}
    for login in mine:
        if not login.right or not wrong[login.user]:
            continue
        # A phone whose owner mistyped is let in as the client that it was; so is a guesser. Pace and what follows tell.
        guessed = login.same_client or login.before == 0 or login.before >= _GUESSED
        # Somebody's own account: it was let in before anything was wrong there.
        if login.before == 0 and wrong[login.user] < _GUESSED:
            continue
        sprayed = tried >= _MANY_USERS and login.before > 0
        if guessed and (
            (hasty and (wrong[login.user] >= _GUESSED or sprayed))
            or (wrong[login.user] >= _MISTYPED and (login.ip, login.user) in callers)
        ):
            taken[login.user] = wrong[login.user]
    if not taken:
        return set(), ""
    total = sum(wrong.values())
    user, _ = max(taken.items(), key=lambda item: (item[1], item[0]))
    more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
    return set(taken), f"{total:,} wrong passwords, then let in as {user}{more}"


#: Answered calls abroad by one user in an hour, and the share of them in one range of numbers.
_ABROAD: Final = 20
_RANGE: Final = 0.5


def fraud(call: Calls, logins: dict[str, list[Login]], taken: Collection[str] = ()) -> str:
    """Why answered calls are fraud; "" if they may be an office's or a trunk's."""
    what = f"{call.abroad:,} answered calls abroad as {call.user or 'nobody'}"
    if call.user in taken:
        return f"{what}, whose password was guessed before"
    if call.peak < _ABROAD or call.abroad * 10 < call.messages * 8:
        return ""
    plain = [re.sub("[^0-9]", "", number).lstrip("0") for number in call.numbers]
    # A town has many blocks of a thousand; whoever is paid by the call has one or two.
    most = max(Counter(number[:-3] for number in plain).values(), default=0)
    premium = sum(map(is_dear, call.numbers))
    if max(most, premium) >= _RANGE * len(plain):
        where = (
            f"{most} of {len(plain)} in one range of numbers"
            if most >= premium
            else f"{premium} of {len(plain)} to dear numbers"
        )
        return f"{what}, up to {call.peak} in an hour, {where}"
    elsewhere = [
        ip for ip, mine in logins.items() if ip != call.ip
        and any(login.user == call.user and 0 < login.first_right_us < call.first_us for login in mine)
    ]  # fmt: skip
    if call.user and elsewhere:
        return f"{what}, up to {call.peak} in an hour, from another address than where the account is used"
    return ""
