"""Reads the log of a Kamailio that runs without the guard, and puts its lines together into messages.

Lines of one process belong to one message until a line ends it. Nothing that a sender can write is
taken for a source: sources come from lines that are matched as a whole, from their fixed parts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

#: Seconds within which the lines of one message follow each other.
_TOGETHER: Final = 2.0

#: Processes followed at once; a Kamailio has tens of them.
_PROCESSES: Final = 4096

#: Bytes of text kept of one message: as much as a datagram can hold.
_TEXT: Final = 65535

_MONTHS: Final = {
    name: n
    for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}
_CLASSIC: Final = re.compile(
    r"(?:<\d{1,3}>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? \S{1,255} ([^\s\[:]{1,64})(?:\[(\d{1,10})\])?: ?(.*)\Z",
    re.S,
)
_ISO: Final = re.compile(
    r"(?:<\d{1,3}>)?(?:1 )?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)(Z|[+-]\d\d:?\d\d)? \S{1,255} "
    r"([^\s\[:]{1,64})(?:\[(\d{1,10})\]:| (\d{1,10}) \S{1,64} -) ?(.*)\Z",
    re.S,
)
_STDERR: Final = re.compile(
    r"(?:\x1b\[[0-9;]*m)* ?\d{1,4}\((\d{1,10})\) ((?:ALERT|BUG|CRITICAL|ERROR|WARNING|NOTICE|INFO|DEBUG): .*)\Z", re.S
)
_PROGRAMS: Final = re.compile(r"kamailio|openser|/ser\b|ser\Z")

# LEVEL: {1 1 INVITE call-id} module [file:line]: function(): text. Between the braces stands what the sender wrote.
_LEVEL: Final = re.compile(r"(?:ALERT|BUG|CRITICAL|ERROR|WARNING|NOTICE|INFO|DEBUG): ")
_PREFIX: Final = re.compile(
    r"\{([12]) (\d{1,10}|<null>) ?([A-Za-z]{1,32})? (.*?)\} (?=<?[a-z_0-9]{1,32}>?(?::| \[))", re.S
)
_ORIGIN: Final = re.compile(r"<?([a-z_0-9]{1,32})>?(?: \[[^\]\s]{1,128}:\d{1,6}\])?: (?:([a-z_0-9A-Z]{1,64})\(\): )?")

_ADDRESS: Final = r"(\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-fA-F:]{2,39}\]?)"
_FAILED: Final = re.compile(rf"core parsing of SIP message failed \({_ADDRESS}:(\d{{1,5}})/(\d{{1,2}})\)\Z")
_MALFORMED: Final = re.compile(rf"Malformed SIP request from {_ADDRESS}:(\d{{1,5}})\Z")
_MALFORMED_TAIL: Final = re.compile(rf"\}} <script>: Malformed SIP request from {_ADDRESS}:(\d{{1,5}})\s*\Z")
_PIKE_SCRIPT: Final = re.compile(
    rf"(?:ALERT: )?pike block\w* (\S{{1,32}}) from .* \(IP:{_ADDRESS}:(\d{{1,5}})\)\Z", re.S
)
_PIKE: Final = re.compile(rf"PIKE - (?:UN)?BLOCK\w* (?:ip |node |)?{_ADDRESS}(?:,|\s|\Z)", re.I)
_SOURCE_KEY: Final = re.compile(
    rf"(?:\b(?:src|si|src_ip|source|ip|IP|from|peer)(?: ?[=:] ?| ))(?:udp:|tcp:|tls:)?{_ADDRESS}(?:[: ]\s?(\d{{1,5}}))?(?![\d.:\w@])"
)
_ACC: Final = re.compile(r"ACC: [a-z ]{1,40}: timestamp=\d+;method=([A-Z]{1,16});.*?call_id=(.*?);code=(\d{3});", re.S)
_OPENED: Final = re.compile(r"[\[<']")
_CLOSED: Final = re.compile(r"[\]>'](?: \.|\s)*+\Z")
_METHOD: Final = re.compile(
    r"\b(INVITE|REGISTER|OPTIONS|ACK|BYE|CANCEL|SUBSCRIBE|NOTIFY|MESSAGE|INFO|PRACK|UPDATE|REFER|PUBLISH)\b"
)
_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z-]{0,40}) ?: ?(.*)\Z", re.S)
_CONTROL: Final = re.compile(r"#(0[0-3][0-7]|177)")

_TRANSPORTS: Final = {"1": "udp", "2": "tcp", "3": "tls", "4": "sctp", "5": "ws", "6": "wss"}


class Line(NamedTuple):
    """One log line: seconds since the epoch, process id, text without the syslog header."""

    time: float
    pid: int
    text: str


@dataclass(slots=True)
class Raw:
    """What the log tells of one message. `ip` is "" where no line names the source."""

    time: float
    ip: str = ""
    port: int = 0
    transport: str = "udp"
    method: str = ""
    cseq: str = ""
    call_id: str = ""
    #: The message as far as it was printed, b"" where it was not.
    message: bytes = b""
    #: Header values by canonical name that parse errors printed.
    headers: dict[str, str] = field(default_factory=dict)
    uri: str = ""
    refused: bool = False
    limited: bool = False
    answered: int = 0
    complaints: list[str] = field(default_factory=list)
    lines: int = 0


def plain(text: str) -> str:
    """Undoes rsyslog's escapes of control characters (`#012` is a line feed)."""
    return _CONTROL.sub(lambda match: chr(int(match[1], 8)), text) if "#" in text else text


class LineReader:
    """Takes the headers of syslog, journald and standard error off, and puts printed line ends back."""

    def __init__(self, zone: tzinfo, newest: datetime, skipped: Counter[str]) -> None:
        self._zone = zone
        self._newest = newest
        self._skipped = skipped
        self._year = 0
        self._month = 0

    def read(self, texts: Iterable[bytes]) -> Iterator[Line]:
        """The Kamailio lines among `texts`, in their order, with times of relative years until `settle`."""
        held: Line | None = None
        for raw in texts:
            text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
            line = self._line(text)
            if line is None:
                if held is not None and text and len(held.text) < _TEXT:
                    # A message that was printed with its own line ends.
                    held = held._replace(text=f"{held.text}\n{text}")
                elif text.strip():
                    self._skipped["lines in no known format"] += 1
                continue
            if held is not None:
                yield held
            held = None
            if line.pid < 0:
                self._skipped["lines of other programs"] += 1
                continue
            held = line
        if held is not None:
            yield held

    def _line(self, text: str) -> Line | None:
        """A line of any of the formats; `pid` -1 where another program wrote it."""
        if text.startswith("{") and (found := self._journal(text)) is not None:
            return found
        if (match := _CLASSIC.match(text)) is not None and match[1] in _MONTHS:
            month = _MONTHS[match[1]]
            if month < self._month - 6:
                self._year += 1
            elif month > self._month + 6 and self._month:
                self._year -= 1
            self._month = month
            try:
                # Year 2000 and up: a leap year, so that Feb 29 is a date; `settle` puts it right.
                when = datetime(
                    2000 + self._year % 400, month, int(match[2]), int(match[3]), int(match[4]), min(int(match[5]), 59)
                )
            except ValueError:
                return None
            micro = int((match[6] or "0").ljust(6, "0"))
            return Line(
                when.replace(tzinfo=UTC).timestamp() + micro / 1e6, self._pid(match[7], match[8], match[9]), match[9]
            )
        if (match := _ISO.match(text)) is not None:
            try:
                when = datetime.fromisoformat(match[1].replace(",", ".") + (match[2] or ""))
            except ValueError:
                return None
            when = when if when.tzinfo else when.replace(tzinfo=self._zone)
            return Line(when.timestamp(), self._pid(match[3], match[4] or match[5], match[6]), match[6])
        if (match := _STDERR.match(text)) is not None:
            self._skipped["lines without a time (taken as the file's own)"] += 1
            return Line(self._newest.timestamp(), int(match[1]), match[2])
        return None

    def _pid(self, program: str, pid: str | None, text: str) -> int:
        ours = _PROGRAMS.search(program) or (_LEVEL.match(text) and ("<core>" in text or "<script>" in text))
        return int(pid or 0) if ours else -1

    def _journal(self, text: str) -> Line | None:
        try:
            entry = json.loads(text)
            message = entry["MESSAGE"]
            # journald writes what is not printable UTF-8 as a list of bytes.
            said = bytes(message).decode("utf-8", "surrogateescape") if isinstance(message, list) else str(message)
            program = str(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or "")
            pid = str(entry.get("SYSLOG_PID") or entry.get("_PID") or "0")
            return Line(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, self._pid(program, pid, said), said)
        except (ValueError, KeyError, TypeError):
            return None

    def settle(self, time: float) -> float:
        """The time of a line whose year was relative: the log's last year is that of its last change."""
        if time > 1_500_000_000:
            return time
        relative = datetime.fromtimestamp(time, UTC)
        newest = self._newest.astimezone(self._zone)
        year = newest.year - (self._year - (relative.year - 2000))
        last = (self._month, 1)
        if last > (newest.month, newest.day) and self._month > newest.month:
            year -= 1
        try:
            local = relative.replace(year=year, tzinfo=self._zone)
        except ValueError:
            local = relative.replace(year=year, day=28, tzinfo=self._zone) + timedelta(days=1)
        return local.timestamp()


def messages(lines: Iterable[Line], skipped: Counter[str]) -> Iterator[Raw]:
    """Puts lines together: each `Raw` is what one message left in the log."""
    open_: dict[int, Raw] = {}
    for line in lines:
        current = open_.get(line.pid)
        if current is not None and abs(line.time - current.time) > _TOGETHER:
            yield open_.pop(line.pid)
            current = None
        text = line.text
        level = _LEVEL.match(text)
        text = text[level.end() :] if level else text
        prefix = _PREFIX.match(text)
        if (
            prefix is not None
            and current is not None
            and current.call_id
            and prefix[4] not in (current.call_id, "<null>")
        ):
            yield open_.pop(line.pid)
            current = None
        rest = text[prefix.end() :] if prefix else text
        origin = _ORIGIN.match(rest)
        if origin is None:
            skipped["Kamailio lines that tell of no message"] += 1
            continue
        if len(open_) >= _PROCESSES:
            yield open_.pop(next(iter(open_)))
        if current is None:
            current = Raw(line.time)
        known = _tell(current, text, rest[origin.end() :], origin[1], origin[2] or "")
        if known is None:
            if not current.lines:
                skipped["Kamailio lines that tell of no message"] += 1
            continue
        if prefix is not None:
            current.method = current.method or (prefix[3] or "").upper()
            current.cseq = current.cseq or (prefix[2] if prefix[2].isdigit() else "")
            if prefix[4] != "<null>":
                current.call_id = current.call_id or plain(prefix[4])[:256]
        current.lines += 1
        if known:
            open_.pop(line.pid, None)
            yield current
        else:
            open_[line.pid] = current
    yield from open_.values()


def _tell(raw: Raw, whole: str, text: str, module: str, function: str) -> bool | None:
    """Adds what a line says. True: it ends its message. None: it says nothing of a message."""
    if module == "core" and function == "receive_msg":
        if (match := _FAILED.match(text.strip())) is not None:
            raw.ip, raw.port, raw.transport = match[1].strip("[]"), int(match[2]), _TRANSPORTS.get(match[3], "udp")
            raw.refused = True
            return True
        if text.startswith("required headers not found"):
            raw.refused = True
            raw.complaints.append(text.strip()[:120])
            return True
        raw.refused = True
        return False
    if module == "script":
        return _script(raw, whole, text)
    if module == "pike":
        match = _PIKE.match(text)
        if match is None or "UNBLOCK" in text[:20].upper():
            return None
        raw.ip = match[1].strip("[]")
        raw.limited = True
        return False
    if module == "acc":
        return _accounted(raw, text)
    if not (
        function.startswith(("parse", "check_", "get_hdr", "contact_parser", "skip_uri")) or module in ("sanity", "pv")
    ):
        return None
    plain_text = plain(text)
    raw.complaints.append(plain_text[:120])
    if function == "parse_msg" and (at := plain_text.find("message=<")) >= 0:
        body = plain_text[at + 9 :].rstrip()
        raw.message = body.removesuffix(">").encode("utf-8", "surrogateescape")[:_TEXT]
        # What the log ate is put back: messages are printed up to their NUL, and lines may have lost their CR.
        if b"\r\n" not in raw.message:
            raw.message = raw.message.replace(b"\n", b"\r\n")
    elif (last := _CLOSED.search(plain_text)) and (first := _OPENED.search(plain_text, 0, last.start())):
        _fragment(raw, function, plain_text, plain_text[first.end() : last.start()])
    return False


def _fragment(raw: Raw, function: str, text: str, inside: str) -> None:
    """Header values out of what a parse error quotes."""
    if text.startswith("bad From header"):
        raw.headers["from"] = inside
    elif function == "check_ruri_scheme":
        raw.uri = inside[:1024]
    elif function == "parse_contacts":
        raw.headers.setdefault("contact", inside.split("' (", 1)[0])
    elif function in ("parse_headers", "parse_sip_header_name"):
        for number, part in enumerate(re.split(r"\r?\n(?![ \t])", inside)):
            if (match := _HEADER.match(part)) is not None:
                name = match[1].lower()
                value = match[2].strip()
                if len(value) > len(raw.headers.get(name, "")):
                    raw.headers[name] = value
            elif number == 0 and part:
                raw.headers.setdefault("x-unreadable", part[:1024])
    elif function in ("parse_addr_spec", "parse_to_param"):
        value = inside.split("[", 1)[-1] if "status" in inside[:200] and "[" in inside else inside
        raw.headers.setdefault("x-unreadable", value[:1024])


def _script(raw: Raw, whole: str, text: str) -> bool | None:
    """A line that the routing script wrote."""
    text = text.rstrip()
    # The Call-ID stands before this and may itself hold such a line: only the end of the line counts.
    match = _MALFORMED_TAIL.search(whole) or _MALFORMED.match(text)
    if match is not None:
        raw.ip, raw.port, raw.refused = match[1].strip("[]"), int(match[2]), True
        return True
    if (pike := _PIKE_SCRIPT.match(text)) is not None:
        raw.method = raw.method or pike[1][:32]
        raw.ip, raw.port, raw.limited = pike[2].strip("[]"), int(pike[3]), True
        return True
    found = {(m[1].strip("[]"), int(m[2] or 0)) for m in _SOURCE_KEY.finditer(text)}
    if len({ip for ip, _ in found}) != 1:
        # None, or several of which the sender may have written one.
        return None
    raw.ip, raw.port = max(found, key=lambda pair: pair[1])
    if (method := _METHOD.search(text)) is not None:
        raw.method = raw.method or method[1]
    for name, key in (("user-agent", "ua"), ("user-agent", "agent"), ("from", "fu"), ("to", "tu"), ("uri", "ru")):
        if (said := re.search(rf"\b{key} ?[=:] ?(?:\[([^\]]*)\]|\"([^\"]*)\"|<([^>]*)>|(\S+))", text)) is not None:
            value = plain(next((g for g in said.groups() if g), ""))[:512]
            if name == "uri":
                raw.uri = raw.uri or value
            else:
                raw.headers.setdefault(name, value)
    return True


def _accounted(raw: Raw, text: str) -> bool | None:
    """A line of the acc module: a call and how it ended."""
    match = _ACC.match(text)
    sources = re.findall(r";src_ip=([0-9a-fA-F.:]{2,45});", text)
    if match is None or len(sources) != 1:
        return None
    raw.method, raw.call_id, raw.answered = match[1], match[2][:256], int(match[3])
    raw.ip = sources[0]
    for name, key in (("from", "src_user"), ("to", "dst_user")):
        if (said := re.search(rf";{key}=([^;]*);", text)) is not None:
            raw.headers.setdefault(name, f"<sip:{said[1]}@accounted.invalid>")
    return True
