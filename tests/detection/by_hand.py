"""Measures detection on payloads written by hand, by somebody who had read the rules: the program behind `make detection-by-hand`.

Other than composed payloads, these were made to walk around the rules. They are parted by how a payload works, class by class:
rules are made on one half (`hand/develop.toml`), the other (`hand/held-back.toml`) is only measured.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path[:0] = [str(Path(__file__).parent)]

import databases  # noqa: E402
from embed import message, quoted, token, userinfo  # noqa: E402
from evaluate import EVERY_FIELD, HEADING, Engine, Recall, as_json, decide, engine, outcome, percents  # noqa: E402
from execution import Execution  # noqa: E402
from thresholds import Threshold, missed  # noqa: E402

FOLDER: Final = Path(__file__).with_name("hand")
PARTS: Final = ("develop", "held-back", "second-develop", "second-held-back")


class Written(NamedTuple):
    """A payload, the class and family that it belongs to, and the kind of place that it can be run in; empty where in none."""

    family: str
    kind: str
    run: str
    text: str


def _named(name: bytes) -> Callable[[bytes], bytes]:
    """A header field whose value is an address with a display name."""
    return lambda text: message(more=name + b': "' + quoted(text) + b'" <sip:a@example.com>\r\n')


def _session(line: bytes) -> Callable[[bytes], bytes]:
    """A line of a session description: what it begins with, a text behind it."""

    def make(text: bytes) -> bytes:
        body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\n%s%s\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
        return message(more=b"Content-Type: application/sdp\r\n", body=body % (line, text))

    return make


def _credentials(before: bytes, behind: bytes) -> Callable[[bytes], bytes]:
    return lambda text: message(more=b"Authorization: Digest " + before + quoted(text) + behind + b"\r\n")


#: Fields in which people write, or which only people read: a rule has to leave names alone there.
PROSE: Final[dict[str, Callable[[bytes], bytes]]] = {
    **{
        name: EVERY_FIELD[name]
        for name in (
            "from.display",
            "to.display",
            "contact.display",
            "contact.second",
            "pai.display",
            "subject",
            "user-agent",
        )
    },
    "remote-party-id.display": _named(b"Remote-Party-ID"),
    "diversion.display": _named(b"Diversion"),
    "refer-to.display": _named(b"Refer-To"),
    "organization": lambda t: message(more=b"Organization: " + t + b"\r\n"),
    "reason.text": lambda t: message(more=b'Reason: SIP;cause=200;text="' + quoted(t) + b'"\r\n'),
    "x-header": EVERY_FIELD["x-header"],
    "call-info": EVERY_FIELD["call-info"],
    "sdp.s": EVERY_FIELD["sdp.s"],
    "sdp.i": EVERY_FIELD["sdp.i"],
    "message.body": EVERY_FIELD["message.body"],
    "info.body": lambda t: message(method=b"INFO", more=b"Content-Type: text/plain\r\n", body=t),
}
#: Fields whose grammar leaves no room for prose. A text stands there as that grammar asks, so that no check of structure helps.
TIGHT: Final[dict[str, Callable[[bytes], bytes]]] = {
    **{
        name: EVERY_FIELD[name]
        for name in ("from.user", "to.user", "contact.user", "uri.user", "uri.parameter", "contact.uri.parameter", "from.param",
                     "via.quoted", "via.token", "digest.username", "sdp.o")
    },
    "pai.user": lambda t: message(more=b"P-Asserted-Identity: <sip:" + userinfo(t) + b"@example.com>\r\n"),
    "from.tag": lambda t: message(from_=b"<sip:alice@example.com>;tag=" + token(t)),
    "via.branch": lambda t: message(via=b"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK" + token(t)),
    "call-id": lambda t: message(call_id=token(t) + b"@192.0.2.4"),
    "digest.realm": _credentials(b'username="u", realm="', b'", nonce="b", uri="sip:c", response="d"'),
    "digest.cnonce": _credentials(b'username="u", realm="a", nonce="b", uri="sip:c", response="d", qop=auth, nc=00000001, cnonce="', b'"'),
    "sdp.u": _session(b"u="),
    "sdp.k": _session(b"k=clear:"),
    "sdp.a": _session(b"a=x-label:"),
}  # fmt: skip
PLACES: Final = PROSE | TIGHT


def written(part: str) -> list[Written]:
    """The payloads of a part."""
    classes = tomllib.loads((FOLDER / f"{part}.toml").read_text())["class"]
    return [Written(c["family"], c["name"], c.get("run", ""), text) for c in classes for text in c["texts"]]


def executed(texts: Iterable[Written], engines: list[str]) -> list[tuple[Written, list[str]]]:
    """Those that can be run, each with where it did something: in a shell, or a database of `engines`. Only root can."""
    with Execution(engines) as execution:
        return [(text, execution.where(text.run, text.text)) for text in texts if text.run]


def measure(guard: Engine, texts: Iterable[Written]) -> tuple[Recall, Recall]:
    """What becomes of each payload in each place, by family and by class."""
    families = Recall(collections.defaultdict(collections.Counter), [])
    kinds = Recall(collections.defaultdict(collections.Counter), [])
    for written_text in texts:
        text = written_text.text.encode()
        for place, make in PLACES.items():
            what = outcome(decide(guard, make(text)), text)
            for result, name in ((families, written_text.family), (kinds, written_text.kind)):
                result.counts[name, place][what] += 1
                if what == "passed":
                    result.misses.append((name, place, text))
    return families, kinds


def select(result: Recall, places: Iterable[str], name: str = "") -> collections.Counter[str]:
    """Outcomes in some places, of one family or class or of all."""
    total: collections.Counter[str] = collections.Counter()
    for place in places:
        total.update(result.select(name, place))
    return total


def _stopped(counts: collections.Counter[str]) -> float:
    return 1 - counts["passed"] / counts.total() if counts else 1.0


def figures(families: Recall) -> dict[str, float]:
    """The figures that a threshold can name."""
    found = {"stopped": families.rate(), "refused": families.rate(refused_only=True)}
    found |= {"tight.stopped": _stopped(select(families, TIGHT)), "prose.stopped": _stopped(select(families, PROSE))}
    found |= {f"family.{name}.stopped": families.rate(name) for name in families.families}
    return found | {f"field.{name}.stopped": families.rate(field=name) for name in families.fields}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit code: 0, or 1 if a figure given by --at-least or --at-most is not held, 2 if the call is wrong.",
    )
    parser.add_argument("--part", choices=PARTS, default="develop", help="which half")
    parser.add_argument(
        "--executed", action="store_true", help="only payloads that do something when they are run (root)"
    )
    parser.add_argument("--databases", default=",".join(databases.installed()), help="which, comma-separated")
    parser.add_argument(
        "--show",
        type=int,
        default=0,
        metavar="N",
        help="N payloads of each class that pass, and where (none of held-back)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    Threshold.add_arguments(parser)
    return parser.parse_args()


def _print(families: Recall, kinds: Recall, developed: bool) -> None:
    for title, places in (("where no prose belongs", TIGHT), ("prose", PROSE)):
        print(f"{title}\n{HEADING}")
        for family in families.families:
            print(percents(family, select(families, places, family)))
        print("  " + "-" * 62)
        for place in places:
            print(percents(place, families.select(field=place)))
        print(percents("all", select(families, places)))
    if developed:
        print(f"classes, everywhere\n{HEADING}")
        for kind in kinds.families:
            print(percents(kind, kinds.select(kind), 30))
    print(percents("all", families.select()))


def main() -> int:
    options = arguments()
    texts = written(options.part)
    if options.executed:
        ran = executed(texts, [name for name in options.databases.split(",") if name])
        texts = [text for text, where in ran if where]
        print(f"{len(texts)} of {len(ran)} that can be run did something", file=sys.stderr)
    families, kinds = measure(engine(text_bodies=True), texts)
    found = figures(families)
    developed = options.part.endswith("develop")
    if options.json:
        document: dict[str, Any] = {
            "part": options.part,
            "payloads": len(texts),
            "figures": found,
            "attacks": as_json(families),
        }
        print(json.dumps(document, indent=1))
        return missed(options, found)
    print(f"written by hand, {options.part}: {len(texts)} payloads in {len(PLACES)} places")
    _print(families, kinds, developed)
    if options.show and developed:
        passed: dict[tuple[str, bytes], list[str]] = collections.defaultdict(list)
        for kind, place, text in kinds.misses:
            passed[kind, text].append(place)
        by: dict[str, list[tuple[bytes, list[str]]]] = collections.defaultdict(list)
        for (kind, text), places in passed.items():
            by[kind].append((text, places))
        for kind, rows in by.items():
            print(f"  passed: {kind}: {len(rows)}")
            for text, places in rows[: options.show]:
                print(f"    {text!r} in {', '.join(places)}")
    return missed(options, found)


if __name__ == "__main__":
    sys.exit(main())
