"""Measures what the rules stop and what they should not have: the program behind `make detection`."""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "kemi"), str(Path(__file__).parent)]

import corpora  # noqa: E402
from corpora import Attack, Benign, own_attacks, own_benign  # noqa: E402
from embed import BODY_PROSE_FIELDS, FIELDS, MORE_FIELDS, PROSE_FIELDS, message, parameter, quoted, token, userinfo  # noqa: E402
from thresholds import Threshold, missed  # noqa: E402

from sipsieve.config import policy  # noqa: E402
from sipsieve.decision.engine import Engine  # noqa: E402
from sipsieve.detection import ruleset  # noqa: E402
from sipsieve.model import Decision, Scope, Source, Verdict  # noqa: E402

__all__ = ["Attack", "Benign", "own_attacks", "own_benign"]

SOURCE = Source("192.0.2.4", 5060, "udp", "192.0.2.4")
EVERY_FIELD = {**FIELDS, **MORE_FIELDS}
OUTCOMES = ("refused", "scrubbed", "passed")

#: Kinds of harmless texts that are made to look like attacks; 2 % of them may be rejected.
LOOKALIKES = ("text_fp_", "crs_negative")


class NoCounters:
    """Counters that forget."""

    def add(self, key: str, amount: int = 1) -> int:
        return 1

    def get(self, key: str) -> int:
        return 0

    def offence(self, key: str, scope: Scope) -> int:
        return 0

    def mark(self, identity: int, value: int, now: float) -> None:
        pass

    def marked(self, identity: int, now: float, life: int) -> int:
        return 0

    def copies(self, identity: int, now: float) -> int:
        return 1

    def remember_dialog(self, identity: int) -> None:
        pass

    def knows_dialog(self, identity: int) -> bool:
        return False


def engine(paranoia: int = 1, text_bodies: bool = False, model: str = "") -> Engine:
    """An engine with the default policy, limits off, so that only content counts."""
    text = f"[limits]\nenabled = false\n[detection]\nparanoia = {paranoia}\ntext_bodies = {str(text_bodies).lower()}\n"
    if model:
        text += f'model = "{model}"\n'
    return Engine(policy.loads(text), ruleset.load())


def decide(guard: Engine, raw: bytes) -> Decision:
    return guard.decide(raw, SOURCE, 0.0, NoCounters())


_CLEAN = message()


def outcome(decision: Decision, text: bytes = b"") -> str:
    """What became of a message: `refused`, `scrubbed` or `passed`. A scrub that leaves `text` in it, in any of the
    forms in which a field carries it, is a pass."""
    if decision.verdict in (Verdict.REJECT, Verdict.DROP):
        return "refused"
    if decision.verdict is not Verdict.SCRUB or decision.replacement is None:
        return "passed"
    for form in {text, quoted(text), userinfo(text), token(text), parameter(text)} if text else ():
        if form in decision.replacement and form not in _CLEAN:
            return "passed"
    return "scrubbed"


class Recall(NamedTuple):
    """Outcomes by family and field, and what passed."""

    counts: dict[tuple[str, str], collections.Counter[str]]
    misses: list[tuple[str, str, bytes]]

    def select(self, family: str = "", field: str = "") -> collections.Counter[str]:
        """The outcomes of a family, a field, or all."""
        total: collections.Counter[str] = collections.Counter()
        for (its_family, its_field), counts in self.counts.items():
            if family in ("", its_family) and field in ("", its_field):
                total.update(counts)
        return total

    def rate(self, family: str = "", field: str = "", refused_only: bool = False) -> float:
        """The share that is stopped: refused or scrubbed."""
        counts = self.select(family, field)
        good = counts["refused"] + (0 if refused_only else counts["scrubbed"])
        return good / counts.total() if counts else 1.0

    @property
    def families(self) -> list[str]:
        return sorted({family for family, _ in self.counts})

    @property
    def fields(self) -> list[str]:
        return list(dict.fromkeys(field for _, field in self.counts))


def recall(guard: Engine, attacks: Iterable[Attack], fields: Mapping[str, Any]) -> Recall:
    """What becomes of each text in each field."""
    result = Recall(collections.defaultdict(collections.Counter), [])
    for attack in attacks:
        for field, place in fields.items():
            what = outcome(decide(guard, place(attack.text)), attack.text)
            result.counts[attack.family, field][what] += 1
            if what == "passed":
                result.misses.append((attack.family, field, attack.text))
    return result


#: In which fields a harmless text of a kind is tried.
def benign_messages(case: Benign, prose: Iterable[str] = PROSE_FIELDS) -> Iterator[tuple[str, bytes]]:
    if case.kind in ("sip_user_agent", "user_agent"):
        yield "user-agent", FIELDS["user-agent"](case.text)
    elif case.kind in ("sip_uri_test_literal",):
        return
    elif case.kind in ("email_like_uri",):
        yield "from.display", FIELDS["from.display"](case.text)
    elif case.kind.startswith("sip_hdr:"):
        name = case.kind.split(":", 1)[1]
        if name in ("from", "to", "via", "contact", "call-id"):
            field = {"from": "from_", "call-id": "call_id"}.get(name, name)
            yield name, message(**{field: case.text})
        elif name not in ("content-length", "cseq", "max-forwards", "content-type"):
            yield name, message(more=name.encode() + b": " + case.text + b"\r\n")
    elif case.kind == "message":
        yield "message", case.text
    elif case.kind == "user":
        for field in ("from.user", "to.user", "contact.user", "uri.user"):
            yield field, EVERY_FIELD[field](case.text)
    else:
        for field in prose:
            yield field, EVERY_FIELD[field](case.text)


class Harmless(NamedTuple):
    """Outcomes of harmless texts by kind (the worst of the fields) and by field, and what was touched."""

    kinds: dict[str, collections.Counter[str]]
    fields: dict[str, collections.Counter[str]]
    touched: list[tuple[str, str, str, bytes, str]]

    def group(self, lookalikes: bool) -> collections.Counter[str]:
        total: collections.Counter[str] = collections.Counter()
        for kind, counts in self.kinds.items():
            if kind.startswith(LOOKALIKES) == lookalikes:
                total.update(counts)
        return total


def harmless(guard: Engine, cases: Iterable[Benign]) -> Harmless:
    """What becomes of harmless texts."""
    result = Harmless(collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter), [])
    for case in cases:
        worst, line = "passed", ("", "")
        for field, raw in benign_messages(case, (*PROSE_FIELDS, *BODY_PROSE_FIELDS)):
            decision = decide(guard, raw)
            what = outcome(decision)
            result.fields[field][what] += 1
            if OUTCOMES.index(what) < OUTCOMES.index(worst):
                worst, line = what, (field, ",".join(sorted({f.rule for f in decision.findings if f.score})))
        result.kinds[case.kind][worst] += 1
        if line[0]:
            result.touched.append((case.kind, worst, line[0], case.text, line[1]))
    return result


def valid_messages(
    guard: Engine, messages: Iterable[tuple[str, Any, bytes]]
) -> tuple[collections.Counter[str], list[str]]:
    """Outcomes of the valid messages. INVITE without a body is refused by policy, and not counted."""
    counts: collections.Counter[str] = collections.Counter()
    lines = []
    for name, valid, raw in messages:
        if valid != "True":
            continue
        decision = decide(guard, raw)
        rules = {f.rule for f in decision.findings if f.score}
        what = "passed" if rules == {"content-length-zero"} else outcome(decision)
        counts[what] += 1
        if what != "passed":
            lines.append(f"{what} {name}: {', '.join(sorted(rules))} {decision.reason}")
    return counts, lines


def shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Outcomes as shares, and how many there are."""
    total = sum(counts.values())
    return {"texts": total, **{name: counts.get(name, 0) / total if total else 0.0 for name in OUTCOMES}}


def percents(name: str, counts: Mapping[str, int], width: int = 24) -> str:
    found = shares(counts)
    return f"  {name:{width}} {found['texts']:7.0f}" + "".join(f"{100 * found[what]:10.2f}" for what in OUTCOMES)


HEADING = f"  {'':24} {'texts':>7}" + "".join(f"{what + ' %':>10}" for what in OUTCOMES)


def report_recall(title: str, result: Recall, show: int) -> None:
    """A table of outcomes by family and by field."""
    print(f"\n{title}\n{HEADING}")
    for family in result.families:
        print(percents(family, result.select(family)))
    print("  " + "-" * 62)
    for field in result.fields:
        print(percents(field, result.select(field=field)))
    print("  " + "-" * 62)
    print(percents("all", result.select()))
    if show:
        seen: dict[tuple[str, str], list[bytes]] = collections.defaultdict(list)
        for family, field, text in result.misses:
            seen[family, field].append(text)
        for (family, field), texts in sorted(seen.items()):
            print(f"  passed: {family} in {field}: {len(texts)}")
            for text in texts[:: max(1, len(texts) // show)][:show]:
                print(f"    {text[:200]!r}")


def report_harmless(title: str, result: Harmless, show: int) -> None:
    """A table of outcomes by kind (those that were touched) and by field."""
    print(f"\n{title}\n{HEADING}")
    for kind in sorted(result.kinds):
        if result.kinds[kind].total() != result.kinds[kind]["passed"]:
            print(percents(kind, result.kinds[kind]))
    print(percents("ordinary, all kinds", result.group(False)))
    print(percents("look-alikes", result.group(True)))
    print("  " + "-" * 62)
    for field in result.fields:
        if result.fields[field].total() != result.fields[field]["passed"]:
            print(percents("in " + field, result.fields[field]))
    for kind, what, field, text, rules in result.touched[:: max(1, len(result.touched) // show)][:show] if show else ():
        print(f"    {what} {kind} in {field}: {text[:120]!r} {rules}")


def as_json(result: Recall) -> dict[str, Any]:
    return {
        "all": shares(result.select()),
        "families": {family: shares(result.select(family)) for family in result.families},
        "fields": {field: shares(result.select(field=field)) for field in result.fields},
    }


def figures(attacks: Recall | None, texts: Harmless | None, valid: Mapping[str, int] | None) -> dict[str, float]:
    """The figures that a threshold can name. A family's and a field's are those of the worst."""
    found: dict[str, float] = {}
    if attacks and attacks.counts:
        found["stopped"] = attacks.rate()
        found["refused"] = attacks.rate(refused_only=True)
        found["family.stopped"] = min(attacks.rate(family) for family in attacks.families)
        found["field.stopped"] = min(attacks.rate(field=field) for field in attacks.fields)
        found |= {f"family.{family}.stopped": attacks.rate(family) for family in attacks.families}
        found |= {f"field.{field}.stopped": attacks.rate(field=field) for field in attacks.fields}
    if texts:
        for name, group in (("ordinary", texts.group(False)), ("look-alikes", texts.group(True))):
            found |= {f"{name}.{what}": shares(group)[what] for what in ("refused", "scrubbed")}
    if valid:
        found |= {f"valid.{what}": shares(valid)[what] for what in ("refused", "scrubbed")}
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit code: 0, or 1 if a figure given by --at-least or --at-most is not held, 2 if the call is wrong.",
    )
    parser.add_argument("--corpora", type=Path, default=ROOT.parent / "shared" / "corpora", help="folder of the texts")
    parser.add_argument("--own", action="store_true", help="only the project's own cases")
    parser.add_argument(
        "--part", choices=corpora.PARTS, default="develop", help="the sources that rules are made on, or the others"
    )
    parser.add_argument("--show", type=int, default=0, metavar="N", help="N examples of each miss (none of held-back)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth text")
    parser.add_argument("--family", default="", help="only one family of attacks")
    parser.add_argument("--fields", default="", help="comma-separated fields instead of all")
    parser.add_argument("--paranoia", type=int, default=1)
    parser.add_argument("--no-benign", action="store_true", help="no harmless texts")
    parser.add_argument("--no-attacks", action="store_true", help="no attacks")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    Threshold.add_arguments(parser)
    options = parser.parse_args()
    unknown = [name for name in options.fields.split(",") if name and name not in EVERY_FIELD]
    if unknown:
        parser.error(f"no field {', '.join(unknown)}: there are {', '.join(EVERY_FIELD)}")
    if not options.own and not (options.corpora / "attacks.jsonl").exists():
        parser.error(f"no attacks.jsonl in {options.corpora}: name the folder with --corpora, or use --own")
    return options


def main() -> int:
    options = arguments()
    guard = engine(options.paranoia, text_bodies=True)
    fields = {name: EVERY_FIELD[name] for name in options.fields.split(",")} if options.fields else EVERY_FIELD
    show = 0 if options.part == "held-back" and not options.own else options.show
    started = time.monotonic()
    attacks: Recall | None = None
    texts: Harmless | None = None
    valid: collections.Counter[str] | None = None
    lines: list[str] = []
    if not options.no_attacks:
        chosen = list(own_attacks()) if options.own else corpora.attacks(options.corpora, options.part)
        chosen = [attack for attack in chosen if options.family in ("", attack.family)][:: options.every]
        attacks = recall(guard, chosen, fields)
        title = (
            f"attacks: {'own' if options.own else options.part}, {len(chosen)} texts, {corpora.authors(chosen)} authors"
        )
    if not options.no_benign:
        cases = list(own_benign()) if options.own else corpora.benign(options.corpora, options.part)[:: options.every]
        texts = harmless(guard, cases)
        if not options.own:
            valid, lines = valid_messages(guard, corpora.messages(options.corpora))
    found = figures(attacks, texts, valid)
    if options.json:
        document: dict[str, Any] = {"part": "own" if options.own else options.part, "figures": found}
        if attacks:
            document["attacks"] = as_json(attacks)
        if texts:
            document["harmless"] = {kind: shares(counts) for kind, counts in sorted(texts.kinds.items())}
        if valid:
            document["valid"] = shares(valid)
        print(json.dumps(document, indent=1))
    else:
        if attacks:
            report_recall(title, attacks, show)
        if texts:
            report_harmless("harmless texts (worst of their fields)", texts, show)
        if valid:
            print(percents("valid messages", valid))
            print("".join(f"    {line}\n" for line in lines[: options.show]), end="")
        print(f"\n{time.monotonic() - started:.1f} s")
    return missed(options, found)


if __name__ == "__main__":
    sys.exit(main())
