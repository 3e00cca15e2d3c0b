"""Compares what the engine looks at with what the host's script gets to see: the program behind `make detection-differential`.

Messages are mutated at random, attacks put into odd places of them. What the engine lets pass, as it is or scrubbed, goes to a
real Kamailio without the guard, whose script shows its variables. Each value, given to the engine as a text, must be clean:
a value that is not was shown to the script, and so to its database, without having been looked at as such. The record's
`sip.from` and `sip.to` must be what Kamailio shows as `$fu` and `$tu`.
"""

from __future__ import annotations

import argparse
import base64
import collections
import json
import os
import random
import socket
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "lab"), str(Path(__file__).parent)]

from disguise import PLAIN  # noqa: E402
from embed import FIELDS, MORE_FIELDS, message, quoted, userinfo  # noqa: E402
from evaluate import Engine, Verdict, decide, engine  # noqa: E402
from ordinary import ORDINARY_MESSAGES  # noqa: E402
from thresholds import Threshold, missed  # noqa: E402

from replayer.kamailio import Process, wait_for  # noqa: E402
from sipsieve import _core  # noqa: E402

#: The variables that hosts store and route by. `$ai` and `$re` are the URIs of P-Asserted-Identity and Remote-Party-ID.
VARIABLES: Final = ("fn", "fU", "fu", "tn", "tU", "tu", "rU", "ru", "ct", "ai", "re", "di", "ua", "ci")
_USERS: Final = ("fU", "tU", "rU")
_PORT: Final = 5060
_SENDERS: Final = 200
_SENTINEL: Final = b"sentinel"

_CONFIG: Final = """#!KAMAILIO
debug=-2
log_stderror=yes
fork=yes
children=1
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "xlog.so"
modparam("xlog", "buf_size", 262144)
modparam("xlog", "prefix", "")
request_route {{
	xlog("L_ALERT", "shown $sp {shown}\\n");
	exit;
}}
"""


class Shown(NamedTuple):
    """A value that the script was shown and the engine would not have let pass."""

    variable: str
    value: bytes
    rules: str
    sent: bytes


_DELIMITERS: Final = (b'"', b"'", b"<", b">", b";", b",", b":", b"@", b"=", b"?", b"&", b"\\", b" ", b"\t", b"\r\n ", b"(", b")", b"%", b"/", b"[", b"]", b"\n ", b"\\\"", b"%22", b"*", b"+", b"|", b"#", b"sip:", b"tel:", b"<sip:", b"\x00", b"\xff")  # fmt: skip
_NAMES: Final = (b"From", b"f", b"To", b"t", b"Contact", b"m", b"P-Asserted-Identity", b"Remote-Party-ID", b"Diversion", b"User-Agent", b"Call-ID", b"i", b"Subject", b"FROM", b"From ", b"To\t", b"Server", b"P-Preferred-Identity", b"Content-Length", b"l", b"Route", b"Via", b"v")  # fmt: skip


def mutated(rng: random.Random, attacks: list[bytes]) -> tuple[bytes, bytes]:
    """A request in which an attack stands somewhere, and that was changed in up to four places; and the attack."""
    raw = rng.choice(_BASES)
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    attack = rng.choice(attacks)
    form = rng.choice(
        (lambda t: t, userinfo, quoted, lambda t: t.replace(b" ", b"%20"), lambda t: t.replace(b" ", b"/**/"))
    )
    text = form(attack).replace(b"\r", b"").replace(b"\n", b"")
    # Cut in two by a delimiter, it is no part's whole any more; a value that the script is shown may hold both.
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        at = rng.randint(1, max(1, len(text) - 1))
        text = text[:at] + rng.choice(_DELIMITERS) + text[at:]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        place = rng.randrange(len(lines))
        line = lines[place]
        at = rng.randint(0, len(line))
        kind = rng.randrange(8)
        if kind < 3:
            lines[place] = line[:at] + rng.choice(_DELIMITERS) + line[at:]
        elif kind == 3 and at < len(line):
            lines[place] = line[:at] + line[at + 1 :]
        elif kind == 4 and b":" in line:
            lines.insert(rng.randint(1, len(lines)), rng.choice(_NAMES) + b":" + line.split(b":", 1)[1])
        elif kind == 5 and b":" in line:
            lines[place] = rng.choice(_NAMES) + b":" + line.split(b":", 1)[1]
        elif kind == 6:
            lines[place] = line[:at] + b"\r\n\t" + line[at:]
        else:
            other = rng.randrange(len(lines))
            lines[place], lines[other] = (lines[place], lines[other]) if 0 in (place, other) else (lines[other], line)
    # The attack, somewhere: beside a delimiter more often than inside a word.
    place = rng.choice([n for n, line in enumerate(lines) if line[:1] not in b" \t"])
    line = lines[place]
    ends = [n for n, byte in enumerate(line) if byte in b'"<>;,:@=? ()'] or [0]
    at = rng.choice(ends) + rng.randint(0, 1) if rng.random() < 0.8 else rng.randint(0, len(line))
    before = rng.choice((b"", b"", b"", rng.choice(_DELIMITERS)))
    after = rng.choice((b"", b"", b"", rng.choice(_DELIMITERS)))
    lines[place] = line[:at] + before + text + after + line[at:]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body, attack


def _holds(value: bytes, attack: bytes) -> bool:
    """Whether a value has a good part of an attack in it, and not only marks that any value of its grammar has."""
    pieces = {attack[at : at + 5] for at in range(max(1, len(attack) - 4))}
    plain = urllib.parse.unquote_to_bytes(value).replace(b"/**/", b" ")
    return any(piece in plain for piece in pieces)


def _bases() -> Iterator[bytes]:
    more = (
        b'P-Asserted-Identity: "Alice" <sip:alice@example.com>\r\nRemote-Party-ID: "Al" <sip:al@example.com>;party=calling\r\n'
        b"Diversion: <sip:carol@example.com>;reason=unconditional\r\n"
    )
    yield message(more=more)
    yield message(more=more, method=b"OPTIONS", body=b"")
    yield message(from_=b"Alice Smith <sip:alice@example.com>;tag=1", to=b"sip:bob@example.com", more=more)
    yield message(from_=b"sip:alice@example.com;tag=1", contact=b'"A" <sip:a@192.0.2.4>, <sip:b@192.0.2.4>', more=more)
    yield from (raw for raw in ORDINARY_MESSAGES if not raw.startswith((b"SIP/", b"ACK", b"CANCEL")))


_RECORDER: Final = _core.Recorder("", "", "enforce")
_BASES: Final = tuple(_bases())


class Script:
    """A Kamailio whose script shows its variables, and the sockets that send to it."""

    def __init__(self, folder: Path) -> None:
        shown = " ".join(f"$({name}{{s.encode.base64}})" for name in VARIABLES)
        config = folder / "kamailio.cfg"
        config.write_text(_CONFIG.format(port=_PORT, shown=shown))
        argv = ["kamailio", "-f", str(config), "-DD", "-E", "-w", str(folder), "-Y", str(folder), "-P", str(folder / "pid"), "-m", "64", "-M", "16"]  # fmt: skip
        self._process = Process(argv, folder, {}, _PORT, "kamailio")
        self._process.start()
        self._senders = []
        for _ in range(_SENDERS):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.connect(("127.0.0.1", _PORT))
            self._senders.append(sender)
        self._numbers = {sender.getsockname()[1]: number for number, sender in enumerate(self._senders)}
        self._output = self._process.output.open("rb")
        self._rest = b""

    def show(self, batch: list[bytes]) -> dict[int, dict[str, bytes]]:
        """The variables of each message of a batch by its place; none of those that Kamailio could not read."""
        if len(batch) >= _SENDERS:
            raise ValueError("more messages than sockets")
        for sender, raw in zip(self._senders, batch, strict=False):
            sender.send(raw)
        self._senders[-1].send(message(agent=_SENTINEL))
        found: dict[int, dict[str, bytes]] = {}
        sentinel = False

        def read() -> bool:
            nonlocal sentinel
            lines = (self._rest + self._output.read()).split(b"\n")
            self._rest = lines.pop()
            for line in lines:
                _, mark, rest = line.partition(b"shown ")
                if not mark:
                    continue
                port, *values = rest.split(b" ")
                number = self._numbers[int(port)]
                sentinel = sentinel or number == _SENDERS - 1
                found[number] = {
                    name: base64.b64decode(value)
                    for name, value in zip(VARIABLES, values, strict=True)
                    if value not in (b"<null>", b"PG51bGw+", b"")
                }
            return sentinel

        wait_for(lambda: read() or not self._process.alive(), "Kamailio has read the batch")
        if not self._process.alive():
            raise RuntimeError(f"Kamailio ended:\n{self._process.text()[-2000:]}")
        del found[_SENDERS - 1]
        return found

    def close(self) -> None:
        self._process.stop()
        for sender in self._senders:
            sender.close()
        self._output.close()


def suspicious(guard: Engine, variable: str, value: bytes) -> str:
    """The rules that a shown value sets off when it stands where it is read whole; empty if none."""
    value = value.replace(b"\r", b" ").replace(b"\n", b" ")
    # What follows the last URI of a Contact, and the parameters of `$di`, are values of a grammar, no prose.
    place = FIELDS["from.user"] if variable in _USERS else MORE_FIELDS["subject"]
    decision = decide(guard, place(value))
    if decision.verdict is Verdict.ALLOW:
        return ""
    return ",".join(sorted({finding.rule for finding in decision.findings if finding.score}))


def attacks(guard: Engine) -> list[bytes]:
    """The attacks that are found wherever they are read: in a text, and in a user."""
    return [
        text
        for text in PLAIN.values()
        if suspicious(guard, "ua", text) and suspicious(guard, "fU", userinfo(text)) and b"\n" not in text
    ]


class Differing(NamedTuple):
    """A record that says another address than the script is shown."""

    field: str
    recorded: str
    shown: str
    sent: bytes


class Comparison(NamedTuple):
    """What became of the messages, the values that were shown unseen, and the records that say otherwise."""

    counts: collections.Counter[str]
    unseen: list[Shown]
    differing: list[Differing]


def differing(raw: bytes, values: dict[str, bytes]) -> Iterator[Differing]:
    """Where the record of a message says another From or To than its script is shown."""
    record = json.loads(_RECORDER.decision(raw, 0.0, "192.0.2.4", 5060, "udp", "x", "reject"))["sip"]
    for field, variable in (("from", "fu"), ("to", "tu")):
        shown = _core.escaped(b" ".join(values.get(variable, b"").split()), 256)
        recorded = " ".join(
            record.get(field, {}).get("uri", {}).get("original", "").replace("\\r\\n", " ").replace("\\t", " ").split()
        )
        if shown and recorded != shown:
            yield Differing(field, recorded, shown, raw)


def compare(seed: int, count: int, folder: Path, progress: bool) -> Comparison:
    """Compares `count` messages."""
    guard = engine()
    rng = random.Random(seed)
    texts = attacks(guard)
    counts: collections.Counter[str] = collections.Counter()
    result = Comparison(counts, [], [])
    script = Script(folder)
    try:
        while counts["messages"] < count:
            batch: list[bytes] = []
            about: list[tuple[bytes, bool, bool]] = []  # the attack, whether it passed, whether it is as it was sent
            while len(batch) < _SENDERS - 2 and counts["messages"] < count:
                raw, attack = mutated(rng, texts)
                decision = decide(guard, raw)
                counts["messages"] += 1
                counts[decision.verdict] += 1
                batch.append(raw)
                about.append((attack, decision.verdict is Verdict.ALLOW, True))
                if decision.verdict is Verdict.SCRUB and decision.replacement:
                    batch.append(decision.replacement)
                    about.append((attack, True, False))
            for number, values in script.show(batch).items():
                attack, passed, as_sent = about[number]
                counts["shown"] += 1
                if as_sent:
                    result.differing.extend(differing(batch[number], values))
                if not passed:
                    continue
                counts["passed and shown"] += 1
                for name, value in values.items():
                    if _holds(value, attack) and (rules := suspicious(guard, name, value)):
                        result.unseen.append(Shown(name, value, rules, batch[number]))
            if progress:
                print(f"\r{counts['messages']} messages", end="", file=sys.stderr, flush=True)
    finally:
        script.close()
        if progress:
            print(file=sys.stderr)
    return result


def in_namespace() -> None:
    """Begins this program anew where there is no network but a loopback."""
    if os.environ.get("SIPSIEVE_LOOPBACK_ONLY"):
        return
    kind = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    command = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv]
    os.execvpe("unshare", [*kind, *command], {**os.environ, "SIPSIEVE_LOOPBACK_ONLY": "1"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same messages")
    parser.add_argument("--count", type=int, default=100_000, help="messages")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="N examples for each variable")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    Threshold.add_arguments(parser)
    options = parser.parse_args()
    in_namespace()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sipsieve-differential-") as folder:
        progress = not options.json and sys.stderr.isatty()
        counts, wrong, records = compare(options.seed, options.count, Path(folder), progress)
    by_variable = collections.Counter(shown.variable for shown in wrong)
    found = {
        "unseen": len({shown.sent for shown in wrong}) / max(1, counts["passed and shown"]),
        "record.differs": len({record.sent for record in records}) / max(1, counts["shown"]),
    }
    if options.json:
        print(
            json.dumps({"seed": options.seed, "figures": found, "counts": counts, "variables": by_variable}, indent=1)
        )
        return missed(options, found)
    print(" ".join(f"{name}={number}" for name, number in counts.items()))
    print(f"values that the script was shown and the engine would not pass: {len(wrong)}")
    for name, number in by_variable.most_common():
        print(f"  ${name}: {number}")
        for shown in [shown for shown in wrong if shown.variable == name][: options.show]:
            print(f"    {shown.rules}: {shown.value[:200]!r}\n      of {shown.sent[:1000]!r}")
    print(f"records that name another address than the script is shown: {len(records)}")
    for record in records[: options.show]:
        print(
            f"  sip.{record.field} is {record.recorded!r}, shown is {record.shown!r}\n      of {record.sent[:1000]!r}"
        )
    print(f"{time.monotonic() - started:.1f} s")
    return missed(options, found)


if __name__ == "__main__":
    sys.exit(main())
