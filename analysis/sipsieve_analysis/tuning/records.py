"""Makes of decision records what the core can judge anew: the whole message where it was kept, else one that stands for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct, field

from sipsieve.detection.ruleset import Ruleset
from sipsieve.detection.structure import CHECKS
from sipsieve.model import STRUCTURE

from ..operate.forms import CSeq, Party, Uri, decode
from ..operate.recorded import as_kept
from .clock import Clock

if TYPE_CHECKING:
    # The name of a shape, which the compiled module itself does not have.
    from sipsieve._core import TrialRecord

#: Bits of what is told of a message; see `_core.TrialRecord`.
_WHOLE, _REFUSED, _COUNTED, _NOT_COUNTED, _IN_DIALOG, _NO_DIALOG, _PAST = 1, 2, 4, 8, 16, 32, 64

#: The classes of requests, one of which counts each that is no copy.
_CLASSES: Final = ("invite", "register", "other", "dialog")

#: Seconds that any clock may show.
_LATEST: Final = 1 << 40

#: Requests remembered until their answers come, and sources that were seen counted.
_MOST: Final = 200_000

#: Seconds beyond a recorded ban's end in which the table may still hold it.
_SLACK: Final = 1.0

#: Findings written of one message at most.
_MOST_FINDINGS: Final = 8

_UNSAFE: Final = re.compile(r"[\x00-\x20<>\x7f]")
_ESCAPE: Final = re.compile(r"\\x([89a-f][0-9a-f])")
#: Digest secrets are no part of a record: each nonce is taken for the one that its source was challenged with.
_NONCE: Final = re.compile(r"\bnonce\s*=\s*\.\.\.", re.IGNORECASE)
_STRUCTURE: Final = frozenset(CHECKS)


class _Source(Struct, frozen=True, gc=False):
    ip: str = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0


class _Network(Struct, frozen=True, gc=False):
    transport: str = "udp"


class _Event(Struct, frozen=True, gc=False):
    kind: str = ""
    action: str = ""
    outcome: str = ""
    id: str = ""
    count: Annotated[int, Meta(ge=0)] = 0
    #: Of a notice: seconds of the guard's steady clock.
    steady: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    #: Of a start: the server's own addresses.
    own: tuple[str, ...] = ()


class _Policy(Struct, frozen=True, gc=False):
    version: str = ""
    mode: str = "enforce"


class _Ban(Struct, frozen=True, gc=False):
    source: str = ""
    seconds: int = 0


class _Found(Struct, frozen=True, gc=False):
    rule: str = ""
    family: str = ""
    score: Annotated[int, Meta(ge=0, le=255)] = 0
    field: str = ""
    excerpt: str | None = None


class _Sip(Struct, frozen=True, gc=False):
    type: str = ""
    method: str = ""
    code: int = 0
    uri: Uri = Uri()
    call_id: str = ""
    cseq: CSeq = CSeq()
    from_: Party = field(default=Party(), name="from")
    to: Party = Party()


class _Ours(Struct, frozen=True, gc=False):
    #: Of a recording to be replayed: seconds of the guard's steady clock.
    steady: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    malformed: bool = False
    bytes: int = 0
    field: str = ""
    excerpt: str = ""
    authorization: bool = False
    raw: str | None = None
    #: Of a recording to be replayed: whether `raw` is judged as the message was.
    kept: str = ""


class Record(Struct):
    """One line of the decision log, as far as it is needed here."""

    time: datetime = field(name="@timestamp")
    event: _Event
    source: _Source | str = _Source()
    network: _Network | str = _Network()
    policy: _Policy = _Policy()
    counters: dict[str, int] = {}
    ban: _Ban | None = None
    sip: _Sip = _Sip()
    sipsieve: _Ours = _Ours()
    findings: list[_Found] = []


_DECODER: Final = msgspec.json.Decoder(Record)


class Known(NamedTuple):
    """What stays the same of a recorded message whoever judges it."""

    time: float
    ip: str
    id: str
    #: allow, scrub, reject or drop, where it was carried out or would have been in observe mode.
    action: str
    rules: tuple[str, ...]
    field: str
    #: Seconds of the ban that it led to, 0 for none.
    banned: int
    #: Of a REGISTER on record: its address-of-record (RFC 3261 10.2), its Call-ID, and whether it offers credentials.
    account: str = ""
    call_id: str = ""
    credentials: bool = False
    #: Of an INVITE: its Request-URI.
    uri: str = ""


class Reader:
    """Reads lines of decision logs, in their order. What they can't tell is counted in `thin`."""

    def __init__(self, ruleset: Ruleset, paranoia: int) -> None:
        """`ruleset` and `paranoia`: of the policy that is tried, which says whose findings count."""
        self.clock = Clock()
        self.thin: Counter[str] = Counter()
        self.bad = 0
        #: The server's own addresses, as far as a start is on record.
        self.own: tuple[str, ...] = ()
        self.versions: Counter[str] = Counter()
        self._rules = {rule.id: rule.paranoia <= paranoia for rule in ruleset.rules}
        self._exceptions = [(entry.rule, entry.field) for entry in ruleset.exceptions]
        self._exempt: dict[tuple[str, str], bool] = {}
        self._asked: dict[tuple[str, int, str], tuple[str, int]] = {}
        self._counted: set[str] = set()
        self._bans: dict[str, float] = {}

    def read(self, lines: Sequence[bytes]) -> list[tuple[Known, TrialRecord]]:
        """The messages among these lines, and what the core is told of them."""
        records: list[Record] = []
        for line in lines:
            try:
                records.append(decode(line, _DECODER, Record))
            except (msgspec.MsgspecError, ValueError, RecursionError):
                self.bad += 1
        if self.clock.offset is None and not any(_steady(record) is not None for record in records):
            self.clock.find(_counts(records))
        found: list[tuple[Known, TrialRecord]] = []
        for record in records:
            kind = record.event.kind
            if kind == "event":
                if record.event.action == "error":
                    self.thin["errors"] += 1
                elif record.sip.method == "HTTP":
                    self.thin["http"] += 1
                else:
                    found.append(self._message(record))
            elif kind == "metric":
                self._count(record)
            elif record.event.steady is not None:
                self.clock.tell(record.time.timestamp(), record.event.steady)
                self.own = record.event.own or self.own
        return found

    def _count(self, record: Record) -> None:
        name = {"banned": "banned", "off": "off", "allow": "counted"}.get(record.event.action, "folded")
        self.thin[name] += record.event.count

    def _message(self, record: Record) -> tuple[Known, TrialRecord]:
        ours, sip, source, time = record.sipsieve, record.sip, _source(record), record.time.timestamp()
        transport = record.network.transport if isinstance(record.network, _Network) else "udp"
        limit = next((name for name in _CLASSES if name in record.counters), "")
        whose = (source.ip, transport, limit) if limit else None
        if ours.steady is None:
            now = self.clock.seconds(time, whose, record.counters.get(limit, 0))
        else:
            now = self.clock.exact(time, ours.steady)
        bits = self._told(record, limit, transport, time)
        kept = ours.raw is not None and ours.kept
        if ours.raw is not None and (kept == "exact" or (not kept and not ours.raw.endswith("…"))):
            raw, bits = as_kept(ours.raw) if kept else as_sent(ours.raw), bits | _WHOLE
        elif ours.raw is not None and kept == "changed":
            self.thin["changed message"] += 1
            raw = as_kept(ours.raw)
        else:
            self.thin["cut message" if kept else "no message"] += 1
            raw = self._stand_in(record, bool(bits & _IN_DIALOG))
        # Of a whole message it is found anew.
        findings = [] if bits & _WHOLE else self._findings(record)
        self.versions[record.policy.version] += 1
        registers = sip.method == "REGISTER" and sip.type == "request"
        as_if = record.event.outcome != "unknown" or record.policy.mode == "observe"
        known = Known(
            time,
            source.ip,
            record.event.id,
            record.event.action if as_if else "allow",
            tuple(entry.rule for entry in record.findings),
            ours.field,
            0 if record.ban is None else record.ban.seconds,
            sip.to.uri.original if registers else "",
            sip.call_id if registers else "",
            ours.authorization,
            sip.uri.original if sip.method == "INVITE" and sip.type == "request" else "",
        )
        seconds = (min(max(now, 0), _LATEST), min(max(int(time), 0), _LATEST))
        return known, (*seconds, source.ip, source.port, transport, raw, bits, findings)

    def _told(self, record: Record, limit: str, transport: str, time: float) -> int:
        bits = 0
        if limit:
            bits = _COUNTED | (_IN_DIALOG if limit == "dialog" else _NO_DIALOG)
            if len(self._counted) > _MOST:
                self._counted.clear()
            self._counted.add(_source(record).ip)
        elif record.sip.type == "request" and record.sip.method != "CANCEL" and _source(record).ip in self._counted:
            bits = _NOT_COUNTED
        if any(entry.rule == "parse-error" for entry in record.findings):
            bits |= _REFUSED
        # Under another worker's hand when its source was banned: the ban that was recorded explains it.
        key = _source(record).ip
        if (until := self._bans.get(key)) is not None:
            if time < until + _SLACK:
                bits |= _PAST
            else:
                del self._bans[key]
        if record.ban is not None:
            if len(self._bans) > _MOST:
                self._bans.clear()
            self._bans[record.ban.source] = time + record.ban.seconds
        return bits

    def _findings(self, record: Record) -> list[tuple[str, str, int, str, bytes, bool]]:
        if not record.findings:
            return []
        if len(record.findings) >= _MOST_FINDINGS:
            self.thin["many findings"] += 1
        scrubbed = record.event.action == "scrub"
        found = []
        for entry in record.findings:
            if entry.family in ("limits", "content_length_zero", "destinations", "accounts") or self._is_exempt(
                entry.rule, entry.field
            ):
                continue
            excerpt = record.sipsieve.excerpt if entry.excerpt is None else entry.excerpt
            shown = record.sip.type == "request" and (entry.field.endswith(".display_name") or "." not in entry.field)
            removable = entry.family != STRUCTURE and (scrubbed or shown)
            found.append((entry.rule, entry.family, entry.score, entry.field, excerpt.encode(), removable))
        return found

    def _is_exempt(self, rule: str, field_: str) -> bool:
        known = self._exempt.get((rule, field_))
        if known is None:
            counts = self._rules.get(rule, rule in _STRUCTURE)
            known = not counts or any(
                fnmatchcase(rule, pattern) and (not place or fnmatchcase(field_, place))
                for pattern, place in self._exceptions
            )
            if len(self._exempt) > _MOST:
                self._exempt.clear()
            self._exempt[(rule, field_)] = known
        return known

    def _stand_in(self, record: Record, in_dialog: bool) -> bytes:
        """A message that the core reads as it read the recorded one: same class, dialog, transaction, target, credentials."""
        sip, size = record.sip, record.sipsieve.bytes
        method, call_id = _safe(sip.method) or "X", _safe(sip.call_id)
        transaction = (sip.call_id, sip.cseq.code, sip.method)
        if record.sipsieve.malformed:
            return f"{call_id} {size}".encode()
        common = f"Call-ID: {call_id}\r\nCSeq: {sip.cseq.code} {method}\r\n"
        if sip.type == "response":
            asked = self._asked.get(transaction)
            via = ""
            if asked is not None:
                host = f"[{asked[0]}]" if ":" in asked[0] else asked[0]
                via = f"Via: SIP/2.0/UDP x\r\nVia: SIP/2.0/UDP {host};received={asked[0]};rport={asked[1]}\r\n"
            challenge = 'WWW-Authenticate: Digest nonce="x"\r\n' if sip.code in (401, 407) else ""
            if asked is not None and sip.code in (401, 407):
                self.thin["challenges"] += 1
            head = f"SIP/2.0 {sip.code} X\r\n{via}{common}{challenge}"
            return f"{head}From: <sip:x@x>;tag=a\r\nTo: <sip:x@x>;tag=b\r\n\r\n".encode()
        if len(self._asked) > _MOST:
            self._asked.clear()
        self._asked[transaction] = (_source(record).ip, _source(record).port)
        tag = ";tag=b" if in_dialog or sip.method not in ("INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE") else ""
        credentials = ""
        if record.sipsieve.authorization:
            # Whose they are is not on record: their user is taken for that of From, as phones have it.
            self.thin["credentials"] += 1
            user, _, host = (
                _safe(sip.from_.uri.original).partition(":")[2].replace('"', "_").replace("\\", "_").partition("@")
            )
            credentials = f'Authorization: Digest username="{user}", realm="{host}", nonce="x"\r\n'
        if sip.method == "INVITE" and not in_dialog:
            self.thin["bodies"] += 1
        # Bytes tell apart what differs in nothing that is on record.
        body = "" if any(entry.rule == "content-length-zero" for entry in record.findings) else "x"
        return (
            f"{method} {_safe(sip.uri.original) or 'sip:x'} SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nFrom: <{_safe(sip.from_.uri.original) or 'sip:x@x'}>;tag=a\r\n"
            f"To: <{_safe(sip.to.uri.original)}>{tag}\r\n{common}{credentials}X: {size}\r\n\r\n{body}"
        ).encode()


def _steady(record: Record) -> float | None:
    return record.event.steady if record.sipsieve.steady is None else record.sipsieve.steady


def _source(record: Record) -> _Source:
    # A notice names what it is about in words; a message's source is never that.
    return record.source if isinstance(record.source, _Source) else _Source()


def _counts(records: Sequence[Record]) -> list[tuple[float, tuple[str, str, str], int]]:
    return [
        (record.time.timestamp(), (_source(record).ip, record.network.transport, name), record.counters[name])
        for record in records
        if isinstance(record.network, _Network)
        for name in _CLASSES
        if name in record.counters
    ]


def _safe(text: str) -> str:
    """A sender's text without what would end the field that it stands in."""
    return text if text.isalnum() else _UNSAFE.sub("_", text)


def as_sent(text: str) -> bytes:
    """The bytes of a message that was kept as text; see `[log] raw_bytes`."""
    if "..." in text:
        text = _NONCE.sub('nonce="x"', text)
    if "\\x" not in text:
        return text.encode()
    return _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), text).encode("utf-8", "surrogateescape")
