"""Writes a world as the log of a plain Kamailio: an `xlog` line a request, and what its parser says of malformed ones.

There are no answers in it, no credentials and no fingerprints: what stands there is what `$rm`, `$si`, `$ru`, `$fu`, `$tu`
and `$ua` show.
"""

from __future__ import annotations

import time
from pathlib import Path

from sipsieve._core import parse

from .world import Sent, World


def write(world: World, path: Path) -> Path:
    """Writes the log; returns its path."""
    with path.open("wb", 1 << 20) as out:
        for number, sent in enumerate(sorted(world.messages, key=lambda sent: sent.time)):
            at = time.strftime("%b %d %H:%M:%S", time.gmtime(sent.time)).encode()
            for line in _said(sent):
                out.write(b"%s edge kamailio[%d]: %s\n" % (at, 4100 + number % 8, line))
    return path


def _said(sent: Sent) -> list[bytes]:
    kind, method, _, uri, _, _, headers, _, _ = parse(sent.raw)
    values: dict[str, bytes] = {}
    for name, _, value, *_ in headers:
        values.setdefault(name, value)
    sender, call_id = values.get("from", b""), values.get("call-id", b"")
    cseq = values.get("cseq", b"1").split(b" ")[0] or b"1"
    name = method.encode() if isinstance(method, str) else method
    prefix = b"{1 %s %s %s} " % (cseq, name, call_id)
    source = f"{sent.ip}:{sent.port}".encode()
    if kind not in ("request", 1) or (b"<" not in sender and not sender.startswith(b"sip:")):
        return [
            b"ERROR: %s<core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [%s]"
            % (prefix, _flat(sender)),
            b"ERROR: %s<core> [core/receive.c:386]: receive_msg(): core parsing of SIP message failed (%s/1)"
            % (prefix, source),
        ]
    shown = b'%s from %s ruri=%s fu=%s tu=%s ua="%s"' % (
        name, source, _flat(uri), _flat(_address(sender)), _flat(_address(values.get("to", b""))), _flat(values.get("user-agent", b"<null>")),
    )  # fmt: skip
    return [b"INFO: %s<script>: %s" % (prefix, shown)]


def _flat(value: bytes) -> bytes:
    return value.replace(b"\r", b"#015").replace(b"\n", b"#012").replace(b"\0", b"#000")


def _address(value: bytes) -> bytes:
    if b"<" in value:
        return value.partition(b"<")[2].partition(b">")[0]
    return value.partition(b";")[0]
