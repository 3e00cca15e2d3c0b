"""The compiled core: what happens to each message. Bytes are as received; `now` is in seconds of a clock that never
steps, unless it is said to be of the epoch; spans are (start, end) in a message's bytes."""

from collections.abc import Callable, Sequence
from typing import Any, final

from sipsieve.model import Stood

VERSION: str
#: Whether the compiler was told which ways messages take: docs/decisions/0011-built-by-a-profile.md.
PROFILED: bool
#: Slots in a page of the ledger, and what the last one is counted under.
SLOTS: int
OVERFLOW: tuple[str, str]

_Rule = tuple[Any, ...]
_Finding = tuple[str, str, int, str, str, bytes]
_Defect = tuple[str, str, str, bytes]
_Header = tuple[str, bytes, bytes, int, int, int, bool]

# Reading: see `sipsieve.message`.

def parse(raw: bytes, /) -> tuple[str, str, int, bytes, int, tuple[int, int], list[_Header], int, list[_Defect]]: ...
def check(raw: bytes, max_bytes: int, /) -> list[_Defect]: ...
def parts(raw: bytes, sdp: bool, text_bodies: bool, /) -> list[tuple[str, str, str, int, int, bytes, Stood]]: ...
def text_lines(raw: bytes, start: int = 0) -> list[tuple[int, int]]: ...
def structural_checks() -> list[tuple[str, int, str]]: ...

# Finding.

@final
class Ruleset:
    """Rules as `Rule.spec` gives them, and exceptions as (rule, field). Raises ValueError with the rule's id and why."""

    def __new__(cls, rules: Sequence[_Rule], exceptions: Sequence[tuple[str, str]]) -> Ruleset: ...
    def match(self, text: bytes) -> list[int]:
        """The numbers of the rules whose pattern is in a text, whatever their parts."""

    def literals(self) -> list[tuple[str, list[bytes]]]:
        """By rule, the literals one of which stands in whatever it matches; none: it is tried on everything."""

    def size(self) -> tuple[int, int, int]:
        """Bytes that the prefilters take, how many literals there are, and how many rules have none."""

@final
class Model:
    """A second opinion on free text; see `sipsieve.detection.opinion`."""

    def __new__(cls, content: bytes) -> Model:
        """`content`: the file of weights. Raises ValueError with what is wrong with it."""

    def score(self, text: bytes) -> float | None:
        """The log-odds that a text is an attack; None for one without a mark, which is not looked at."""

    def strongest(self, text: bytes) -> list[bytes]:
        """The n-grams that speak most for an attack, the strongest first."""

@final
class Inspector:
    """Looks at messages by one set of rules."""

    def __new__(
        cls,
        ruleset: Ruleset,
        finding: Callable[..., Any],
        parts: Sequence[Any],
        paranoia: int,
        max_bytes: int,
        max_decoded_bytes: int,
        max_value_bytes: int,
        sdp: bool,
        text_bodies: bool,
        patches: Sequence[tuple[str, str, int, Sequence[str], Sequence[Sequence[tuple[str, str, str]]]]],
        model: Model | None,
    ) -> Inspector: ...
    def inspect(self, raw: bytes, unparsable: bool = False) -> Inspection:
        """Looks at one message; never raises on input."""

@final
class Inspection:
    """One message as it was seen."""

    @property
    def raw(self) -> bytes: ...
    @property
    def kind(self) -> int:
        """0 a request, 1 a reply, 2 neither."""

    @property
    def method(self) -> str:
        """Of a reply: the CSeq's."""

    @property
    def status(self) -> int:
        """Of a reply, else 0."""

    @property
    def findings(self) -> list[Any]:
        """A list that is the caller's to change."""

    @property
    def malformed(self) -> bool: ...
    @property
    def answerable(self) -> bool:
        """Whether a reply can be built at all (RFC 3261 8.2.6)."""

    @property
    def has_body(self) -> bool:
        """Whether a body is left when Content-Length is believed (RFC 3261 18.3)."""

    @property
    def to_tag(self) -> bool: ...
    @property
    def http(self) -> bool:
        """Not SIP but an HTTP request."""

    @property
    def unparsable(self) -> bool:
        """What the server's parser refused."""

    @property
    def dialog(self) -> int:
        """The dialog's identity (Call-ID and both tags), the same from either side; 0 without one."""

    @property
    def transaction(self) -> int:
        """The identity of Call-ID and CSeq number, the same in a request and its answers; 0 without one."""

    @property
    def offers_credentials(self) -> bool: ...
    @property
    def identity(self) -> int:
        """What tells this message from others, 64 bits."""

    @property
    def target(self) -> bytes:
        """Whom a request is for: the user of the Request-URI, of a REGISTER that of To (RFC 3261 10.2)."""

    @property
    def nonce(self) -> bytes:
        """A request's offered nonce, or that of an answer's challenge; b"" without."""

    @property
    def stale(self) -> bool:
        """Whether an answer's challenge says that only the nonce was stale (RFC 7616 3.3)."""

    @property
    def requester(self) -> tuple[str, int] | None:
        """Whom a reply goes back to, as the Via below ours says."""

def forms(value: bytes, stood: Stood = "bare") -> list[bytes]:
    """The forms of a value to match, as sent first. `stood`: where, as a part says."""

def transforms() -> list[str]: ...
def transform(name: str, value: bytes, /) -> bytes:
    """What a transform makes of a value. Raises KeyError for a name that is none."""

def scrub(raw: bytes, spans: Sequence[tuple[int, int]], /) -> bytes:
    """The message with these spans replaced, and no other byte changed."""

# Who sends.

#: Entries, invalid lines, the first of them, private, too wide, expired, when the next one expires, thousandths of IPv4.
_Report = tuple[int, int, str, int, int, int, int, int]

@final
class Networks:
    """Networks as (address, prefix, trusted, enforced), the longest prefix first."""

    def __new__(
        cls,
        networks: Sequence[tuple[str, int, bool, bool | None]],
        ipv4_prefix: int,
        ipv6_prefix: int,
        areas: Sequence[tuple[tuple[Sequence[str], Sequence[int], bool], bool | None, str | None]] = (),
        geo: Geo | None = None,
    ) -> Networks:
        """`areas`: countries, numbers of operators and whether what lies outside is meant; enforced; action."""
    def source(
        self, ip: str, port: int, transport: str
    ) -> tuple[str, int, str, str, bool, bool | None, int, str, str, int, str, tuple[str, str] | None]:
        """The fields of `model.Source`."""

@final
class GeoFile:
    """A file in MaxMind's format that was read; `kind`: country or asn. Raises ValueError with what is wrong with it."""

    def __new__(cls, content: bytes, kind: str) -> GeoFile: ...
    @property
    def built(self) -> int:
        """When it was made, in seconds since the epoch."""
    @property
    def database(self) -> str:
        """What it calls itself."""
    @property
    def sizes(self) -> tuple[int, int, int]:
        """Ranges of IPv4 and of IPv6 addresses, and names."""

@final
class Geo:
    """Where addresses are at home: room for so many words twice, in memory that processes share which are forked later."""

    def __new__(cls, words: int) -> Geo: ...
    def publish(self, country: GeoFile | None, asn: GeoFile | None) -> None:
        """Puts files in force instead of those before. Raises ValueError without room."""
    def find(self, ip: str) -> tuple[str, int, str]:
        """Country, autonomous system and its name; empty and 0 where not known."""
    @property
    def generation(self) -> int:
        """Changes with each table."""

MOST_FEEDS: int

@final
class Numbers:
    """Tells where recorded calls went. `plan` as `config.destinations.plan` makes it; its first entry says what is dear."""

    def __new__(cls, plan: Any) -> Numbers: ...
    def find(self, uri: bytes) -> tuple[str, str, str, bool, bool] | None:
        """Of a Request-URI: the international number without a plus, its country ("" none), what it is for people, whether it
        is dear, and abroad; None where no number out is dialled."""

@final
class Feeds:
    """Lists from outside: room for so many ranges, in memory that processes share which are forked later."""

    def __new__(cls, capacity: int) -> Feeds: ...
    def publish(self, feeds: Sequence[tuple[str, str, bool, str]], now: int) -> list[_Report]:
        """Puts lists in force: name, action, whether private addresses count, lines. Raises ValueError without room."""
    def find(self, ip: str) -> tuple[str, str, str] | None:
        """The list that an address stands on: name, entry, action."""
    @property
    def generation(self) -> int:
        """Changes with each table."""

def read_feed(text: str, private: bool, now: int) -> _Report:
    """What a list holds, without putting it in force."""

def key(text: str, prefix: int, /) -> str:
    """What an address is counted and banned under, at that prefix."""

# What all processes share that are forked later.

def identity(*parts: bytes) -> int:
    """Names byte strings by a hash that no sender can foresee, the same in all workers of a server."""

@final
class Words:
    """So many numbers of 64 bits, at first 0."""

    def __new__(cls, count: int) -> Words: ...
    def __len__(self) -> int: ...
    def __getitem__(self, place: int) -> int: ...
    def __setitem__(self, place: int, value: int) -> None: ...
    def add(self, place: int, value: int) -> int:
        """Raises a word and returns it."""

    def row(self, start: int, count: int) -> list[int]: ...

@final
class Counts:
    """Counters of the running window and the one before; a name carries its window's number."""

    def __new__(cls, capacity: int) -> Counts: ...
    def increase(self, name: str, window: int, amount: int = 1) -> int:
        """Raises a counter and returns it; 0 where no place is left."""

    def get(self, name: str, window: int) -> int: ...
    def of(self, cell: str, limit: str, window: int, running: int) -> int:
        """What is counted of a source by one of `LIMITS`; `running` is the window that runs."""

    def begun(self, window: int) -> int:
        """How many counters began in that window."""

    def forget(self) -> None: ...
    def sweep(self, window: int) -> int:
        """Frees the places whose window is over, and returns how many there were."""

@final
class RetransmissionFilter:
    def __new__(cls, slots: int) -> RetransmissionFilter: ...
    def copies(self, identity: int, now: float) -> int:
        """How often this was seen within a transaction's life, this time included."""

@final
class Answered:
    def __new__(cls, dialogs: int) -> Answered: ...
    def remember(self, identity: int, now: float) -> None: ...
    def knows(self, identity: int, now: float) -> bool: ...

@final
class Marks:
    def __new__(cls, slots: int) -> Marks: ...
    def mark(self, identity: int, value: int, now: float) -> None: ...
    def marked(self, identity: int, now: float, life: int) -> int:
        """The value that was remembered within the last `life` seconds, 0 without."""

@final
class Earned:
    """Which sources have earned trust, for all workers; a source goes by its key."""

    def __new__(cls, sources: int) -> Earned: ...
    def earn(self, key: str, now: float, fades: int) -> int | None:
        """Notes a proof that a source is where it says. The credit, None where that is no news. `fades`: minutes in which one
        credit goes."""

    def has(self, key: str, now: float, enough: int, fades: int) -> bool:
        """Whether a source has earned that much (1 to 9) that has not faded."""

    def credit(self, key: str, now: float, fades: int) -> int:
        """What is left of a source's credit."""

    def restore(self, key: str, credit: int, age: int, now: float, fades: int) -> None:
        """Takes over what was known of a source `age` minutes ago, if that is more."""

    def count(self, now: float, enough: int, fades: int) -> int:
        """How many sources have earned that much."""

    def lose(self, key: str) -> bool:
        """Takes away what a source has earned; whether there was anything."""

@final
class Entry:
    """A count of one interval: who sent, which method, what became of it, how many, from when to when (s since the
    epoch), by which rule."""

    def __new__(
        cls,
        ip: str,
        method: str,
        verdict: str,
        messages: int,
        first: float,
        last: float,
        transport: str = "",
        rule: str = "",
    ) -> Entry: ...
    @property
    def ip(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def messages(self) -> int: ...
    @property
    def first(self) -> float: ...
    @property
    def last(self) -> float: ...
    @property
    def transport(self) -> str: ...
    @property
    def rule(self) -> str: ...

@final
class Ledger:
    """Counts messages that get no record of their own. `path` names a file, so that they survive the server's end, or
    is ""; `interval` and `patience` in seconds, times since the epoch."""

    def __new__(cls, path: str, workers: int, interval: int, patience: float = 2.0) -> Ledger: ...
    @property
    def durable(self) -> bool: ...
    @property
    def damaged(self) -> bool:
        """Whether the file was no ledger, or a damaged one, and was set aside as `*.damaged`."""

    def attach(self, worker: int) -> None:
        """Makes this process the writer of a worker's pages. Raises ValueError for a worker too many."""

    def tally(self, ip: str, method: str, verdict: str, now: float, transport: str = "", rule: str = "") -> None:
        """Counts one message. Raises ValueError before `attach`."""

    def collect(self, now: float, everything: bool = False) -> list[Entry]:
        """Moves the counts of finished intervals to those that wait, and returns them; for the timer process alone."""

    def put(self, entry: Entry) -> bool:
        """Adds a count from elsewhere to those that wait. False: there was no room."""

    def waiting(self) -> list[tuple[int, Entry]]:
        """The counts that wait to be written, by their place, the oldest first."""

    def written(self, place: int, messages: int) -> None:
        """So many of a count that waited are in the log."""

    def save(self) -> None:
        """Writes the file of counts anew where they changed. Raises OSError where it can't be."""

def remove_ledger(path: str) -> bool:
    """Gives back the memory that outlives a server whose file of counts this is. False: there was none."""

@final
class Memory:
    """All tables of a server, to be made before Kamailio forks."""

    def __new__(cls, capacity: int, ledger_path: str, workers: int, interval: int) -> Memory: ...
    @property
    def counts(self) -> Counts: ...
    @property
    def retransmissions(self) -> RetransmissionFilter: ...
    @property
    def answered(self) -> Answered: ...
    @property
    def marks(self) -> Marks: ...
    @property
    def earned(self) -> Earned: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def damaged(self) -> int: ...
    def shared_by(self, window: int) -> int:
        """How often sources found no counter of their own in a window."""

    def forget(self) -> None:
        """All counters begin anew."""

    def sweep(self, minute: int, hour: int) -> int:
        """Frees the counters whose window is over, and returns how many there were. `minute`, `hour`: the running windows."""

# Writing; times are seconds since the epoch.

@final
class Journal:
    """One process's hold on the decision log. `end`: two words that all processes share: 1 while the file may end in half a line,
    and the bytes that it has at least if nobody cut it."""

    def __new__(cls, path: str, end: Words | None = None) -> Journal: ...
    @property
    def path(self) -> str: ...
    @property
    def written(self) -> int: ...
    @property
    def lost(self) -> int: ...
    def append(self, line: bytes, now: float) -> bool:
        """Writes one line, its line end included. False: it could not be written, and was counted."""

    def mend(self) -> None:
        """Looks whether a server that was killed left half a line; asked once, before any worker writes."""

    def close(self) -> None:
        """Lets go of the file; the next line opens it anew."""

@final
class Recorder:
    """Formats records; `mask_mode` is off, numbers or users."""

    def __new__(
        cls,
        rules: str,
        policy: str,
        mode: str,
        excerpt_bytes: int = 256,
        raw_bytes: int = 0,
        mask_mode: str = "off",
        mask_key: bytes = b"",
        record_bytes: int = 2048,
        replay: bool = False,
    ) -> Recorder: ...
    def decision(
        self,
        raw: bytes,
        now: float,
        ip: str,
        port: int,
        transport: str,
        identity: str,
        action: str,
        reason: str = "",
        enforced: bool = True,
        status: int = 0,
        kind: str | None = None,
        method: bytes | None = None,
        counters: Sequence[tuple[str, int]] | None = None,
        ban: tuple[str, int, str] | None = None,
        findings: Sequence[_Finding] = (),
        steady: int | None = None,
        country: str = "",
        asn: int = 0,
        organization: str = "",
    ) -> bytes: ...
    def summary(
        self, ip: str, method: str, verdict: str, count: int, first: float, last: float, now: float, rule: str = ""
    ) -> bytes: ...
    def notice(self, action: str, now: float, detail: dict[str, Any]) -> bytes: ...

def escaped(value: bytes, limit: int = 256) -> str:
    """Foreign bytes as text: UTF-8 where it is, `\\xNN` where it is not, cut, digest secrets replaced."""

def timestamp(now: float, /) -> str:
    """RFC 3339 in UTC, to the microsecond."""

def indicators(text: str, /) -> list[tuple[str, str]]:
    """The indicators in a payload: kind and value, the most telling first."""

def of_texts(texts: list[str], /) -> list[tuple[str, str]]: ...
def masked(key: bytes, every_user: bool, text: str, field: str = "") -> str: ...
def record_fields() -> list[tuple[str, str, str, str, str, str]]:
    """The fields of all records: record, path, type, when present, what it holds, example."""

# Judging.

#: The limits by name, and the length of their window in seconds.
LIMITS: list[str]
ACCOUNT_RULES: list[str]
DESTINATION_RULES: list[str]
WINDOW: int
#: Seconds that an offence is remembered which rests on what can be forged: as long as a source may take to try again.
FORGEABLE_MEMORY: int

@final
class Judge:
    """Decides on messages by one revision of policy, rules and networks. `plan`: see `sipsieve.decision.engine`."""

    def __new__(cls, inspector: Inspector, networks: Networks, plan: dict[str, Any]) -> Judge: ...
    def decide(
        self,
        raw: bytes,
        source: tuple[Any, ...],
        now: float,
        counters: Any,
        offence: Callable[[str, str], int],
        in_transaction: Callable[[], bool | None],
        unparsable: bool = False,
    ) -> tuple[Any, ...]:
        """Decides by a server's `Memory`, or by counters that Python keeps (`model.Counters`).

        Returns verdict, kind (0 a request, 1 a reply, 2 neither), method, enforced, status, phrase, retry_after, reason,
        findings, counts by name, ban or None, replacement or None. Never raises on input.
        """

    def counted(self, findings: Sequence[tuple[str, str, int, bytes]]) -> list[int]:
        """The findings whose scores add up, by their place; each given as rule, family, score, excerpt."""

# The way of each message inside Kamailio.

@final
class Guard:
    """Decides on each message of one process, by one revision of policy and rules. `plan`: see `Running.arm`."""

    def __new__(cls, plan: dict[str, Any]) -> Guard: ...
    def message(self, msg: Any = None, where: str | None = None) -> int:
        """1 where the host's routing goes on, 2 where the message ends here, 3 where new bytes are to be put in place."""

    def again(self, msg: Any = None, where: str | None = None) -> int:
        """Asked where `message` gave no usable code."""

    def replaced(self, msg: Any = None, where: str | None = None) -> int:
        """Asked after new bytes were put in place: looks whether they are, and records."""

    def unparsable(self, msg: Any = None, where: str | None = None) -> int:
        """Records a message that Kamailio's parser refused; 1."""

    def fail(self, place: str, raw: bytes, passes: bool, status: int, reason: str, /) -> int:
        """Records a message on which the guard failed, and answers it; 1 or 2."""

    def counts(self) -> tuple[int, int]:
        """How many messages passed here, and how many were odd."""

# Recorded traffic, for the analysis.

@final
class Messages:
    """Messages that a reader found, on their way to `Replay`."""

    @staticmethod
    def told(
        items: Sequence[
            tuple[
                float,
                tuple[str, int, str],
                tuple[bytes, bytes, bytes, bytes],
                list[tuple[str, bytes]],
                bytes,
                int,
                bool,
                tuple[str, bytes] | None,
            ]
        ],
    ) -> Messages:
        """What other programs' logs tell of messages: seconds since the epoch; address ("" unknown), port, transport; method
        (b"": OPTIONS), request URI, Call-ID, CSeq's number (each b"" if unknown); headers by lower-case name; the message as
        a whole (b"" if it was not printed); status of the answer (0: none); whether the server's parser refused it; and what
        `fail2ban` or `suricata` said of it."""

    def __len__(self) -> int: ...
    def list(self) -> list[tuple[float, str, int, str, bytes, bool]]:
        """Each as seconds since the epoch, address ("" where nobody names it), port, transport, bytes, and whether
        these are all."""

@final
class Capture:
    """Reads a pcap, a pcapng or a file of HEP3 packets, fed in pieces. Bounded in memory, whatever comes."""

    def __new__(cls) -> Capture: ...
    def feed(self, data: bytes) -> Messages:
        """The messages that are complete with this piece."""

    def finish(self) -> Messages:
        """What is left at the end of the file."""

    def skipped(self) -> list[tuple[str, int]]:
        """What could not be read since this was last asked: kind and number."""

    @property
    def packets(self) -> int:
        """Packets read so far."""

@final
class Replay:
    """Puts recorded messages through the engine: looked at by so many threads, judged in their order.

    `live`: where servers that run are followed, what the records' ids begin with, the servers' own addresses, whose messages
    are left out, and the seconds after which bans are forgotten.
    """

    def __new__(
        cls, judge: Judge, recorder: Recorder, threads: int, live: tuple[str, Sequence[str], int] | None = None
    ) -> Replay: ...
    def bans(self) -> list[tuple[str, int, str, int, str, str]]:
        """What followed since this was last asked: key, seconds, rule, the how-manieth, scope ("a", "u", "w"), reason."""

    def records(self, messages: Messages) -> bytes:
        """The records of these messages, in their order, as lines."""

    def columns(self, messages: Messages, input: str) -> EventColumns:
        """What `event_columns` gives of these records; most of them need not be written for it."""

#: A recorded message: seconds of the steady clock, address, port, transport, bytes, what is told of it as bits (1 it is
#: whole, 2 refused by the server, 4 counted, 8 not counted, 16 in a dialog, 32 in none, 64 went past a ban), and its findings:
#: rule, family, score, field, excerpt, removable.
TrialRecord = tuple[int, int, str, int, str, bytes, int, list[tuple[str, str, int, str, bytes, bool]]]

#: Verdict, enforced, shut out, trusted, rules, field, reason, counts by limit, ban (key, seconds, rule), whose request an
#: answer refused, and (0 a request, 1 a reply, 2 neither; method; status; transaction).
TrialOutcome = tuple[
    str,
    bool,
    bool,
    bool,
    list[str],
    str,
    str,
    list[tuple[str, int]],
    tuple[str, int, str] | None,
    str,
    tuple[int, str, int, int],
]

@final
class Trial:
    """One policy over a recording, by a running server's tables. `capacity`, `most_bans` and `forget` are the policy's;
    `never(key)` says that a key must not be banned."""

    def __new__(
        cls,
        judge: Judge,
        never: Callable[[str], bool],
        capacity: int,
        most_bans: int,
        forget: int,
        threads: int,
    ) -> Trial: ...
    def records(self, records: Sequence[TrialRecord]) -> list[TrialOutcome]:
        """What would have become of these, in their order."""

    def messages(self, messages: Messages) -> list[TrialOutcome]:
        """What would have become of what a reader found, in its order."""

@final
class Log:
    """Reads a server's log, fed in pieces. `newest`: when it was last written; `first_year`: of its first line, where
    lines name none; `formats`: as `xlog` has them, ValueError says what is wrong with one; `offset(seconds)`: of the
    log's zone from UTC, in seconds, at a time of that zone."""

    def __new__(cls, newest: float, first_year: int, formats: Sequence[str], offset: Callable[[int], int]) -> Log: ...
    def feed(self, data: bytes) -> Messages:
        """The messages that are complete with this piece."""

    def finish(self) -> Messages:
        """What is left at the end of the file."""

    def skipped(self) -> list[tuple[str, int]]:
        """What could not be read since this was last asked: kind and number."""

    def unread(self) -> list[bytes]:
        """Lines that were not understood since this was last asked, their first 400 bytes, 20,000 of them at most. Of a
        routing script's line what the script wrote."""

    @property
    def sample(self) -> str | None:
        """The first line that was not understood."""

@final
class Years:
    """How often the year changes in a log whose lines name none: fed in pieces, before it is read."""

    def __new__(cls) -> Years: ...
    def feed(self, data: bytes) -> None: ...
    def found(self) -> tuple[int, int]:
        """How many years the last line is behind the first, and its month (1 to 12; 0: no line without a year)."""

#: The events' columns that `event_columns` gives, in its order.
EVENT_COLUMNS: list[str]

#: See `event_columns`.
EventColumns = tuple[int, list[list[bytes]], tuple[list[bytes], int, list[list[bytes]]], bytes]

def event_columns(lines: bytes, input: str, /) -> EventColumns:
    """Records of today's form among lines of JSON, as columns: how many, and the memory of each column as Arrow has it.

    A column is which rows hold something, of texts where each ends, and the values. Then the findings: which rows have some
    and where each row's end, how many there are, and their columns. Last the lines that are to be read otherwise: of the first
    form, or odd in any way. `input`: what the records came from, where they don't say.
    """
