"""The data that passes between the modules: message parts, findings, decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol

#: Writes something about the guard itself into the decision log: action, time, detail. False: it could not.
Notice = Callable[[str, float, Mapping[str, Any]], bool]


class Verdict(StrEnum):
    """What becomes of a message."""

    ALLOW = "allow"
    SCRUB = "scrub"
    REJECT = "reject"
    DROP = "drop"


class Kind(StrEnum):
    """What a datagram or framed message turned out to be, by its first line (RFC 3261 7.1, 7.2)."""

    REQUEST = "request"
    REPLY = "reply"
    MALFORMED = "malformed"


class PartKind(StrEnum):
    """Where in a SIP message a value stands; rules are scoped to these."""

    METHOD = "method"
    DISPLAY_NAME = "display_name"
    USERINFO = "userinfo"
    PASSWORD = "password"
    HOST = "host"
    PORT = "port"
    URI_PARAMETER = "uri_parameter"
    URI_HEADER = "uri_header"
    PARAMETER = "parameter"
    TEXT = "text"
    NAME = "name"
    BODY = "body"


#: The parts in the order in which the core numbers them.
FINDING_PARTS: Final = tuple(PartKind)

#: The family of findings on framing and header set.
STRUCTURE: Final = "structure"


class Source(NamedTuple):
    """Where a message came from.

    `transport` is lower case (`udp`, `tcp`, `tls`, `ws`, `wss`). `key` is what limits and bans are
    kept under: the address itself, or an IPv6 /64. `trusted` says that the policy lists the network.
    """

    ip: str
    port: int
    transport: str
    key: str
    #: Neither limited nor banned; still inspected.
    trusted: bool = False
    #: Whether its network's own `mode` says to enforce; None where it has none.
    enforced: bool | None = None
    #: Index of its `[[network]]`, -1 for none.
    network: int = -1
    #: What its counters' names begin with. Datagrams, whose source can be forged, and WebSockets, which any page opens
    #: in its visitor's name, are counted apart from other connections, so that nobody can use up another's share.
    cell: str = ""
    #: Where the address is at home: two letters, the autonomous system's number and its name; empty and 0 where not known.
    country: str = ""
    asn: int = 0
    organization: str = ""
    #: What becomes of requests from that country or operator, and why; None where the policy says nothing of it.
    barred: tuple[str, str] | None = None


class Header(NamedTuple):
    """One header field. Offsets are into the raw message; `value` is unfolded, without outer space."""

    name: str  # canonical, lower case, compact form expanded: "from"
    raw_name: bytes
    value: bytes
    start: int  # offset of the name
    value_start: int  # offset of the first byte of the value
    end: int  # offset of the line end (CRLF not included)
    folded: bool = False


#: In quotes that were taken off, in a URI's userinfo, or neither.
Stood = Literal["bare", "quoted", "user"]


class Part(NamedTuple):
    """One value inside a header field, the request line or the body.

    `field` is what the log shows: `from.display_name`, `request_uri.userinfo`, `via[1].host`.
    `value` is what stands between `start` and `end` in the raw message, quotes not included,
    still escaped.
    """

    kind: PartKind
    field: str
    header: str  # canonical header name; "request_uri" and "body" for those
    start: int
    end: int
    value: bytes
    #: Where it stood, which says what its marks mean.
    stood: Stood = "bare"


class Defect(NamedTuple):
    """Something in the framing or the header set that SIP does not allow, or no sane client sends."""

    rule: str
    field: str
    reason: str
    excerpt: bytes = b""


@dataclass(slots=True)
class Message:
    """A SIP message as far as it could be read. Never an error: what is wrong is in `defects`."""

    raw: bytes
    kind: Kind
    method: str = ""  # of a reply: the CSeq's
    status: int = 0  # of a reply
    uri: bytes = b""
    uri_start: int = 0
    #: Where a reply's reason phrase stands.
    phrase: tuple[int, int] = (0, 0)
    headers: tuple[Header, ...] = ()
    body_start: int = 0
    defects: list[Defect] = field(default_factory=list)

    def get(self, name: str) -> Header | None:
        """The first header field of that canonical name."""
        for header in self.headers:
            if header.name == name:
                return header
        return None

    def all(self, name: str) -> list[Header]:
        """All header fields of that canonical name, in order."""
        return [header for header in self.headers if header.name == name]

    @property
    def body(self) -> bytes:
        """What follows the empty line; of a header-only message b""."""
        return self.raw[self.body_start :]


class Finding(NamedTuple):
    """One rule that fired on one part."""

    rule: str
    family: str
    score: int
    field: str
    reason: str
    excerpt: bytes = b""
    #: The span of the part in the raw message that a scrub would replace; (0, 0) if none can.
    span: tuple[int, int] = (0, 0)
    part: PartKind = PartKind.TEXT
    #: Whether the value can be taken out without changing where the call goes.
    removable: bool = False


class Scope(StrEnum):
    """What a ban shuts out: never more than the evidence can have come from."""

    ALL = "a"
    #: Anybody can send datagrams in another's name.
    DATAGRAMS = "u"
    #: Any web page can open a WebSocket in its visitor's name.
    WEBSOCKETS = "w"

    @property
    def forgeable(self) -> bool:
        """Whether somebody else may have sent what the ban rests on."""
        return self is not Scope.ALL

    @property
    def label(self) -> str:
        """For people."""
        return {"a": "all", "u": "datagrams only", "w": "WebSockets only"}[self.value]


class Ban(NamedTuple):
    """A source to be shut out: `key` as in `Source.key`, for `seconds`, for the `offences`-th time."""

    key: str
    seconds: int
    rule: str
    offences: int = 1
    scope: Scope = Scope.ALL
    reason: str = ""


class Decision(NamedTuple):
    """What to do with one message, and everything that the log needs to say why.

    `verdict` is carried out where `enforced` is true; otherwise it is what would have been done.
    `status` and `phrase` are the answer of a reject. `replacement` holds the new bytes of a scrub.
    `error` marks a decision that was made because the guard failed, not because of the message.
    A tuple, because one is made for every message and tuples are the cheapest to make.
    """

    verdict: Verdict
    kind: Kind
    method: str
    enforced: bool = True
    status: int = 0
    phrase: str = ""
    retry_after: int = 0
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    counters: Mapping[str, int] = MappingProxyType({})
    ban: Ban | None = None
    replacement: bytes | None = None
    error: bool = False


class Standings(Protocol):
    """What can be asked how it stands."""

    def get(self, key: str) -> int:
        """The value of `key`, 0 where it was never added to."""
        ...


class Counters(Protocol):
    """What the engine counts with. Shared by all workers, exact, and bounded by whoever implements it."""

    def add(self, key: str, amount: int = 1) -> int:
        """Adds to `key` and returns the new value; negative where the counter is shared with other sources.

        Keys end in `:` and the number of their window; they may vanish after it.
        """
        ...

    def get(self, key: str) -> int:
        """The value of `key`, 0 where it was never added to."""
        ...

    def offence(self, key: str, scope: Scope) -> int:
        """Notes that a source is to be banned: for the how-manieth time; 0 where it is, or no room is left."""
        ...

    def mark(self, identity: int, value: int, now: float) -> None:
        """Remembers a fact about a short-lived thing: `value` from 1 on."""
        ...

    def marked(self, identity: int, now: float, life: int) -> int:
        """The fact remembered within `life` seconds, else 0."""
        ...

    def copies(self, identity: int, now: float) -> int:
        """How often this message was seen within a transaction's life (32 s), this time included."""
        ...

    def remember_dialog(self, identity: int) -> None:
        """Remembers a confirmed dialog."""
        ...

    def knows_dialog(self, identity: int) -> bool:
        """Whether that dialog was remembered."""
        ...
