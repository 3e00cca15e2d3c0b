"""Turns a scenario's message text into the bytes to send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: An SDP offer that any phone would send; {{source}} is filled in.
SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 {source}\r\ns=-\r\nc=IN IP4 {source}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
)

_PLACEHOLDER: Final = re.compile(rb"\{\{([^{}]{1,200})\}\}")

#: Bytes that {{repeat:TEXT:N}} may make: a datagram holds no more.
_MAX_REPEAT: Final = 65_507


class TemplateError(ValueError):
    """A message with a placeholder that means nothing."""


def render(template: bytes, values: Mapping[str, str]) -> bytes:
    """The message: LF becomes CRLF, then placeholders are filled in.

    `{{name}}` is a value; `{{hex:ff00}}` bytes; `{{repeat:A:500}}` text many times; `{{sdp}}` an
    offer; `{{length}}` the size of what follows the first empty line. Raises `TemplateError`.
    """
    text = template.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def fill(match: re.Match[bytes]) -> bytes:
        name = match[1].decode("utf-8")
        if name == "length":
            return match[0]
        if name == "sdp":
            return SDP.format(source=values.get("source", "127.0.0.1")).encode()
        kind, _, rest = name.partition(":")
        if kind == "hex" and rest:
            try:
                return bytes.fromhex(rest)
            except ValueError:
                raise TemplateError(f"{{{{{name}}}}}: not hexadecimal") from None
        if kind == "repeat" and rest:
            what, _, times = rest.rpartition(":")
            if not times.isdigit() or len(what) * int(times) > _MAX_REPEAT:
                raise TemplateError(f"{{{{{name}}}}}: write repeat:TEXT:TIMES, {_MAX_REPEAT} bytes at most")
            return what.encode() * int(times)
        if name not in values:
            raise TemplateError(
                f"{{{{{name}}}}}: no such placeholder; there are {', '.join(sorted(values))}, sdp, length, hex:, repeat:"
            )
        return values[name].encode("utf-8", "surrogateescape")

    filled = _PLACEHOLDER.sub(fill, text)
    head, blank, body = filled.partition(b"\r\n\r\n")
    return head.replace(b"{{length}}", b"%d" % len(body)) + blank + body
