"""Recommendations: what to change, in which order, why here, and the lines to paste."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..campaigns import FLOODS, CampaignType
from ..ranking import Tier
from ..report import Actor, Paste, Recommendation, Report

_KAMAILIO: Final = "/etc/kamailio/kamailio.cfg"
_POLICY: Final = "/etc/sipsieve/sipsieve.toml"

_SANITIZE: Final = (
    Paste(_KAMAILIO, "after the last line that loads a module", 'include_file "/usr/lib/sipsieve/kemi/sipsieve.cfg"'),
    Paste(_POLICY, "once observing has shown that nothing lawful is refused", 'mode = "enforce"'),
)
_PARAMETERIZE: Final = (
    Paste(_KAMAILIO, "for each SIP value in a query of sqlops", 'sql_query("db", "… WHERE username=$(fU{sql.val})");'),
    Paste(
        "backend (Python, as an example)",
        "values beside the statement, never inside it",
        'cursor.execute("UPDATE users SET name = %s WHERE username = %s", (name, user))',
    ),
    Paste("shell", "finds the places in the configuration", f"sipsieve audit {_KAMAILIO}"),
)
_LIMITS: Final = "keys of the section [limits], which stands in the file once"
_PASSWORDS: Final = Paste(
    _POLICY,
    _LIMITS,
    "[limits]\nauth_failures = { per_minute = 20, burst = 0 }\ntargets = { per_minute = 120, burst = 0 }",
)
_BODYLESS: Final = Paste(_POLICY, "", '[content_length_zero]\ninvite = "reject"')

#: New calls in a minute that a limit allows at least, and where the log shows no lawful call to go by (the policy's default).
_LEAST_LIMIT: Final = 20
_DEFAULT_LIMIT: Final = 120

_PASSWORD_KINDS: Final = (CampaignType.BRUTE_FORCE, CampaignType.SPRAYING, CampaignType.CREDENTIAL_STUFFING)


def limit(report: Report) -> int:
    """New calls in a minute that one address may have: twice what the busiest lawful source here needed."""
    needed = report.lawful.peak_invites
    return max(_LEAST_LIMIT, 2 * needed) if needed else _DEFAULT_LIMIT


def advice(report: Report) -> list[Recommendation]:
    """In order: what stops who is in, then headers, queries, limits, and INVITEs without a body. Each only with a reason."""
    actors = [actor for actor in report.actors if actor.rank.tier is not Tier.LOW]

    def of(wanted: Callable[[Actor], bool]) -> list[str]:
        return [actor.id for actor in actors if wanted(actor)]

    def does(*kinds: CampaignType) -> list[str]:
        return of(lambda actor: any(campaign.type in kinds for campaign in actor.campaigns))

    found = []
    if inside := of(lambda actor: actor.succeeded):
        found.append(
            Recommendation(
                "Lock the accounts that were taken over, now",
                "Change their passwords, end their calls and registrations, and check bills since the first success.",
                inside,
            )
        )
    injected = does(CampaignType.INJECTION)
    if injected:
        found.append(
            Recommendation(
                "Sanitize every header field of every SIP message before anything reads it",
                "Payloads came in header fields that systems behind the edge read: consoles, call records, provisioning.",
                injected,
                list(_SANITIZE),
            )
        )
        found.append(
            Recommendation(
                "Parameterize every query that touches SIP data",
                "Sanitizing stops what is recognised; a query with parameters can't be rewritten by any text.",
                injected,
                list(_PARAMETERIZE),
            )
        )
    busy = does(CampaignType.TOLL_FRAUD, CampaignType.ENUMERATION, *FLOODS)
    if busy:
        number = limit(report)
        needed = report.lawful.peak_invites
        why = (
            f"The busiest lawful source sent {needed} INVITE{'s' * (needed != 1)} in a minute; {number} leave it room. "
            if needed
            else f"The log shows no lawful INVITE to go by; {number} is the policy's default. "
        )
        found.append(
            Recommendation(
                "Rate-limit INVITE per IP address",
                why + "Trusted networks are not limited. Count source ports along with it.",
                busy,
                [
                    Paste(
                        _POLICY,
                        _LIMITS,
                        f"[limits]\ninvite = {{ per_minute = {number}, burst = {number} }}\nsource_ports = {{ per_minute = 5, burst = 0 }}",
                    )
                ],
            )
        )
    if bodyless := of(lambda actor: any("Content-Length: 0" in campaign.why for campaign in actor.campaigns)):
        found.append(
            Recommendation(
                "Block Content-Length: 0 on INVITE",
                "From strangers, outside of calls. A trunk that delays its offer (RFC 3261 13.2.1) belongs into network.trusted first.",
                bodyless,
                [_BODYLESS],
            )
        )
    if guessed := does(*_PASSWORD_KINDS):
        found.append(
            Recommendation(
                "Limit failed logins, and change weak passwords",
                "Of the users that were tried and exist; a random password of 16 characters is not guessed over SIP.",
                guessed,
                [_PASSWORDS],
            )
        )
    return found
