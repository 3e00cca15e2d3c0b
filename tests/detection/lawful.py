"""Counts what detection does to lawful values where programs and people write what they like: the program behind `make detection-lawful`.

Users, URI parameters, fields of no standard, lines of session descriptions and texts, by class. Rules are made on one half
(`cases/lawful.toml`, which also lists what is still touched); the other (`cases/lawful-held-back.toml`) is only counted, and never
shown.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

sys.path[:0] = [str(Path(__file__).parent)]

from by_hand import PLACES  # noqa: E402
from corpora import CASES  # noqa: E402
from embed import message  # noqa: E402
from evaluate import Engine, decide, engine, outcome  # noqa: E402
from thresholds import Threshold, missed  # noqa: E402

PARTS: Final = {"develop": "lawful", "held-back": "lawful-held-back"}
_SESSION: Final = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n%s\r\n"
)


def _header(name: bytes) -> Callable[[bytes], bytes]:
    return lambda text: message(more=name + b": " + text + b"\r\n")


def _line(text: bytes) -> bytes:
    return message(more=b"Content-Type: application/sdp\r\n", body=_SESSION % text)


#: Where the values of a class stand, by what its name begins with.
WHERE: Final[dict[str, tuple[Callable[[bytes], bytes], ...]]] = {
    "header": (_header(b"X-Foo"), _header(b"P-Vendor-Data")),
    "sdp_lines": (_line,),
    "sdp_session": (PLACES["sdp.s"], PLACES["sdp.i"]),
    "user": tuple(PLACES[place] for place in ("from.user", "to.user", "contact.user", "uri.user")),
    "parameter": (PLACES["uri.parameter"], PLACES["contact.uri.parameter"]),
    "text_body": (PLACES["message.body"], PLACES["info.body"]),
}


class Lawful(NamedTuple):
    """A value, its class, and whether the list says that it is touched."""

    kind: str
    text: str
    is_touched: bool


def values(part: str) -> Iterator[Lawful]:
    """The values of a half."""
    lists = tomllib.loads((CASES / f"{PARTS[part]}.toml").read_text())
    touched = lists.pop("touched", {})
    for kind, texts in lists.items():
        yield from (Lawful(kind, text, False) for text in texts)
        yield from (Lawful(kind, text, True) for text in touched.get(kind, ()))


def worst(guard: Engine, value: Lawful) -> str:
    """What becomes of a value in the worst of its places: `refused`, `scrubbed` or `passed`."""
    places = next(makes for start, makes in WHERE.items() if value.kind.startswith(start))
    found = {outcome(decide(guard, make(value.text.encode()))) for make in places}
    return next(what for what in ("refused", "scrubbed", "passed") if what in found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, default="develop", help="which half")
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="N touched values of a class (not of held-back)"
    )
    Threshold.add_arguments(parser)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    guard = engine(text_bodies=True)
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    shown: dict[str, list[str]] = collections.defaultdict(list)
    for value in values(options.part):
        what = worst(guard, value)
        counts[value.kind][what] += 1
        if what != "passed":
            shown[value.kind].append(f"    {what}: {value.text!r}")
    total = sum(counts.values(), collections.Counter[str]())
    print(f"lawful values, {options.part}: {total.total()}\n  {'':20} {'values':>6} {'refused':>8} {'scrubbed':>9}")
    for kind, count in [*counts.items(), ("all", total)]:
        print(f"  {kind:20} {count.total():6} {count['refused']:8} {count['scrubbed']:9}")
        if options.part == "develop":
            print(*shown[kind][: options.show], sep="\n", end="\n" if options.show and shown[kind] else "")
    print(f"touched: {1 - total['passed'] / total.total():.1%}")
    return missed(
        options, {"touched": 1 - total["passed"] / total.total(), "refused": total["refused"] / total.total()}
    )


if __name__ == "__main__":
    sys.exit(main())
