"""Measures what the rules stop and what they should not have: the program behind `make detection`."""

from __future__ import annotations

import argparse
import base64
import collections
import hashlib
import json
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "kemi"), str(Path(__file__).parent)]

from embed import FIELDS, MORE_FIELDS, message  # noqa: E402

from sipsieve.config import policy  # noqa: E402
from sipsieve.decision.engine import Engine  # noqa: E402
from sipsieve.detection import ruleset  # noqa: E402
from sipsieve.model import Decision, Source, Verdict  # noqa: E402

CASES = Path(__file__).with_name("cases")
SOURCE = Source("192.0.2.4", 5060, "udp", "192.0.2.4")

#: Kinds of harmless texts that are made to look like attacks; 2 % of them may be rejected.
LOOKALIKES = ("text_fp_", "crs_negative")


class NoCounters:
    """Counters that forget."""

    def add(self, key: str) -> int:
        return 1

    def copies(self, identity: int, now: float) -> int:
        return 1

    def remember_dialog(self, identity: int) -> None:
        pass

    def knows_dialog(self, identity: int) -> bool:
        return False


class Attack(NamedTuple):
    family: str
    text: bytes


class Benign(NamedTuple):
    kind: str
    text: bytes
    raw: bool = False  # a whole message


def engine(paranoia: int = 1) -> Engine:
    """An engine with the default policy, limits off, so that only content counts."""
    text = f"[limits]\nenabled = false\n[detection]\nparanoia = {paranoia}\n"
    return Engine(policy.loads(text), ruleset.load())


def decide(guard: Engine, raw: bytes) -> Decision:
    return guard.decide(raw, SOURCE, 0.0, NoCounters())


def stopped(decision: Decision, raw: bytes, text: bytes) -> bool:
    """Whether the backend is spared the text: refused, or scrubbed and no longer there."""
    if decision.verdict in (Verdict.REJECT, Verdict.DROP):
        return True
    if decision.verdict is not Verdict.SCRUB or decision.replacement is None:
        return False
    clean = message()
    return text not in decision.replacement or text in clean


def held_back(text: bytes) -> bool:
    """Three of ten texts are measured, never looked at."""
    return hashlib.sha256(text).digest()[0] < 77


def corpus_attacks(folder: Path) -> Iterator[Attack]:
    for line in (folder / "attacks.jsonl").open():
        row = json.loads(line)
        level = row.get("crs_pl")
        if row["strength"] == "strong" and row["scope"] == "core" and (level is None or int(level) <= 2):
            yield Attack(row["family"], row["payload"].encode("utf-8", "surrogatepass"))


def corpus_benign(folder: Path) -> Iterator[Benign]:
    for line in (folder / "benign.jsonl").open():
        row = json.loads(line)
        if row.get("ambiguous") or row.get("unlabelled") or row.get("tier") == "unlabelled":
            continue
        yield Benign(row["kind"], row["text"].encode("utf-8", "surrogatepass"))


def corpus_messages(folder: Path) -> Iterator[tuple[str, Any, bytes]]:
    for line in (folder / "sip_messages.jsonl").open():
        row = json.loads(line)
        yield f"{row['file']} {row.get('rfc_section') or ''}", str(row["valid"]), base64.b64decode(row["raw_b64"])


def own_attacks() -> Iterator[Attack]:
    for path in sorted(CASES.glob("attacks*.toml")):
        for family, texts in tomllib.loads(path.read_text()).items():
            for text in texts:
                yield Attack(family, text.encode())


def own_benign() -> Iterator[Benign]:
    for path in sorted(CASES.glob("benign*.toml")):
        for kind, texts in tomllib.loads(path.read_text()).items():
            for text in texts:
                yield Benign(kind, text.encode())


class Recall(NamedTuple):
    total: dict[tuple[str, str], int]
    caught: dict[tuple[str, str], int]
    misses: list[tuple[str, str, bytes]]

    def rate(self, family: str = "", field: str = "") -> float:
        keys = [k for k in self.total if family in ("", k[0]) and field in ("", k[1])]
        total = sum(self.total[k] for k in keys)
        return sum(self.caught[k] for k in keys) / total if total else 1.0


def recall(guard: Engine, attacks: Iterable[Attack], fields: dict[str, Any]) -> Recall:
    """How many texts are stopped in each field."""
    total: dict[tuple[str, str], int] = collections.Counter()
    caught: dict[tuple[str, str], int] = collections.Counter()
    misses = []
    for attack in attacks:
        for field, place in fields.items():
            raw = place(attack.text)
            total[attack.family, field] += 1
            if stopped(decide(guard, raw), raw, attack.text):
                caught[attack.family, field] += 1
            else:
                misses.append((attack.family, field, attack.text))
    return Recall(total, caught, misses)


#: In which fields a harmless text of a kind is tried.
def benign_messages(case: Benign) -> Iterator[tuple[str, bytes]]:
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
            yield field, {**FIELDS, **MORE_FIELDS}[field](case.text)
    else:
        for field in ("from.display", "to.display", "contact.display"):
            yield field, FIELDS[field](case.text)
        yield "subject", MORE_FIELDS["subject"](case.text)


def summary_line(name: str, counts: collections.Counter[str]) -> str:
    total = sum(counts.values())
    return (
        f"{name:28} {total:6} reject {100 * counts['reject'] / total:6.2f} %  "
        f"scrub {100 * counts['scrub'] / total:6.2f} %"
    )


def report_recall(title: str, result: Recall, fields: Iterable[str], show: int) -> None:
    families = sorted({family for family, _ in result.total})
    names = list(fields)
    print(f"\n{title}: {100 * result.rate():.2f} % stopped")
    print(f"{'':16}" + "".join(f"{name[:15]:>16}" for name in ["all", *names]))
    for family in families:
        row = [result.rate(family), *(result.rate(family, name) for name in names)]
        print(f"{family:16}" + "".join(f"{100 * value:15.2f} " for value in row))
    row = [result.rate(), *(result.rate("", name) for name in names)]
    print(f"{'all':16}" + "".join(f"{100 * value:15.2f} " for value in row))
    if show:
        seen: dict[tuple[str, str], list[bytes]] = collections.defaultdict(list)
        for family, field, text in result.misses:
            seen[family, field].append(text)
        for (family, field), texts in sorted(seen.items()):
            print(f"  missed {family} in {field}: {len(texts)}")
            step = max(1, len(texts) // show)
            for text in texts[::step][:show]:
                print(f"    {text[:200]!r}")


def false_positives(guard: Engine, cases: Iterable[Benign], show: int) -> dict[str, collections.Counter[str]]:
    """Verdicts on harmless texts by kind: worst of the fields."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    examples: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    rank = {"allow": 0, "scrub": 1, "drop": 2, "reject": 2}
    for case in cases:
        worst, line = "allow", ""
        for field, raw in benign_messages(case):
            decision = decide(guard, raw)
            verdict = str(decision.verdict)
            if rank[verdict] > rank[worst]:
                worst = verdict
                rules = ",".join(sorted({f.rule for f in decision.findings if f.score}))
                line = f"{field}: {case.text[:120]!r} {rules}"
        counts[case.kind]["reject" if worst == "drop" else worst] += 1
        if line:
            examples[case.kind, worst].append(line)
    for kind in sorted(counts):
        if counts[kind].total() != counts[kind]["allow"]:
            print(summary_line(kind, counts[kind]))
            for verdict in ("drop", "reject", "scrub"):
                for line in examples.get((kind, verdict), ())[:show]:
                    print(f"    {verdict} {line}")
    ordinary: collections.Counter[str] = collections.Counter()
    lookalike: collections.Counter[str] = collections.Counter()
    for kind, count in counts.items():
        (lookalike if kind.startswith(LOOKALIKES) else ordinary).update(count)
    if ordinary:
        print(summary_line("harmless", ordinary))
    if lookalike:
        print(summary_line("look-alikes", lookalike))
    return counts


def valid_messages(guard: Engine, messages: Iterable[tuple[str, Any, bytes]], show: int) -> int:
    """How many valid messages are refused or changed."""
    refused = total = 0
    lines = []
    for name, valid, raw in messages:
        if valid != "True":
            continue
        total += 1
        decision = decide(guard, raw)
        rules = {f.rule for f in decision.findings if f.score}
        if decision.verdict in (Verdict.REJECT, Verdict.DROP) and rules != {"content-length-zero"}:
            refused += 1
            lines.append(f"    {decision.verdict} {name}: {sorted(rules)} {decision.reason}")
    print(f"\nvalid messages: {refused} of {total} refused")
    for line in lines[:show]:
        print(line)
    return refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, default=ROOT.parent / "shared" / "corpora", help="folder of the texts")
    parser.add_argument("--own", action="store_true", help="only the project's own cases")
    parser.add_argument("--part", choices=("develop", "held-back", "all"), default="develop", help="which texts")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="N examples of each miss")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth text")
    parser.add_argument("--family", default="", help="only one family of attacks")
    parser.add_argument("--fields", default="", help="comma-separated fields instead of all")
    parser.add_argument("--more", action="store_true", help="more fields")
    parser.add_argument("--paranoia", type=int, default=1)
    parser.add_argument("--no-benign", action="store_true")
    parser.add_argument("--no-attacks", action="store_true")
    options = parser.parse_args()
    guard = engine(options.paranoia)
    fields = {**FIELDS, **MORE_FIELDS} if options.more or options.fields else FIELDS
    if options.fields:
        fields = {name: fields[name] for name in options.fields.split(",")}
    started = time.monotonic()
    report_recall("own cases", recall(guard, own_attacks(), fields), fields, options.show)
    false_positives(guard, own_benign(), options.show)
    if not options.own and (options.corpora / "attacks.jsonl").exists():

        def wanted(text: bytes) -> bool:
            return options.part == "all" or held_back(text) == (options.part == "held-back")

        show = 0 if options.part == "held-back" else options.show
        if not options.no_attacks:
            attacks = [
                a for a in corpus_attacks(options.corpora) if wanted(a.text) and options.family in ("", a.family)
            ][:: options.every]
            report_recall(f"corpus, {options.part}, {len(attacks)} texts", recall(guard, attacks, fields), fields, show)
        if not options.no_benign:
            print("\nharmless texts")
            false_positives(guard, (b for b in corpus_benign(options.corpora) if wanted(b.text)), show)
            valid_messages(guard, corpus_messages(options.corpora), options.show)
    print(f"\n{time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
