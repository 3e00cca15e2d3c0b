"""The order and the headings of a narration, alike in every medium."""

from __future__ import annotations

from ..narrate.answer import Sentence
from ..narrate.narration import Narration
from ..report import Report
from . import words


def origin(narration: Narration) -> str:
    """Who wrote it, how it was checked, and what it cost; shown wherever a narration is."""
    checked = narration.checked
    version = f" ({narration.version})" if narration.version and narration.version != narration.model else ""
    seen = "and saw what senders wrote, cut and marked" if narration.excerpts else "and saw nothing that a sender wrote"
    cost = f", cost {narration.cost:.4f}" if narration.cost else ""
    kept = "from the cache" if narration.cached else f"{narration.seconds:.1f} s"
    return (
        f"Written by the language model {narration.model}{version}, prompt {narration.prompt}, {kept}{cost}. It got the facts below "
        f"{seen}. Each sentence was checked against the facts that it cites: {words.count(checked.kept, 'sentence')} stood, "
        f"{checked.removed_count:,} removed. Ranking, intents and actions are not its."
    )


def parts(report: Report, narration: Narration) -> list[tuple[str, list[Sentence]]]:
    """Headings with their sentences, the gravest actor first; nothing for a part that is empty."""
    checked = narration.checked
    by_id = {actor.id: actor for actor in report.actors}
    found = [("Summary", checked.summary)]
    found += [(words.name(by_id[identity]), story) for identity, story in checked.stories.items() if identity in by_id]
    found += [("What to do first", checked.first), ("What is uncertain", checked.uncertain)]
    return [(title, sentences) for title, sentences in found if sentences]
