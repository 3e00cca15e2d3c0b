"""What stayed low, as counts."""

from __future__ import annotations

from collections import Counter

from ..ranking import Tier
from ..report import Noise, Report


def noise(report: Report) -> Noise:
    """Actors that are low, by what they are, the most frequent first."""
    low = [actor for actor in report.actors if actor.rank.tier is Tier.LOW]
    actors: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    for actor in low:
        # What a note says of one address stands in its row of the appendix.
        what = str(actor.campaigns[0].type).replace("_", " ") if actor.campaigns else actor.note.partition(":")[0]
        actors[what] += 1
        messages[what] += actor.messages
    addresses = {ip for actor in low for ip in actor.addresses}
    kinds = sorted(((what, count, messages[what]) for what, count in actors.items()), key=lambda k: (-k[1], k[0]))
    return Noise(len(low), len(addresses), sum(actor.messages for actor in low), kinds)
