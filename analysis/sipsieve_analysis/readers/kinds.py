"""Tells what an input file is and opens it, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from . import asterisk, envelopes, fail2ban, freeswitch, homer

#: Bytes looked at to tell a file's kind: a few lines of any of the logs.
_PEEK: Final = 16384

_PCAP: Final = (
    b"HEP3",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
)


#: What can be read, for whoever brings something else.
FORMATS: Final = (
    "decision logs (JSON Lines); Kamailio's and OpenSIPS's log by syslog (RFC 3164, RFC 5424), journald (any -o), Docker, "
    "Kubernetes, standard error; captures (pcap, pcapng, HEP3); logs of Asterisk (messages, full, security), FreeSWITCH, "
    "fail2ban; Suricata's eve.json, Zeek's sip.log (TSV, JSON); exports of HOMER (JSON, text); each plain or compressed "
    "(gzip, bzip2, xz, zstd)"
)


class InputError(Exception):
    """An input that can't be read: names the file, what is wrong, and what to do."""


class InputKind(StrEnum):
    """What a file holds."""

    DECISIONS = "decision log"
    RAW = "raw Kamailio log"
    PCAP = "packet capture"
    ASTERISK = "Asterisk log"
    FREESWITCH = "FreeSWITCH log"
    FAIL2BAN = "fail2ban log"
    SURICATA = "Suricata EVE log"
    ZEEK = "Zeek sip.log"
    HOMER = "HOMER export"
    EMPTY = "empty file"


def compression(path: Path) -> str:
    """`gzip`, `bzip2`, `xz`, `zstd` or "" by the file's first bytes. Raises `InputError`."""
    try:
        with path.open("rb") as file:
            magic = file.read(6)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if magic.startswith(b"\x1f\x8b"):
        return "gzip"
    if magic.startswith(b"BZh"):
        return "bzip2"
    if magic.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    return "zstd" if magic.startswith(b"\x28\xb5\x2f\xfd") else ""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed. A damaged archive ends where the damage begins."""
    how = compression(path)
    stream: IO[bytes]
    if how == "gzip":
        stream = gzip.open(path, "rb")  # type: ignore[assignment]
    elif how == "bzip2":
        stream = bz2.open(path, "rb")
    elif how == "xz":
        stream = lzma.open(path, "rb")
    elif how == "zstd":
        stream = _zstd(path)
    else:
        stream = path.open("rb")
    with stream:
        yield stream


def _zstd(path: Path) -> IO[bytes]:
    try:
        done = subprocess.run(["zstd", "-dcq", "--", str(path)], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: is zstd-compressed and `zstd` is not installed: apt-get install zstd") from error
    return io.BytesIO(done.stdout)


#: What a compressed file is that ends before its end, or is damaged.
DAMAGED: Final = "compressed files that are cut or damaged: what comes before the damage was read"


def read(stream: IO[bytes], skipped: Counter[str], size: int = 1 << 20) -> Iterator[bytes]:
    """The stream's bytes in pieces. Where an archive is cut or damaged they end; it is counted in `skipped`."""
    while True:
        try:
            piece = stream.read(size)
        except (OSError, EOFError, lzma.LZMAError, zlib.error):
            # What an archive's reader has in hand when it fails is lost with the error: smaller pieces get at it.
            skipped[DAMAGED] += 1
            return
        if not piece:
            return
        yield piece


def lines(stream: IO[bytes], limit: int = 1 << 20, skipped: Counter[str] | None = None) -> Iterator[bytes]:
    """The stream's lines, their ends kept. A line over `limit` bytes is cut; what was cut is skipped."""
    while True:
        try:
            line = stream.readline(limit)
        except (OSError, EOFError, lzma.LZMAError, zlib.error):
            # A damaged or truncated archive: what could be read is what there is.
            if skipped is not None:
                skipped[DAMAGED] += 1
            return
        if not line:
            return
        yield line
        while len(line) == limit and not line.endswith(b"\n"):
            line = stream.readline(limit)


def head_of(path: Path) -> bytes:
    """The file's first bytes, decompressed. Raises `InputError`."""
    with opened(path) as stream:
        try:
            return stream.read(_PEEK)
        except (OSError, EOFError, lzma.LZMAError, zlib.error):
            pass
    # A short archive that is cut: what is before the cut.
    with opened(path) as stream:
        head = b""
        try:
            while (byte := stream.read(1)) and len(head) < _PEEK:
                head += byte
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            if not head:
                raise InputError(f"{path}: cannot be decompressed: {error}") from error
        return head


def kind_of(path: Path) -> InputKind:
    """What the file holds, told by its content, never by its name. Raises `InputError`."""
    head = head_of(path)
    if head[:4] in _PCAP:
        return InputKind.PCAP
    nothing = head.count(0)
    # Without a mark, every other byte of Latin text in UTF-16 is none.
    marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    halves = sorted((head[::2].count(0), head[1::2].count(0)))
    if marked or (len(head) > 16 and halves[1] * 4 > len(head) > halves[0] * 40):
        raise InputError(
            f"{path}: is UTF-16; make it UTF-8 first: iconv -f UTF-16 -t UTF-8 {path.name} > {path.stem}-utf8.log"
        )
    if nothing * 20 > len(head):
        raise InputError(f"{path}: is binary, and no capture.\nFormats known: {FORMATS}")
    stripped = [line for line in head.split(b"\n") if line.strip()]
    if not stripped:
        return InputKind.EMPTY
    # One damaged line at the start must not turn a decision log into something else.
    decisions = sum(line.startswith(b"{") and b'"@timestamp"' in line and b'"event"' in line for line in stripped)
    if decisions * 2 >= len(stripped) or decisions >= 2:
        return InputKind.DECISIONS
    return _other(stripped) or InputKind.RAW


#: What a line of each other format begins with or holds.
_FORMS: Final = (
    (InputKind.ASTERISK, asterisk.LINE),
    (InputKind.FREESWITCH, freeswitch.LINE),
    (InputKind.FAIL2BAN, fail2ban.LINE),
    (InputKind.HOMER, homer.TEXT),
    (
        InputKind.SURICATA,
        re.compile(rb'\{(?=.{0,4096}?"event_type" ?: ?"[a-z0-9_]{1,20}").{0,4096}?"(?:flow_id|src_ip)"'),
    ),
    (
        InputKind.ZEEK,
        re.compile(
            rb'#path\tsip\r?\Z|\{(?=.{0,4096}?"id\.orig_h").{0,8192}?"(?:request_from|call_id|request_path|user_agent)"'
        ),
    ),
    (InputKind.HOMER, re.compile(rb'.{0,4096}?"(?:raw|msg|payload)" ?: ?"[^"]{0,400}?SIP/2\.0')),
)


def _other(lines: list[bytes]) -> InputKind | None:
    """The format of another program that most of these lines have; `None` where a Kamailio has written as many."""
    told = lines
    if envelopes.is_wrapped(lines[0]):
        told = [*lines, *envelopes.texts([b"\n".join(lines) + b"\n"])]
    counts: Counter[InputKind] = Counter()
    for line in told:
        if (kind := next((kind for kind, form in _FORMS if form.match(line[:16384])), None)) is not None:
            counts[kind] += 1
    if b'"raw"' in lines[0] + lines[-1] or lines[0].strip() in (b"{", b"["):
        head = b"".join(lines)
        if _RAW_MESSAGE.search(head):
            counts[InputKind.HOMER] += 1
    if not counts:
        return None
    kind, number = counts.most_common(1)[0]
    kamailio = sum(b"kamailio" in line or b"<core>" in line or b"<script>" in line for line in lines)
    return kind if number > kamailio else None


_RAW_MESSAGE: Final = re.compile(
    rb'"(?:raw|msg|payload)" ?: ?"[A-Z]{1,16} [^"]{1,400}?SIP/2\.0|"(?:raw|msg|payload)" ?: ?"SIP/2\.0'
)
