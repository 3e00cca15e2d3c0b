"""The deployment's policy: TOML decoded into typed, checked values, with errors an operator can act on."""

from __future__ import annotations

import hashlib
import ipaddress
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from ..posix import state_file
from . import accounts as tenants
from . import destinations as numbers
from . import geo as places
from . import lists
from .accounts import Accounts, Domain
from .destinations import Destination, Dialling
from .explained import explain
from .geo import Asn, Country, Geo
from .lists import Feed, Feeds
from .standing import Standing
from .toml_lines import place

Action = Literal["reject", "drop", "scrub", "log"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Bytes of a policy file.
_MOST: Final = 8 * 1024 * 1024

PerMinute = Annotated[int, Meta(ge=0, le=10_000_000)]
Seconds = Annotated[int, Meta(ge=1, le=31_536_000)]


class PolicyError(ValueError):
    """A policy that can't be used: names file, line and key, what is wrong, and what is allowed."""


class NetworkPolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is who, the short form: `[network] trusted = [...]`."""

    trusted: tuple[str, ...] = ()


class Actions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    """What a finding of each family leads to once a message's score reaches the threshold."""

    sql: Action = "reject"
    shell: Action = "reject"
    path: Action = "reject"
    xss: Action = "reject"
    template: Action = "reject"
    jndi: Action = "reject"
    ldap: Action = "reject"
    nosql: Action = "reject"
    xml: Action = "reject"
    code: Action = "reject"
    ssi: Action = "reject"
    serialised: Action = "reject"
    formula: Action = "reject"
    url: Action = "reject"
    prompt: Action = "reject"
    format: Action = "reject"
    control: Action = "reject"
    sip: Action = "reject"
    scanner: Action = "reject"
    structure: Action = "reject"
    patch: Action = "reject"


class Detection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From which score on a message is rejected or scrubbed."""

    reject_score: Annotated[int, Meta(ge=1, le=100)] = 5
    scrub_score: Annotated[int, Meta(ge=1, le=100)] = 3
    #: Bytes of a whole message. A UDP datagram can't be longer.
    max_bytes: Annotated[int, Meta(ge=1024, le=65535)] = 65535
    #: 1 suits every network; 2 and 3 add rules that also catch the odd but harmless.
    paranoia: Annotated[int, Meta(ge=1, le=3)] = 1
    #: Bytes that are decoded of one message: ten full names in UTF-8 have 600. Each costs about 0.2 µs.
    max_decoded_bytes: Annotated[int, Meta(ge=512, le=65535)] = 3072
    #: Bytes of a display name, userinfo, tag, branch, Call-ID or host. RFC 4475's longest has 215.
    max_value_bytes: Annotated[int, Meta(ge=256, le=65535)] = 1024
    #: The lines o=, s=, i=, u= and e= of SDP.
    sdp: bool = True
    #: The text of MESSAGE and INFO bodies, which is scrubbed as a whole: people may well write about SQL.
    text_bodies: bool = False
    #: A second opinion on free text: not asked, asked and recorded, or asked and heeded.
    model: Literal["off", "note", "scrub"] = "scrub"
    #: Files of own rules, read after ours, in the order given.
    rules: tuple[str, ...] = ()
    #: Products whose peculiar header fields are no attacks: teams, 3cx, freepbx, asterisk, freeswitch, cisco, audiocodes, ims.
    products: tuple[str, ...] = ()
    #: Files of own exceptions.
    exceptions: tuple[str, ...] = ()


class Rules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is different for single rules, named by id; `*` stands for anything."""

    observe: tuple[str, ...] = ()


class Backend(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands behind: which virtual patches are on."""

    #: Programs with their versions, as in `asterisk 20.5`.
    software: str | tuple[str, ...] = ()
    #: Patches that are not needed: their ids, CVE or advisory numbers.
    fixed: tuple[str, ...] = ()

    @property
    def programs(self) -> tuple[str, ...]:
        """`software` as a list, whichever form it has."""
        return (self.software,) if isinstance(self.software, str) else self.software


class ContentLengthZero(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of an INVITE without a body."""

    invite: Literal["reject", "reject-initial", "allow"] = "reject"


class Limit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many a source may have in a minute, and how many more once in a while. 0 a minute switches it off."""

    per_minute: PerMinute
    burst: PerMinute = 0


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one source may send in a minute."""

    enabled: bool = True
    action: Literal["reject", "drop"] = "reject"
    status: Literal[403, 503] = 503
    ipv4_prefix: Literal[16, 24, 32] = 32
    ipv6_prefix: Literal[32, 48, 64, 128] = 64
    capacity: Annotated[int, Meta(ge=1024, le=1_000_000)] = 32768
    ban_factor: Annotated[int, Meta(ge=0, le=1000)] = 2
    invite: Limit = Limit(per_minute=120, burst=120)
    register: Limit = Limit(per_minute=240, burst=240)
    other: Limit = Limit(per_minute=600, burst=600)
    http: Limit = Limit(per_minute=240, burst=240)
    dialog: Limit = Limit(per_minute=1200, burst=1200)
    targets: Limit = Limit(per_minute=120)
    auth_failures: Limit = Limit(per_minute=20)
    malformed: Limit = Limit(per_minute=20)
    findings: Limit = Limit(per_minute=50)
    source_ports: Limit = Limit(per_minute=5)


class LimitChanges(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a network has instead of `[limits]`; what is not written stays."""

    invite: Limit | None = None
    register: Limit | None = None
    other: Limit | None = None
    http: Limit | None = None
    dialog: Limit | None = None
    targets: Limit | None = None
    auth_failures: Limit | None = None
    malformed: Limit | None = None
    findings: Limit | None = None
    source_ports: Limit | None = None


class NetworkRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[network]]`: what is different for the addresses in it. The longest prefix that fits wins, and the first `country` or
    `asn` where none does."""

    cidr: str = ""
    country: tuple[Country, ...] = ()
    asn: tuple[Asn, ...] = ()
    #: Addresses that are known to be in none of these are meant.
    outside: bool = False
    #: What becomes of requests from that country or operator; None: what the rest of the policy says.
    action: Literal["note", "reject", "drop"] | None = None
    trusted: bool = False
    mode: Literal["enforce", "observe"] | None = None
    limits: LimitChanges = LimitChanges()


class Bans(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long a source stays shut out that went far over a limit."""

    enabled: bool = True
    #: One length for every ban, or a list: the first ban's, the second's, … and the last one for all that follow.
    seconds: Seconds | Annotated[tuple[Seconds, ...], Meta(min_length=1, max_length=16)] = (60, 600, 3600, 86400)
    udp_max_seconds: Seconds = 600
    earned_minutes: Annotated[int, Meta(ge=0, le=9)] = 3
    forget_seconds: Seconds = 86400
    capacity: Annotated[int, Meta(ge=1, le=100_000)] = 4096
    state: str = "/var/lib/sipsieve/bans.json"

    @property
    def steps(self) -> tuple[int, ...]:
        """`seconds` as the lengths of a source's first, second, … ban."""
        return (self.seconds,) if isinstance(self.seconds, int) else self.seconds


class Log(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where decisions are written and how much of the clean traffic."""

    path: str = "/var/log/sipsieve/decisions.jsonl"
    allow: Annotated[str, Meta(pattern=r"^(each|summary|sample:[1-9][0-9]{0,8})$")] = "each"
    summary_seconds: Annotated[int, Meta(ge=1, le=3600)] = 10
    excerpt_bytes: Annotated[int, Meta(ge=16, le=4096)] = 256
    #: replay: each record holds what it takes to judge its message again.
    record: Literal["excerpt", "replay"] = "excerpt"
    raw_bytes: Annotated[int, Meta(ge=0, le=8192)] = 0
    #: Of records of suspicious messages, over all workers; what is more is folded. 0: no bound.
    bytes_per_second: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1_000_000
    #: Of one record, but for `raw_bytes`.
    record_bytes: Annotated[int, Meta(ge=1024, le=65536)] = 2048
    #: Of the log, beyond which messages are only counted until it is rotated. 0: no bound.
    max_bytes: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 4_000_000_000

    @property
    def message_bytes(self) -> int:
        """Bytes of each message that are written; a recording to be replayed has all that can be written."""
        return self.raw_bytes or (8192 if self.record == "replay" else 0)


class Privacy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What of the people behind the calls stays out of the decision log, and how long the rest is kept."""

    mask: Literal["off", "numbers", "users"] = "off"
    key_file: str = ""
    retention_days: Annotated[int, Meta(ge=0, le=3660)] = 0


class Shedding(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left undone for strangers when refusing them takes much of a worker's time. 0: never."""

    fold_percent: Annotated[int, Meta(ge=0, le=100)] = 25
    silent_percent: Annotated[int, Meta(ge=0, le=100)] = 50
    unproven_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    strangers_per_second: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Failure(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of a message when the guard itself fails."""

    strangers: Literal["closed", "open"] = "closed"
    trusted: Literal["closed", "open"] = "open"


class Policy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole policy file. Every key has a default; an empty file is a valid policy."""

    mode: Literal["enforce", "observe"] = "enforce"
    network: NetworkPolicy | tuple[NetworkRule, ...] = ()
    actions: Actions = Actions()
    detection: Detection = Detection()
    rules: Rules = Rules()
    backend: Backend = Backend()
    content_length_zero: ContentLengthZero = ContentLengthZero()
    limits: Limits = Limits()
    accounts: Accounts = Accounts()
    domain: tuple[Domain, ...] = ()
    dialling: Dialling = Dialling()
    destinations: tuple[Destination, ...] = ()
    bans: Bans = Bans()
    standing: Standing = Standing()
    log: Log = Log()
    privacy: Privacy = Privacy()
    shedding: Shedding = Shedding()
    failure: Failure = Failure()
    feed: tuple[Feed, ...] = ()
    feeds: Feeds = Feeds()
    geo: Geo = Geo()

    @property
    def networks(self) -> tuple[tuple[Network, NetworkRule], ...]:
        """Both forms of `network` by prefix, as rules with it parsed, the longest first."""
        if isinstance(self.network, NetworkPolicy):
            rules = tuple(NetworkRule(cidr=text, trusted=True) for text in self.network.trusted)
        else:
            rules = self.network
        parsed = ((ipaddress.ip_network(rule.cidr, strict=False), rule) for rule in rules if rule.cidr)
        return tuple(sorted(parsed, key=lambda pair: -pair[0].prefixlen))

    @property
    def areas(self) -> tuple[NetworkRule, ...]:
        """Those by country or operator, in their order."""
        rules = () if isinstance(self.network, NetworkPolicy) else self.network
        return tuple(rule for rule in rules if not rule.cidr)

    @property
    def version(self) -> str:
        """Twelve hex digits that change when any value does."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]


def load(path: str | Path) -> Policy:
    """Reads and checks a policy file. Raises `PolicyError`."""
    try:
        text = state_file.content(path, _MOST).decode()
    except OSError as error:
        raise PolicyError(
            f"{path}: cannot be read: {error.strerror}. Name the policy file in SIPSIEVE_POLICY."
        ) from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: is not UTF-8 at byte {error.start}. Save it as UTF-8.") from error
    return loads(text, str(path))


def loads(text: str, name: str = "policy") -> Policy:
    """Decodes and checks a policy text. Raises `PolicyError`, with `name` as the file's name, and the line where one is known."""
    try:
        policy = msgspec.toml.decode(text, type=Policy)
    except msgspec.ValidationError as error:
        said = explain(str(error), Policy)
        raise PolicyError(f"{place(name, text, said)}: {said}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise PolicyError(f"{place(name, text, str(error))}: is not valid TOML: {error}") from error
    try:
        _check(policy)
    except PolicyError as error:
        raise PolicyError(f"{place(name, text, str(error))}: {error}") from None
    return policy


def from_values(content: dict[str, Any]) -> Policy:
    """A policy from its tables as plain values. Raises `PolicyError`, as `loads` does."""
    try:
        policy = msgspec.convert(content, Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(explain(str(error), Policy)) from error
    _check(policy)
    return policy


def _check(policy: Policy) -> None:
    """What types alone can't say."""
    _check_networks(policy)
    if policy.log.record == "replay" and policy.log.allow != "each":
        raise PolicyError(
            f'log.record: "replay" needs a record of each message, and log.allow is {policy.log.allow!r}; '
            'set log.allow = "each", or log.record = "excerpt"'
        )
    try:
        tenants.check(policy.domain)
        numbers.check(policy.destinations)
        lists.check(policy.feed)
        places.check(
            policy.geo, () if isinstance(policy.network, NetworkPolicy) else policy.network, policy.destinations
        )
    except (tenants.AccountError, numbers.DestinationError, lists.FeedError, places.GeoError) as error:
        raise PolicyError(str(error)) from error
    if policy.detection.scrub_score > policy.detection.reject_score:
        raise PolicyError(
            f"detection.scrub_score: {policy.detection.scrub_score} is above "
            f"detection.reject_score ({policy.detection.reject_score}); allowed: up to that"
        )


def _check_networks(policy: Policy) -> None:
    if isinstance(policy.network, NetworkPolicy):
        written = [(f"network.trusted[{index}]", text) for index, text in enumerate(policy.network.trusted)]
    else:
        written = [(f"network[{index}].cidr", rule.cidr) for index, rule in enumerate(policy.network) if rule.cidr]
    seen: dict[Network, str] = {}
    for key, text in written:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise PolicyError(
                f"{key}: {text!r} is no address or network; "
                'allowed: an IPv4 or IPv6 address or prefix, as in "192.0.2.7" or "2001:db8::/32"'
            ) from error
        if network in seen and key.endswith("cidr"):
            raise PolicyError(f"{key}: {network} stands in {seen[network]} already; write it once")
        seen[network] = key
