"""Makes an actor of whoever earns from missed calls that are rung back (Wangiri): no address of it is in the log."""

from __future__ import annotations

import hashlib

from . import intents, ranking
from .attribution.destinations import RungBack
from .campaigns import Campaign, CampaignType
from .report import Actor, Effect, Evidence

_NOTE = "customers were made to call these numbers, by missed calls as a rule: nothing against them, and nothing against their addresses"


def actor(rung: RungBack) -> Actor:
    """The actor behind a block of numbers; those who called there are its victims."""
    ips = sorted({call.ip for call in rung.callers})
    calls = sum(call.calls for call in rung.callers)
    first, last = min(call.first_us for call in rung.callers), max(call.first_us for call in rung.callers)
    end = f"{rung.answered} of the calls answered" if rung.answered else "none seen answered"
    numbers = sorted({call.dialled for call in rung.callers})
    campaign = Campaign(
        CampaignType.WANGIRI, [], first, last, calls, f"{rung.why}, {end}", methods=["INVITE"], targets=numbers[:20],
        target_count=len(numbers), succeeded=rung.answered > 0,
    )  # fmt: skip
    motives = intents.of([campaign], [])
    ranked = ranking.rank([campaign], [], [motive.intent for motive in motives])
    identity = hashlib.sha256(rung.block.encode()).hexdigest()[:10]
    campaign.actor = f"actor-{identity}"
    return Actor(
        campaign.actor, [], ranked, motives, [campaign],
        [Evidence("campaign", f"{campaign.type}: {campaign.why}", messages=calls)], [], first, last, calls, {"INVITE": calls}, [], 0,
        [], {"number": f"the block {rung.block}"}, victims=ips, note=_NOTE, succeeded=campaign.succeeded,
        effect=Effect(calls, calls, calls),
    )  # fmt: skip
