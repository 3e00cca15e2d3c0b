"""Whatever a client makes its identifiers of, by chance they look like no attack."""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from evaluate import engine

from sipsieve.decision.engine import Engine
from sipsieve.model import Decision, Source, Verdict

GUARD: Final[Engine] = engine()
SOURCE: Final = Source("192.0.2.4", 5060, "udp", "192.0.2.4")
BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class NoCounters:
    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *_, **__: 0


def decide(call_id: str, tag: str, branch: str) -> Decision:
    raw = (
        f"OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK{branch};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag={tag}\r\nTo: <sip:bob@example.com>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    return GUARD.decide(raw.encode(), SOURCE, 0.0, NoCounters())  # type: ignore[arg-type]


MAKERS: Final[dict[str, Callable[[random.Random], str]]] = {
    "hexadecimal": lambda r: f"{r.getrandbits(96):x}",
    "pointers": lambda r: f"0x{r.getrandbits(r.choice((32, 36, 47))):x}",
    "pointers at hosts": lambda r: f"{r.getrandbits(31)}-0x{r.getrandbits(40):x}@192.0.2.{r.randrange(256)}",
    "numbers and x": lambda r: f"{r.randrange(1000)}x{r.randrange(100000)}x{r.getrandbits(32):x}",
    "capitals": lambda r: f"{r.randrange(1000)}X{r.getrandbits(20):X}X{r.getrandbits(32):X}",
    "uuid": lambda r: str(uuid.UUID(int=r.getrandbits(128))),
    "base64": lambda r: "".join(r.choice(BASE64 + "+/") for _ in range(30)) + "==",
    "base64 for URLs": lambda r: "".join(r.choice(BASE64 + "-_") for _ in range(32)),
    "dots and dashes": lambda r: "".join(r.choice(BASE64 + "...---___~~") for _ in range(20)),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_identifiers_pass(maker: str) -> None:
    chance = random.Random(maker)
    make = MAKERS[maker]
    refused = []
    for _ in range(4000):
        names = (
            make(chance),
            make(chance).replace("=", "").replace("/", "-").replace("@", "-"),
            f"{chance.getrandbits(64):x}",
        )
        decision = decide(*names)
        if decision.verdict is not Verdict.ALLOW:
            refused.append((names, [(finding.rule, finding.field) for finding in decision.findings]))
    assert not refused, refused[:5]


@pytest.mark.parametrize("name", ["1x9040x5c0e565", "0x5c0e5650", "a0x5c0", "0x5c00f3a4@host", "12-0x2e0f5a7c1b"])
def test_those_that_were_refused_once(name: str) -> None:
    assert decide(name, name.replace("@", "-"), name.replace("@", "-")).verdict is Verdict.ALLOW
