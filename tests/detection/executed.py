"""Measures detection on payloads composed at random that did something when they were run, and on harmless texts composed in
the same way: the program behind `make detection-executed`.

Nobody wrote these payloads down. Those of productions that are held back, nobody who writes rules has seen the parts of.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path[:0] = [str(Path(__file__).parent)]

import databases  # noqa: E402
import ways  # noqa: E402
from corpora import PARTS  # noqa: E402
from evaluate import (  # noqa: E402
    EVERY_FIELD,
    HEADING,
    OUTCOMES,
    Engine,
    Recall,
    as_json,
    decide,
    engine,
    outcome,
    percents,
    shares,
)
from execution import Execution  # noqa: E402
from grammar import Grammar, Text  # noqa: E402
from lookalikes import LOOKALIKES, ORDINARY, SMALL  # noqa: E402
from payloads import SHELL, SQL, SQL_DOUBLE  # noqa: E402
from thresholds import Threshold, missed  # noqa: E402

#: Family → what composes it: the grammar, its symbol, and the kind of place that it is run in.
FAMILIES: Final[dict[str, tuple[Grammar, str, str]]] = {
    "sql string": (SQL, "string", "string"),
    "sql string double": (SQL_DOUBLE, "string", "string-double"),
    "sql number": (SQL, "number", "number"),
    "shell unquoted": (SHELL, "unquoted", "unquoted"),
    "shell double": (SHELL, "double", "double"),
    "shell single": (SHELL, "single", "single"),
    "shell argument": (SHELL, "argument", "argument"),
}
#: The same of productions by the backends' own grammars, and in more places: what `--ways` measures.
WAYS: Final[dict[str, tuple[Grammar, str, str]]] = {
    "way sql string": (ways.SQL, "string", "string"),
    "way sql string double": (ways.SQL_DOUBLE, "string", "string-double"),
    "way sql number": (ways.SQL, "number", "number"),
    **{
        f"way {symbol}": (ways.SHELL, symbol, place)
        for symbol, place in (
            *((name, name) for name in ("unquoted", "double", "single", "argument", "find", "tar", "sed", "dd")),
            ("replaced", "sed-replace"),
            *((name, name) for name in ("awk", "perl", "python", "xargs")),
        )
    },
}
#: Fields whose grammar leaves no room for prose: goals for them are higher.
TIGHT: Final = (
    "from.user",
    "to.user",
    "contact.user",
    "uri.user",
    "uri.parameter",
    "contact.uri.parameter",
    "from.param",
    "via.quoted",
    "digest.username",
)
PROSE: Final = ("from.display", "to.display", "contact.display", "contact.second", "pai.display", "user-agent", "subject", "x-header", "call-info", "sdp.s", "sdp.i", "sdp.o", "message.body")  # fmt: skip
#: Where harmless texts are placed.
NAMED: Final = ("from.display", "contact.display", "pai.display", "subject", "sdp.s", "sdp.i", "x-header")
#: Kinds of harmless texts, each with the grammar and the symbol that compose it.
HARMLESS: Final[dict[str, tuple[Grammar, str]]] = {
    "ordinary": (ORDINARY, "ordinary"),
    "small": (SMALL, "small"),
    "look-alikes": (LOOKALIKES, "made"),
}

#: What any name may be: it does no harm that a name could be kept from doing.
ANY_NAME: Final = re.compile(r"[\w.+-]*")
#: Words and numbers alone are prose: they are asked about only where no prose belongs.
WORDS_ALONE: Final = re.compile(r"[\w.,+ -]*")


class Executed(NamedTuple):
    """A payload that did something, and where."""

    family: str
    text: Text
    where: tuple[str, ...]


def executed(seed: int, count: int, part: str, engines: list[str], families: list[str]) -> Iterator[Executed]:
    """`count` payloads of each family that did something; fewer where the productions hold no more."""
    with Execution(engines) as execution:
        for family in families:
            grammar, symbol, place = (FAMILIES | WAYS)[family]
            found = tried = 0
            for text in grammar.texts([symbol], random.Random(f"{seed} {family}"), part):
                tried += 1
                if tried > 20 * count + 200:
                    break
                if ANY_NAME.fullmatch(text.text):
                    continue
                where = execution.where(place, text.text)
                if where:
                    found += 1
                    yield Executed(family, text, tuple(where))
                    if found >= count:
                        break


def fields_of(text: str) -> tuple[str, ...]:
    """In which fields a payload is measured."""
    return TIGHT if WORDS_ALONE.fullmatch(text) else TIGHT + PROSE


class Passed(NamedTuple):
    """How often a production was in what was tried, and in what passed."""

    tried: collections.Counter[str]
    passed: collections.Counter[str]

    def worst(self, count: int) -> list[tuple[str, int, int]]:
        """The productions that pass most, with how often they passed and were tried."""
        ranked = sorted(self.passed, key=lambda p: (-(self.passed[p] ** 2) / self.tried[p], p))
        return [(production, self.passed[production], self.tried[production]) for production in ranked[:count]]


def measure(guard: Engine, payloads: Iterator[Executed]) -> tuple[Recall, Passed]:
    """What becomes of each payload in each of its fields."""
    result = Recall(collections.defaultdict(collections.Counter), [])
    passed = Passed(collections.Counter(), collections.Counter())
    for payload in payloads:
        text = payload.text.text.encode()
        for field in fields_of(payload.text.text):
            what = outcome(decide(guard, EVERY_FIELD[field](text)), text)
            result.counts[payload.family, field][what] += 1
            passed.tried.update(payload.text.productions)
            if what == "passed":
                passed.passed.update(payload.text.productions)
                result.misses.append((payload.family, field, text))
    return result, passed


def measure_harmless(
    guard: Engine, grammar: Grammar, symbol: str, seed: int, count: int, part: str
) -> tuple[collections.Counter[str], list[str]]:
    """What becomes of harmless texts: the worst of their fields, and which were touched."""
    counts: collections.Counter[str] = collections.Counter()
    touched = []
    for text in grammar.texts([symbol], random.Random(f"{seed} {symbol}"), part):
        worst = "passed"
        for field in NAMED:
            decision = decide(guard, EVERY_FIELD[field](text.text.encode()))
            what = outcome(decision)
            if OUTCOMES.index(what) < OUTCOMES.index(worst):
                worst = what
                why = f"{what} in {field}: {text.text!r} {','.join(sorted({f.rule for f in decision.findings if f.score}))}"
        counts[worst] += 1
        if worst != "passed":
            touched.append(why)
        if counts.total() >= count:
            break
    return counts, touched


def figures(attacks: Recall, harmless: dict[str, collections.Counter[str]]) -> dict[str, float]:
    """The figures that a threshold can name."""
    found = {"stopped": attacks.rate(), "refused": attacks.rate(refused_only=True)}
    found |= {f"family.{family}.stopped": attacks.rate(family) for family in attacks.families}
    found |= {f"field.{field}.stopped": attacks.rate(field=field) for field in attacks.fields}
    if attacks.counts:
        found["field.stopped"] = min(attacks.rate(field=field) for field in attacks.fields)
        found["tight.stopped"] = min(attacks.rate(field=field) for field in attacks.fields if field in TIGHT)
    for name, counts in harmless.items():
        found |= {f"{name}.{what}": shares(counts)[what] for what in ("refused", "scrubbed")}
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit code: 0, or 1 if a figure given by --at-least or --at-most is not held, 2 if the call is wrong.",
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed composes the same texts")
    parser.add_argument("--count", type=int, default=300, help="executed payloads of each of the families")
    parser.add_argument("--harmless", type=int, default=2000, help="harmless texts of each of the three kinds")
    parser.add_argument("--part", choices=PARTS, default="develop", help="of which productions")
    parser.add_argument("--databases", default=",".join(databases.installed()), help="which, comma-separated")
    parser.add_argument("--families", default="", help="which, comma-separated")
    parser.add_argument(
        "--ways", action="store_true", help="families of the backends' own grammars instead, if --families names none"
    )
    parser.add_argument("--show", type=int, default=0, metavar="N", help="N of each, of the developed part alone: payloads "
                        "that passed, productions that pass most, harmless texts that were touched")  # fmt: skip
    parser.add_argument(
        "--list", action="store_true", help="print the executed payloads of the developed part, and end"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    Threshold.add_arguments(parser)
    options = parser.parse_args()
    options.families = options.families or ",".join(WAYS if options.ways else FAMILIES)
    for option, known in (("databases", databases.installed()), ("families", [*FAMILIES, *WAYS])):
        unknown = [name for name in getattr(options, option).split(",") if name not in known]
        if unknown:
            parser.error(f"--{option}: no {', '.join(unknown)} here: there are {', '.join(known)}")
    if options.list and options.part != "develop":
        parser.error("--list shows what rules may be made on: --part develop")
    return options


def main() -> int:
    options = arguments()
    started = time.monotonic()
    payloads = executed(
        options.seed, options.count, options.part, options.databases.split(","), options.families.split(",")
    )
    if options.list:
        for payload in payloads:
            print(json.dumps([payload.family, payload.text.text, payload.where]))
        return 0
    guard = engine(text_bodies=True)
    attacks, passed = measure(guard, payloads)
    harmless: dict[str, collections.Counter[str]] = {}
    touched: list[str] = []
    for kind, (grammar, symbol) in HARMLESS.items():
        harmless[kind], examples = measure_harmless(
            guard, grammar, symbol, options.seed, options.harmless, options.part
        )
        touched += examples[: options.show]
    found = figures(attacks, harmless)
    if options.json:
        document: dict[str, Any] = {
            "part": options.part,
            "seed": options.seed,
            "figures": found,
            "attacks": as_json(attacks),
        }
        document["harmless"] = {kind: shares(counts) for kind, counts in harmless.items()}
        print(json.dumps(document, indent=1))
        return missed(options, found)
    print(f"payloads that did something, {options.part}, seed {options.seed}\n{HEADING}")
    for family in attacks.families:
        print(percents(family, attacks.select(family)))
    for field in attacks.fields:
        print(percents(("* " if field in TIGHT else "  ") + field, attacks.select(field=field)))
    print(percents("all", attacks.select()))
    print("  (* no prose belongs there)\nharmless texts composed alike")
    for kind, counts in harmless.items():
        print(percents(kind, counts))
    if options.show and options.part == "develop":
        by: dict[tuple[str, str], list[bytes]] = collections.defaultdict(list)
        for family, field, text in attacks.misses:
            by[family, "tight" if field in TIGHT else "prose"].append(text)
        for key, texts in sorted(by.items()):
            unique = sorted(set(texts))
            print(f"  passed: {' in '.join(key)}: {len(unique)}")
            for text in unique[:: max(1, len(unique) // options.show)][: options.show]:
                print(f"    {text!r}")
        print("  productions that pass most, passed / tried")
        for production, count, total in passed.worst(3 * options.show):
            print(f"    {count:5} / {total:5}  {production}")
    for line in touched if options.part == "develop" else ():
        print(f"    {line}")
    print(f"{time.monotonic() - started:.1f} s")
    return missed(options, found)


if __name__ == "__main__":
    sys.exit(main())
