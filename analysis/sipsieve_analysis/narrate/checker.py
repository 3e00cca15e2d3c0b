"""Keeps of a narration the sentences whose every statement the cited evidence proves, and says why the others went.

Nothing is believed: each address, number, time, name and asserting word of a sentence is looked up in the facts that it cites,
or computed anew from them. What is not found there takes the sentence with it. Rank, intent and action are no part of a narration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Final

from . import words
from .answer import Answer, Sentence
from .claims import Claims, read
from .material import Fact, Material
from .narration import Checked, Removed

#: Sentences that are looked at in each part; more are no narration but a flood.
_MOST: Final = {"summary": 6, "story": 6, "first": 8, "uncertain": 6}
#: Facts that a sentence may cite, and removed sentences that are kept to be shown.
_CITED: Final = 12
_SHOWN: Final = 50

_CLAUSE: Final = re.compile(r"[.;:,]\s")


def check(answer: Answer, material: Material) -> Checked:
    """Holds each sentence of an answer against the facts."""
    found = Checked()

    def keep(part: str, sentences: list[Sentence], owner: str = "", kinds: tuple[str, ...] = ()) -> list[Sentence]:
        good: list[Sentence] = []
        for place, sentence in enumerate(sentences):
            why = "one sentence too many" if place >= _MOST[part] else problem(sentence, material, owner, kinds)
            if not why:
                # Said twice, it is one sentence with the evidence of both.
                if (same := next((one for one in good if one.text == sentence.text), None)) is not None:
                    same.evidence = list(dict.fromkeys([*same.evidence, *sentence.evidence]))
                else:
                    good.append(Sentence(sentence.text, list(sentence.evidence)))
                continue
            found.removed_count += 1
            if len(found.removed) < _SHOWN:
                found.removed.append(Removed(f"{part} {owner}".strip(), sentence.text[:300], why))
        return good

    found.summary = keep("summary", answer.summary)
    told: dict[str, list[Sentence]] = {}
    for story in answer.actors:
        told.setdefault(story.actor, []).extend(story.story)
    for identity, short in material.actors.items():
        if kept := keep("story", told.pop(short, []), short):
            found.stories[identity] = kept
    for short, sentences in told.items():
        # An actor that there is not: nothing of it stands.
        keep("story", [Sentence(s.text, ["-"]) for s in sentences], short[:8])
    order = {fact: place for place, fact in enumerate(material.facts)}
    found.first = sorted(
        keep("first", answer.first, kinds=("action",)), key=lambda s: min(order[e] for e in s.evidence)
    )
    found.uncertain = keep("uncertain", answer.uncertain)
    return found


def problem(sentence: Sentence, material: Material, owner: str = "", kinds: tuple[str, ...] = ()) -> str:
    """Why a sentence does not stand; "" where it does. `kinds` are those of which at least one fact must be cited."""
    if not sentence.evidence:
        return "cites nothing"
    if len(sentence.evidence) > _CITED:
        return "cites too much"
    unknown = next((one for one in sentence.evidence if one not in material.facts), "")
    if unknown:
        return f"cites {unknown[:20]!r}, which is no evidence"
    cited = [material.facts[one] for one in dict.fromkeys(sentence.evidence)]
    if owner and any(fact.owner not in ("", owner) for fact in cited):
        return "cites evidence of another actor"
    if kinds and not any(fact.kind in kinds for fact in cited):
        return f"cites no {kinds[0]}"
    said = read(sentence.text)
    if said.odd:
        return said.odd
    if not said.words:
        return "no sentence"
    named = _named(said, cited)
    return next((why for why in _looks(said, _relevant(cited, named), material, named, strict=bool(kinds)) if why), "")


def _named(said: Claims, cited: list[Fact]) -> set[str]:
    """The actors that a sentence names, by an address or an id."""
    return {
        fact.owner
        for fact in cited
        if fact.owner and (fact.owner in said.references or not said.addresses.isdisjoint(fact.addresses))
    }


def _relevant(cited: list[Fact], named: set[str]) -> list[Fact]:
    # What a sentence says of the one whom it names must be that one's.
    return [fact for fact in cited if fact.owner in named] if named else cited


def _looks(said: Claims, facts: list[Fact], material: Material, named: set[str], strict: bool) -> Iterator[str]:
    there = [_read(fact.text) for fact in facts]
    addresses = {ip for fact in facts for ip in fact.addresses}
    for ip in sorted(said.addresses - addresses):
        yield f"the address {ip} is not in the evidence"
    references = {one for claims in there for one in claims.references} | {fact.id for fact in facts}
    references |= {fact.owner for fact in facts if fact.owner}
    for one in sorted(said.references - references):
        yield f"{one} is not in the evidence"
    yield from _times(said, facts)
    pairs = {pair for claims in there for pair in claims.numbers} if len(named) < 2 else set()
    pairs |= computed(facts, material)
    values = {value for value, _ in pairs}
    for value, unit in sorted(said.numbers):
        if (value, unit) not in pairs and not (unit == "" and value in values):
            yield f"the number {value:g}{'' if unit == '%' else ' '}{unit} is not in the evidence".replace("-1 ", "")
    yield from _words(said, facts, strict)


@cache
def _read(text: str) -> Claims:
    """Our own sentence; what it is made of is ours, so its length is no matter."""
    whole = Claims()
    for piece in re.split(r"(?<=[;,:]) ", text):
        claims = read(piece[:400])
        whole.numbers |= claims.numbers
        whole.references |= claims.references
        whole.words += claims.words
    return whole


def computed(facts: list[Fact], material: Material) -> set[tuple[float, str]]:
    """What follows from the facts by counting: actors, addresses, sums of messages, shares, spans."""
    found: set[tuple[float, str]] = set()
    owners = {fact.owner for fact in facts if fact.owner}
    found.add((float(len(owners)), "actor"))
    addresses = {ip for fact in facts for ip in fact.addresses}
    found.add((float(len(addresses)), "address"))
    messages = sum(fact.messages for fact in facts)
    if messages:
        found.add((float(messages), "message"))
        whole = next((value for value, unit in read(material.facts["G1"].text).numbers if unit == "message"), 0.0)
        if whole:
            found |= {(float(round(100 * messages / whole)), "%"), (round(100 * messages / whole, 1), "%")}
    moments = [moment for fact in facts for moment in fact.moments]
    if len(moments) > 1 and len(owners) <= 1:
        seconds = (max(moments) - min(moments)) / 1e6
        for unit, length in (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400)):
            found |= {(float(int(seconds / length)), unit), (float(round(seconds / length)), unit)}
    return {pair for pair in found if pair[0]}


def _times(said: Claims, facts: Iterable[Fact]) -> Iterator[str]:
    moments = [datetime.fromtimestamp(moment / 1e6, UTC) for fact in facts for moment in fact.moments if moment]
    for year, month, day in sorted(said.dates):
        if not any((m.month, m.day) == (month, day) and year in (0, m.year) for m in moments):
            yield f"the date {year or ''}{'-' if year else ''}{month:02}-{day:02} is not in the evidence"
    dates = said.dates
    for hour, minute, second in sorted(said.clocks):
        fits = [m for m in moments if (m.hour, m.minute) == (hour, minute) and second in (-1, m.second)]
        if not any(not dates or any((m.month, m.day) == (d[1], d[2]) for d in dates) for m in fits):
            yield f"the time {hour:02}:{minute:02} is not in the evidence"
    for weekday in sorted(said.weekdays):
        if not any(moment.weekday() == weekday for moment in moments):
            yield "the day of the week is not in the evidence"


def _words(said: Claims, facts: list[Fact], strict: bool) -> Iterator[str]:
    proven, negated, has_no = set[str](), set[str](), False
    for fact in facts:
        for clause in _CLAUSE.split(fact.text):
            spoken = read(clause[:400]).words
            no = any(word.lower() in words.negations() for word in spoken)
            has_no |= no
            for word in spoken:
                (negated if no else proven).update(words.forms(word))
    says_no = any(word.lower() in words.negations() for word in said.words)
    if says_no and not has_no:
        yield "says no where the evidence does not"
    for word in said.words:
        low = word.lower()
        if low in words.negations() or words.known(word, strict):
            continue
        shapes = words.forms(word)
        if not shapes.isdisjoint(proven):
            continue
        if not shapes.isdisjoint(negated):
            if says_no:
                continue
            yield f"{low!r} stands in the evidence only beside a no"
        elif "-" in word and all(
            words.known(part, strict) or not words.forms(part).isdisjoint(proven) for part in word.split("-")
        ):
            continue
        else:
            yield f"{low!r} is not in the evidence"
