"""Times the worst messages that an attacker can build, for each rule and transform, and shows that cost grows no
faster than size."""

from __future__ import annotations

import argparse
import functools
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "kemi"))

from sipsieve import _core  # noqa: E402
from sipsieve.config import policy  # noqa: E402
from sipsieve.decision.engine import Engine  # noqa: E402
from sipsieve.decision.explain import NoCounters  # noqa: E402
from sipsieve.decision_log.record import Recorder  # noqa: E402
from sipsieve.detection import ruleset  # noqa: E402
from sipsieve.model import Source  # noqa: E402

SOURCE: Final = Source("192.0.2.4", 5060, "udp", "192.0.2.4")
HEAD: Final = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: x@y\r\nCSeq: 1 INVITE\r\n"
)
TAIL: Final = b"\r\nContent-Length: 0\r\n\r\n"
AFTER: Final = HEAD[HEAD.index(b"\n") + 1 : -2] + TAIL

#: Pieces that are repeated to fill a message; each hurts another part of the work.
PIECES: Final = {
    "escapes": b"%41", "double escapes": b"%2541", "entities": b"&#65;", "hex bytes": b"0x2e", "backslashes": b"\\x41",
    "quoted pairs": b'\\"', "comments": b"/**/", "open comments": b"/*", "quotes": b"'", "shell quotes": b"a'b'",
    "empty quotes": b"''", "commas": b",", "semicolons": b";a", "angles": b"<", "full width": "ａ".encode(),
    "overlong": b"\xc0\xaf", "accents": "á".encode(), "spaces": b" ", "tabs": b"\t", "zeros": b"0", "tabs and words": b"\ta", "plain": b"a",
    "or": b"or ", "select": b"select ", "digits": b"1 ", "parens": b"((", "dots": b"../", "unions": b"union ",
    "ors": b"' or 1", "on": b" onx", "base64": b"YWFh", "braces": b"${", "pipes": b"|", "semicolon words": b"; a ",
    "percents": b"%", "percent s": b"%s", "control": b"\x01", "dashes": b"--", "equals": b"=a", "hash": b"#",
    "amps": b"& cat ", "ats": b"@", "colons": b":", "selects": b"select a,", "calls": b"char(", "xml": b"<a ",
    "ligatures": "ﷺ".encode(), "squared words": "㌖".encode(), "accents apart": "á".encode(), "tags": "\U000e0041".encode(),
    "hits in turn": b"${jndi:ldap://192.0.2.1/a} %0d%0aSet-Cookie: x !!python/object:os.system \\x41system('id') <?xml version='1.0'?> ",
    "redirections": b">' ", "lists": b";' ", "asides": b"&' ",
    "hits of sheets": b"0x2e0x2e/0x2e0x2e/etc +SUMME(A1;B2) (SELECT @@version) `reboot` ",
}  # fmt: skip

#: Header fields read of one message, and how many times more bytes are matched than are decoded.
MAX_HEADERS: Final = 128
MATCHED: Final = 3.5

#: Header fields of `HEAD` and `TAIL`; with these a message has as many as are read.
FIELDS: Final = MAX_HEADERS - 8


def fields(text: bytes, length: int) -> bytes:
    """As many header fields as are read, each with `length` bytes of `text`; `x` is Session-Expires, with parameters."""
    return b"\r\n".join(b"X: " + text[i : i + length] for i in range(0, min(len(text), FIELDS * length), length))


def instead(name: bytes) -> Callable[[bytes], bytes]:
    """The value of a header field that every message has, or of one more."""
    line = re.compile(rb"\r\n" + name + rb": [^\r]*")
    value = b"\r\n" + name + b": "
    if line.search(HEAD) is None:
        return lambda t: HEAD + name + b": " + t + TAIL
    return lambda t: line.sub(lambda _: value + t, HEAD) + TAIL


def body(head: bytes, text: bytes) -> bytes:
    """A message with a body."""
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(text) + text


#: Where the pieces stand.
PLACES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "user-agent": lambda t: HEAD + b"User-Agent: base64 " + t + TAIL,
    "contact": lambda t: HEAD + b"Contact: " + t + TAIL,
    "display": lambda t: HEAD + b'Contact: "' + t + b'" <sip:a@b>' + TAIL,
    "user": lambda t: HEAD + b"Contact: <sip:" + t + b"@b>" + TAIL,
    "via": lambda t: HEAD + b"Via: SIP/2.0/UDP h;a=" + t + TAIL,
    "headers": lambda t: HEAD + b"\r\n".join(b"X: " + t[i : i + 40] for i in range(0, len(t), 40)) + TAIL,
    "folded": lambda t: HEAD + b"X: " + b"\r\n ".join(t[i : i + 8] for i in range(0, len(t), 8)) + TAIL,
    "digest": lambda t: HEAD + b"Authorization: Digest " + t + TAIL,
    "long fields": lambda t: HEAD + fields(t, max(1, len(t) // FIELDS)) + TAIL,
    "short fields": lambda t: body(HEAD + fields(t, 60), t[60 * FIELDS :]),
    "shortest fields": lambda t: body(HEAD + fields(t, 20), t[20 * FIELDS :]),
    "first line": lambda t: b"INVITE " + t + b" SIP/2.0\r\n" + AFTER,
    "odd first line": lambda t: b"INVITE" + t + b"x\r\n" + AFTER,
    "request uri": lambda t: b"INVITE sip:" + t + b"@example.com SIP/2.0\r\n" + AFTER,
    "phrase": lambda t: b"SIP/2.0 200 " + t + b"\r\n" + AFTER,
    "status": lambda t: b"SIP/2.0" + t + b"2\r\n" + AFTER,
    "one fold": lambda t: HEAD + b"X: a" + t + b"b\r\n c" + TAIL,
    "header name": lambda t: HEAD + b"X" + t + b"y: z" + TAIL,
    "no colon": lambda t: HEAD + b"X" + t.replace(b":", b"") + b"y" + TAIL,
    "from user": lambda t: HEAD.replace(b"sip:a@", b"sip:" + t + b"@") + TAIL,
    "open angle": lambda t: HEAD + b"Contact: <sip:" + t + TAIL,
    "open quote": lambda t: HEAD + b'Contact: "' + t + TAIL,
    "to tag": lambda t: HEAD.replace(b"example.com>\r\nCall", b"example.com>;" + t + b"\r\nCall") + TAIL,
    "content type": lambda t: HEAD + b"Content-Type: multipart/mixed;" + t + TAIL,
    "warning": lambda t: HEAD + b'Warning: 399 h "' + t + TAIL,
    "unended": lambda t: HEAD + b"X: " + t,
    "trailing": lambda t: b"\r\n" + HEAD + TAIL + t,
    **{
        name.decode().lower(): instead(name)
        for name in (
            b"Via",
            b"From",
            b"To",
            b"Call-ID",
            b"CSeq",
            b"Max-Forwards",
            b"Content-Length",
            b"Route",
            b"Reason",
            b"Event",
            b"Date",
            b"Accept",
            b"Replaces",
            b"Subject",
            b"P-Asserted-Identity",
            b"Subscription-State",
            b"Proxy-Authorization",
            b"Alert-Info",
            b"Identity",
            b"RAck",
            b"User-to-User",
            b"X-Any",
        )
    },
    "sdp": lambda t: body(
        HEAD + b"Content-Type: application/sdp", b"\r\n".join(b"o=" + t[i : i + 24] for i in range(0, len(t), 28))
    ),
    "sdp line": lambda t: body(HEAD + b"Content-Type: application/sdp", b"v=0\r\ns=" + t),
    "many lines": lambda t: body(
        HEAD + b"Content-Type: multipart/mixed", b"\n".join(t[i : i + 2] for i in range(0, len(t), 3))
    ),
}


#: Sizes of messages: the largest is not always the dearest, since less of it is held against the rules.
SIZES: Final = (1_000, 4_000, 16_000, 32_000, 65_000)

#: How often what is above the limit is timed at the most.
ROUNDS: Final = 8


def best(call: Callable[[], object], rounds: int = 3, before: Callable[[], object] | None = None) -> float:
    """The shortest of some runs, in microseconds of CPU time; what comes `before` each does not count."""
    shortest = float("inf")
    for _ in range(rounds):
        if before is not None:
            before()
        begun = time.process_time_ns()
        call()
        shortest = min(shortest, time.process_time_ns() - begun)
    return shortest / 1000


def message(place: str, piece: bytes, size: int) -> bytes:
    """A message of about `size` bytes."""
    return PLACES[place](piece * ((size - len(HEAD) - 160) // len(piece)))[:size]


def transforms() -> dict[str, Callable[[bytes], bytes]]:
    """What the forms of a value are made of, by name."""
    return {name: functools.partial(_core.transform, name) for name in _core.transforms()}


def pieces_of_rules(rules: ruleset.Ruleset) -> dict[str, bytes]:
    """What each rule is for, over and over: its first hit that stands in one line."""
    pieces = {}
    for rule in rules.rules:
        texts = [hit.encode() + b" " for hit in rule.hits if "\n" not in hit and "\r" not in hit and '"' not in hit]
        if texts:
            pieces[rule.id] = texts[0]
    return pieces


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=1000.0, help="µs that the worst 64 KiB may cost")
    parser.add_argument("--top", type=int, default=12, help="how many of each to show")
    options = parser.parse_args()
    rules = ruleset.load()
    guard = Engine(policy.loads("[limits]\nenabled = false\n"), rules)

    def cost_of(raw: bytes, times: int = 3) -> float:
        # An attacker's message is never one whose like is known.
        return best(lambda: guard.decide(raw, SOURCE, 0.0, NoCounters()), times)

    rows = []
    places = {(place, name): piece for place in PLACES for name, piece in PIECES.items()}
    for name, piece in pieces_of_rules(rules).items():
        places |= {(place, name): piece for place in ("user-agent", "from user", "headers", "short fields", "sdp")}
    for (place, name), piece in places.items():
        rows.append((max(cost_of(message(place, piece, size)) for size in SIZES), place, name, piece))
    rows.sort(reverse=True, key=lambda row: row[0])
    # What came out slow is timed again: once cold is no measure, nor is a moment in which something else had the caches.
    for rounds in range(ROUNDS):
        for number, (cost, place, name, piece) in enumerate(rows[: 3 * options.top]):
            if rounds and cost <= options.limit:
                break
            again = max(cost_of(message(place, piece, size), 15) for size in SIZES)
            rows[number] = (again if not rounds else min(again, cost), place, name, piece)
        rows.sort(reverse=True, key=lambda row: row[0])
    print("whole messages, µs of CPU, the worst of five sizes (1, 4, 16, 32, 64 KiB)")
    for cost, place, name, piece in rows[: options.top]:
        growth = "".join(f"{cost_of(message(place, piece, size)):10.0f}" for size in SIZES)
        print(f"  {cost:9.0f}  {place:11} {name:16}{growth}")
    worst = rows[0][0]
    recorder = Recorder(rules.version, "", "enforce")
    records = []
    for (place, name), piece in places.items():
        raw = message(place, piece, 65000)
        decision = guard.decide(raw, SOURCE, 0.0, NoCounters())
        records.append((best(lambda: recorder.decision(decision, raw, SOURCE, 0.0, "")), place, name))  # noqa: B023
    print("and the record of one, at most {:.0f} µs ({}, {})".format(*max(records)))
    # No message has more decoded or matched of it: that is what keeps the whole under the limit.
    decoded = policy.loads("").detection.max_decoded_bytes
    matched = int(decoded * MATCHED)
    print(
        f"transforms on {decoded} bytes and patterns on {matched}, the most that they get; worst in µs (and on 64 KiB)"
    )
    whole = [(name, (piece * 65536)[:65536]) for name, piece in PIECES.items()]
    lines = []
    for label, transform in transforms().items():
        slowest = max(best(lambda: transform(t), 2) for _, t in whole)  # noqa: B023
        lines.append((*max((best(lambda: transform(t[:decoded])), n) for n, t in whole), label, slowest))  # noqa: B023
    scans = {rule.id: _core.Ruleset([rule.spec], []).match for rule in rules.rules}
    scans["all rules"] = rules.match
    for label, scan in scans.items():
        slowest = max(best(lambda: scan(t), 2) for _, t in whole)  # noqa: B023
        lines.append((*max((best(lambda: scan(t[:matched])), n) for n, t in whole), label, slowest))  # noqa: B023
    for cost, name, label, slowest in sorted(lines, reverse=True)[: options.top]:
        print(f"  {cost:9.0f}  {label:24} {name:16} {slowest:9.0f}")
    print(f"worst message: {worst:.0f} µs of {options.limit:.0f}")
    return 0 if worst <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
