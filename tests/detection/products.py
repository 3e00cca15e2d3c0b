"""What 24 makes of clients and servers send by themselves: the forms of their header fields, with invented values."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAKES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("cases").joinpath("products.toml").read_text()
)
#: All methods that there are (RFC 3261 and its extensions).
METHODS = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
]


def message(make: str, method: str = "INVITE", more: Iterable[str] = (), body: tuple[str, str] | None = None) -> bytes:
    """A request of a make, with `more` header fields; `body` is its type and text, else a session description where one is due."""
    of = MAKES[make]
    if body is None and method in ("INVITE", "UPDATE"):
        lines = f"v=0|o={make} 1 1 IN IP4 192.0.2.1|s=-|c=IN IP4 192.0.2.1|t=0 0|m=audio 4000 RTP/AVP 8 101|a=rtpmap:8 PCMA/8000"
        body = ("application/sdp", "".join(f"{line}\r\n" for line in [*lines.split("|"), *of.get("sdp", [])]))
    if body is None and method == "MESSAGE" and "body" in of:
        body = tuple(of["body"])
    kind, text = body or ("", "")
    head = [
        f"{method} {of['uri']} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0a1b2c3d;rport",
        "Max-Forwards: 70",
        f"From: {of['from']}",
        f"To: {of['to']}",
        "Call-ID: 0a1b2c3d4e5f@192.0.2.1",
        f"CSeq: 1 {method}",
        f"Contact: {of['contact']}",
        *of["headers"],
        *more,
        *([f"Content-Type: {kind}"] if kind else []),
        f"Content-Length: {len(text.encode())}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + text).encode()
