"""Measures what a site's own normal finds that no rule knows, and how often it is wrong: the program behind `make novelty`.

One rule family after the other is switched off; what its attack texts are then let through in the site's own messages, from
addresses that nobody knows, is shown to a model that was learned of days without them, or with some of them in between.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("kemi", "analysis", "bench", "tests/detection", "tests/novelty")]

import corpora  # noqa: E402
from embed import parameter, quoted, userinfo  # noqa: E402
from lookalikes import LOOKALIKES  # noqa: E402
from normal_site import START, Message, Site, records  # noqa: E402
from thresholds import Threshold, missed  # noqa: E402

from mix import MAKES, Make  # noqa: E402
from sipsieve.detection import ruleset  # noqa: E402
from sipsieve_analysis.novelty.form import form, grams  # noqa: E402
from sipsieve_analysis.novelty.judge import Judge  # noqa: E402
from sipsieve_analysis.novelty.learner import learn  # noqa: E402
from sipsieve_analysis.novelty.observe import observed, told  # noqa: E402
from sipsieve_analysis.novelty.reviews import Looker  # noqa: E402
from sipsieve_analysis.readers.replayed import Replay  # noqa: E402

_DISPLAY: Final = re.compile(rb"(?mi)^(from|f): [^<\r\n]*<")
_FROM_USER: Final = re.compile(rb"(?mi)^((?:from|f): [^<\r\n]*<sip:)[^@>]*@")
_TO_USER: Final = re.compile(rb"(?mi)^((?:to|t): [^<\r\n]*<sip:)[^@>]*@")
_CONTACT: Final = re.compile(rb"(?mi)^((?:contact|m): [^<\r\n]*<sip:[^@>]*@[^>]*)>")
_AGENT: Final = re.compile(rb"(?mi)^(user-agent): [^\r\n]*")
_CALL_ID: Final = re.compile(rb"(?mi)^(call-id|i): [^\r\n]*")

#: Field → what puts a text there, escaped as the field's grammar asks.
FIELDS: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {
    "from.display_name": lambda raw, text: _put(_DISPLAY, raw, lambda m: m[1] + b': "' + quoted(text) + b'" <'),
    "from.userinfo": lambda raw, text: _put(_FROM_USER, raw, lambda m: m[1] + userinfo(text) + b"@"),
    "to.userinfo": lambda raw, text: _put(_TO_USER, raw, lambda m: m[1] + userinfo(text) + b"@"),
    "contact.parameter": lambda raw, text: _put(_CONTACT, raw, lambda m: m[1] + b";x=" + parameter(text) + b">"),
    "user-agent": lambda raw, text: _put(_AGENT, raw, lambda m: m[1] + b": " + text),
    "call-id": lambda raw, text: _put(_CALL_ID, raw, lambda m: m[1] + b": " + text),
}  # fmt: skip

#: Texts of a family that are tried, in each field.
MOST: Final = 150

#: Texts of a poison that are alike.
_ALIKE: Final = 10

#: The least that can be said in a text: a single letter or number is no attack that anybody could tell.
_RATES: Final = (0.01, 0.001)


def _put(pattern: re.Pattern[bytes], raw: bytes, made: Callable[[re.Match[bytes]], bytes]) -> bytes:
    return pattern.sub(made, raw, count=1)


def _line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")


def alike_of(texts: Sequence[bytes], most: int) -> list[bytes]:
    """Those of the texts that are written most alike: the poison that backs itself best."""
    forms = {text: grams(form(text)) for text in texts}

    def near(one: bytes) -> list[tuple[float, bytes]]:
        shares = ((len(forms[one] & forms[text]) / len(forms[one] | forms[text]), text) for text in texts)
        return sorted(shares, reverse=True)[:most]

    return [text for _, text in max((near(one) for one in texts), key=lambda found: sum(share for share, _ in found))]


def without(family: str) -> ruleset.Ruleset:
    """The built-in rules without a family; all for ""."""
    rules = ruleset.load()
    return ruleset.Ruleset([rule for rule in rules.rules if rule.family != family], rules.exceptions)


class Figures(NamedTuple):
    """Of a family: attacks that were tried and passed, and the share of these that is found, by false alarms allowed."""

    tried: int
    passed: int
    found: dict[float, float]
    operating: float


class Measurement:
    """One site, its model, and days that the model does not know."""

    def __init__(self, names: Sequence[bytes], phones: int, days: int, say: Callable[[str], None]) -> None:
        self._say = say
        half = len(names) // 2
        self._phones, self._days = phones, days
        self.site = Site(1, phones, names[:half], MAKES[:20])
        self.later = Site(1, phones, names[half:], MAKES[:20])
        self._replay = Replay(raw_bytes=65_535)
        say(f"{days} days of {phones} phones")
        self._learned = [list(self.site.day(day)) for day in range(days)]
        self.normal = [line for day in self._learned for line in records(self._replay, day)]
        self.model = learn(lambda: self.normal)
        say("days that it does not know")
        self.days = [records(self._replay, self.later.day(day, "all")) for day in (days, days + 1)]
        self.judge = Judge(self.model)
        self.clean = sorted(self.scores(self.judge, (line for day in self.days for line in day)))

    @staticmethod
    def scores(judge: Judge, lines: Iterable[bytes]) -> Iterator[float]:
        """How unusual each request is that passes the rules."""
        for line in lines:
            record = told(line)
            if record is not None and record.is_message and record.sip.type == "request" and not record.is_blocked:
                yield judge.score(observed(record))

    def threshold(self, rate: float, clean: Sequence[float] = ()) -> float:
        """The score that this share of the messages of unknown days exceeds."""
        every = clean or self.clean
        return every[len(every) - 1 - int(rate * len(every))]

    def attacks(self, texts: Sequence[bytes], seed: str) -> list[Message]:
        """Each text in each field of one of the site's own INVITEs or REGISTERs."""
        rng = random.Random(seed)
        whole = [one for one in self.site.day(0) if one.raw.startswith((b"INVITE", b"REGISTER"))][:2000]
        sent = []
        for place, text in enumerate(texts):
            line = _line(text)
            for number, put in enumerate(FIELDS.values()):
                before = rng.choice(whole).raw
                raw = put(before, line)
                if raw == before:
                    continue
                time = START + 86_400 * (self._days + 3) + place + number / 10
                sent.append(Message(time, f"198.51.{place % 200}.{place // 200 % 250 + 1}", raw, 0))
        return sent

    def family(self, family: str, texts: Sequence[bytes]) -> Figures:
        """Without a family's rules."""
        sent = self.attacks(texts, family)
        replay = Replay(raw_bytes=65_535, rules=without(family))
        found = list(self.scores(self.judge, records(replay, sent)))
        return Figures(len(sent), len(found), *self._shares(found, self.clean))

    @staticmethod
    def _shares(found: Sequence[float], clean: Sequence[float]) -> tuple[dict[float, float], float]:
        if not found:
            return dict.fromkeys(_RATES, 1.0), 1.0
        limits = {rate: clean[len(clean) - 1 - int(rate * len(clean))] for rate in _RATES}
        shares = {rate: sum(score > limit for score in found) / len(found) for rate, limit in limits.items()}
        return shares, sum(score > 1 for score in found) / len(found)

    def _accepted(self, replay: Replay, texts: Sequence[bytes]) -> dict[str, list[bytes]]:
        """Of each field the texts that stand there without anybody's remark, as an attacker who knows would choose them."""
        raws = [one.raw for one in self._learned[0] if one.raw.startswith(b"INVITE")][: len(texts)]
        found = {}
        for field, put in FIELDS.items():
            sent = [
                Message(START + place, f"198.51.{place // 200}.{place % 200 + 1}", put(raw, _line(text)), 0)
                for place, (raw, text) in enumerate(zip(raws, texts, strict=True))
            ]
            told_of = {one.ip: one for one in map(told, records(replay, sent)) if one is not None and one.is_message}
            found[field] = [
                text
                for one, text in zip(sent, texts, strict=True)
                if one.ip in told_of and not told_of[one.ip].is_suspect
            ]
        return found

    def poisoned(self, family: str, texts: Sequence[bytes], share: float, chosen: str = "any") -> dict[str, float]:
        """Recall where this share of what was accepted while learning carried texts of the family, from as many accounts: at
        0.1 % and 1 % of false alarms and at the model's own limit. The texts that it is tried on are others.

        Runs are paired: days, attacks and dice are the same for each share, so that a larger one poisons the messages that a
        smaller one does, and more. `chosen`: "any", or only what the guard accepts in that field ("accepted"), or of these the
        ten that are most alike ("alike")."""
        rng = random.Random(f"{family} poison")
        half = len(texts) // 2
        replay = Replay(raw_bytes=65_535, rules=without(family))
        among = dict.fromkeys(FIELDS, texts[:half]) if chosen == "any" else self._accepted(replay, texts[:half])
        if chosen == "alike":
            among = {field: alike_of(every, _ALIKE) if every else every for field, every in among.items()}
        lines = []
        for day in self._learned:
            sent = []
            for one in day:
                die, field, draw = rng.random(), rng.choice(list(FIELDS)), rng.choice(range(half))
                if one.status == 200 and die < share and among[field]:
                    one = one._replace(raw=FIELDS[field](one.raw, _line(among[field][draw % len(among[field])])))
                sent.append(one)
            lines += records(replay, sent)
        judge = Judge(learn(lambda: lines))
        clean = sorted(self.scores(judge, (line for day in self.days for line in day)))
        found = list(self.scores(judge, records(replay, self.attacks(texts[half:], family))))
        shares, operating = self._shares(found, clean)
        unusual = sum(score > 1 for score in clean) / len(clean)
        return {
            "at 0.1 %": shares[0.001],
            "at 1 %": shares[0.01],
            "at its own limit": operating,
            "false alarms": unusual,
        }

    def reviews(self) -> list[tuple[int, int, int]]:
        """Of each unknown day: reviews, unusual messages, messages."""
        found = []
        for day in self.days:
            looker = Looker(Judge(self.model))
            unusual = looker.feed(day)
            found.append((len(looker.reviews()), len(unusual), looker.messages))
        return found

    def drift(self, makes: Sequence[Make], phones: int) -> int:
        """Reviews of a day on which so many phones were exchanged for makes that nobody had, beyond those of that day."""
        site = Site(1, self._phones, (), MAKES[:20])
        for place, who in enumerate(site.traffic.subscribers[2 : 2 + phones]):
            who.make = makes[place % len(makes)]
        looker = Looker(Judge(self.model))
        looker.feed(records(self._replay, site.day(self._days)))
        return len(looker.reviews())

    def second_site(self, names: Sequence[bytes]) -> tuple[float, float]:
        """Shares of another site's ordinary messages that this one's model calls unusual: at 0.1 % and at its own limit."""
        other = Site(77, max(50, self._phones // 5), names, MAKES[10:])
        found = list(self.scores(self.judge, records(self._replay, other.day(0, "all"))))
        limit = self.threshold(0.001)
        return sum(score > limit for score in found) / len(found), sum(score > 1 for score in found) / len(found)


def texts_of(folder: Path | None, part: corpora.Part) -> dict[str, list[bytes]]:
    """Attack texts by the family of the rules that is for them: of the folder, or the project's own."""
    attacks = corpora.attacks(folder, part) if folder else list(corpora.own_attacks())
    by_rule: dict[str, dict[bytes, None]] = collections.defaultdict(dict)
    for attack in attacks:
        if len(attack.text) >= 4:
            by_rule[_RULES.get(attack.family, attack.family)][attack.text] = None
    found = {}
    for family, texts in sorted(by_rule.items()):
        every = sorted(texts)
        random.Random(family).shuffle(every)
        found[family] = every[: 2 * MOST]
    return found


#: Names of families in the texts, and of the rules that are for them.
_RULES: Final = {
    "sqli": "sql", "sql": "sql", "os_command": "shell", "xss": "xss", "path_traversal": "path", "template": "template", "crlf_smuggling": "control",
    "ldap": "ldap", "nosql": "nosql", "jndi": "jndi", "format_string": "format",
}  # fmt: skip


def names_of(folder: Path | None) -> list[bytes]:
    """Names that callers have: of the folder's harmless texts, shuffled; none without a folder."""
    if folder is None:
        return []
    kinds = ("company_name", "person_name", "company_name_synth", "cnam_truncated")
    names = sorted({text.text for text in corpora.benign(folder, "develop") if text.kind in kinds})
    random.Random(5).shuffle(names)
    return names


def alike(measurement: Measurement) -> tuple[float, float]:
    """Shares of composed look-alikes as callers' names that are called unusual: at 0.1 % and at the model's own limit."""
    texts = [text.text.encode() for _, text in zip(range(400), LOOKALIKES.texts(["made"], random.Random(9), "all"), strict=False)]  # fmt: skip
    rng = random.Random(3)
    whole = [one for one in measurement.site.day(0) if one.raw.startswith(b"INVITE")]
    sent = [rng.choice(whole)._replace(raw=FIELDS["from.display_name"](rng.choice(whole).raw, text)) for text in texts]
    found = list(measurement.scores(measurement.judge, records(Replay(raw_bytes=65_535), sent)))
    limit = measurement.threshold(0.001)
    return sum(score > limit for score in found) / len(found), sum(score > 1 for score in found) / len(found)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""

    def say(text: str) -> None:
        print(f"… {text}", file=sys.stderr, flush=True)

    folder = None if options.own else options.corpora
    names = names_of(folder)
    one = Measurement(names, options.phones, options.days, say)
    texts = texts_of(folder, options.part)
    families: dict[str, Any] = {}
    passed: collections.Counter[str] = collections.Counter()
    for family, every in texts.items():
        say(f"without the rules of {family}")
        figures = one.family(family, every[:MOST])
        families[family] = {
            "tried": figures.tried, "passed": figures.passed, "at 1 %": figures.found[0.01], "at 0.1 %": figures.found[0.001],
            "at its own limit": figures.operating,
        }  # fmt: skip
        passed["all"] += figures.passed
        passed["found"] += round(figures.found[0.001] * figures.passed)
        passed["found 1"] += round(figures.found[0.01] * figures.passed)
        passed["own"] += round(figures.operating * figures.passed)
    days = one.reviews()
    result: dict[str, Any] = {
        "phones": options.phones, "days": options.days, "learned": one.model.messages, "part": "own" if folder is None else options.part,
        "families": families,
        "recall": {"at 1 %": passed["found 1"] / passed["all"], "at 0.1 %": passed["found"] / passed["all"], "at its own limit": passed["own"] / passed["all"]},
        "false alarms at its own limit": sum(unusual for _, unusual, _ in days) / sum(all_ for _, _, all_ in days),
        "reviews a day": max(count for count, _, _ in days),
        "look-alikes": dict(zip(("at 0.1 %", "at its own limit"), alike(one), strict=True)),
        "second site": dict(zip(("at 0.1 %", "at its own limit"), one.second_site(names), strict=True)),
        "reviews on the day of a new make": one.drift(MAKES[20:23], options.phones // 10),
        "poisoned": {},
    }  # fmt: skip
    say(
        f"{result['recall']['at its own limit']:.3f} is found, {result['false alarms at its own limit']:.5f} of the messages are false "
        f"alarms, {result['reviews a day']} reviews a day"
    )
    for family in options.poison.split(",") if options.poison else ():
        every = texts.get(family, [])
        if len(every) < 20:
            continue
        for share in options.shares:
            say(f"{100 * share:g}% of what is learned carries {family}")
            row = one.poisoned(family, every, share, options.poison_texts)
            first = result["poisoned"].get(f"{family} {100 * options.shares[0]:g}%", row)
            # What the poison takes of what is found without it, by the same attacks: the worse of both limits.
            row["cost"] = max(first[limit] - row[limit] for limit in ("at 0.1 %", "at its own limit"))
            result["poisoned"][f"{family} {100 * share:g}%"] = row
            say(
                f"… of which {row['at its own limit']:.3f} is found, {row['at 0.1 %']:.3f} at 0.1 % of false alarms: costs {row['cost']:.3f}"
            )
    return result


def show(result: dict[str, Any]) -> None:
    """The figures as tables."""
    print(
        f"{result['days']} days of {result['phones']} phones, {result['learned']:,} messages learned; texts: {result['part']}"
    )
    print(f"{'without the rules of':24}{'tried':>8}{'passed':>8}{'at 1 %':>9}{'at 0.1 %':>10}{'own limit':>11}")
    for family, row in result["families"].items():
        print(
            f"{family:24}{row['tried']:8}{row['passed']:8}{row['at 1 %']:9.3f}{row['at 0.1 %']:10.3f}{row['at its own limit']:11.3f}"
        )
    total = result["recall"]
    print(f"{'all':24}{'':16}{total['at 1 %']:9.3f}{total['at 0.1 %']:10.3f}{total['at its own limit']:11.3f}")
    for name in ("look-alikes", "second site"):
        print(f"{name:40}{'':9}{result[name]['at 0.1 %']:10.3f}{result[name]['at its own limit']:11.3f}")
    print(f"false alarms at its own limit   {result['false alarms at its own limit']:.5f} of the messages")
    print(
        f"reviews a day                   {result['reviews a day']}, on the day of a new make {result['reviews on the day of a new make']}"
    )
    for name, row in result["poisoned"].items():
        print(
            f"learned with {name:27}{row['at 1 %']:9.3f}{row['at 0.1 %']:10.3f}{row['at its own limit']:11.3f}"
            f"   costs {row['cost']:.3f}, false alarms {row['false alarms']:.5f}"
        )


def figures_of(result: dict[str, Any]) -> dict[str, float]:
    """The figures that a threshold can name."""
    found = {"recall": result["recall"]["at 0.1 %"], "recall.own-limit": result["recall"]["at its own limit"]}
    found["reviews"] = result["reviews a day"] / 1000
    poisoned = result["poisoned"]
    for share in dict.fromkeys(name.split()[1] for name in poisoned):
        cost = max(0.0, *(row["cost"] for name, row in poisoned.items() if name.split()[1] == share))
        found[f"poison.cost-{share.removesuffix('%')}"] = cost
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Exit code: 0, or 1 if a figure given by --at-least or --at-most is not held, 2 if the call is wrong."
    )  # fmt: skip
    parser.add_argument("--corpora", type=Path, default=ROOT.parent / "shared" / "corpora", help="folder of the texts")
    parser.add_argument("--own", action="store_true", help="only the project's own texts")
    parser.add_argument("--part", choices=corpora.PARTS, default="develop", help="the sources of the attack texts")
    parser.add_argument("--phones", type=int, default=500)
    parser.add_argument("--days", type=int, default=7, help="days that are learned")
    parser.add_argument("--poison", default="sql,xss,path,shell", help="families that poison the learning; empty: none")
    parser.add_argument(
        "--poison-texts", choices=("any", "accepted", "alike"), default="any",
        help="any of the family; those that the guard accepts; of these the ten that are most alike",
    )  # fmt: skip
    parser.add_argument(
        "--shares", type=lambda text: [float(one) for one in text.split(",")], default=[0.0, 0.01, 0.02, 0.05, 0.1],
        help="shares of what is learned that are poison; the first is what the others are compared with",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    Threshold.add_arguments(parser)
    options = parser.parse_args()
    if not options.own and not (options.corpora / "attacks.jsonl").exists():
        parser.error(f"no attacks.jsonl in {options.corpora}: name the folder with --corpora, or use --own")
    began = time.monotonic()
    result = measure(options)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
        print(f"{time.monotonic() - began:.0f} s")
    return missed(options, figures_of(result))


if __name__ == "__main__":
    sys.exit(main())
