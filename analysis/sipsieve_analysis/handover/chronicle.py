"""The order of events: when each campaign began and what it was."""

from __future__ import annotations

from ..ranking import Tier
from ..report import Moment, Report


def chronicle(report: Report) -> list[Moment]:
    """Campaigns of actors above low by their first message, one row an actor and start."""
    rows: dict[tuple[int, str], Moment] = {}
    for actor in report.actors:
        if actor.rank.tier is Tier.LOW:
            continue
        for campaign in actor.campaigns:
            row = rows.setdefault(
                (campaign.first_us, actor.id),
                Moment(campaign.first_us, campaign.last_us, actor.id, [], [], campaign.messages, False),
            )
            row.last_us = max(row.last_us, campaign.last_us)
            row.messages = max(row.messages, campaign.messages)
            row.succeeded = row.succeeded or campaign.succeeded
            row.campaigns.append(str(campaign.type))
            row.why.append(campaign.why)
    return [rows[key] for key in sorted(rows)]
