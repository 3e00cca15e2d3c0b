"""Stage one: a scan that shows a message to be ordinary, or why it wants a closer look."""

from __future__ import annotations

from typing import Final

import hyperscan

from . import gate
from .patterns import Pattern, compile_set
from .ruleset import FLAGS, RuleError, Ruleset
from .triggers import ADDRESS_FORM, VIA_FORMS

#: Nothing to look at: every mandatory header is there once, in its common spelling, and nothing odd.
ORDINARY: Final = 0
#: Something that only a parse can judge.
SUSPECT: Final = 1
#: The To header has a tag: the message claims to belong to a dialog.
IN_DIALOG: Final = 2
#: The message carries credentials.
CREDENTIALS: Final = 4

# What the scan reports. Everything but COMPLETE, TO_TAG and AUTHORIZATION is a reason for a closer look.
_COMPLETE: Final = 0
_TO_TAG: Final = 1
_AUTHORIZATION: Final = 2
_MANDATORY: Final = 10
_FIRST_LINES: Final = 20
_TRIGGERS: Final = 100
_GATE: Final = 999
_RULES: Final = 1000

_QUIET: Final = hyperscan.HS_FLAG_QUIET | hyperscan.HS_FLAG_DOTALL

#: The mandatory header fields as nearly every client writes them (RFC 3261 8.1.1).
_MANDATORY_HEADERS: Final = (
    r"\n[Vv]ia: ?SIP/2\.0/(?:UDP|TCP|TLS|WSS?|SCTP) [a-zA-Z0-9\[]",
    rf"\n[Ff]rom: ?{ADDRESS_FORM}",
    rf"\n[Tt]o: ?{ADDRESS_FORM}",
    r"\nCall-I[Dd]: ?[^\r\n ]",
)

#: Methods that messages are looked at quickly for; any other method gets the closer look.
METHODS: Final = (
    "INVITE",
    "REGISTER",
    "OPTIONS",
    "ACK",
    "BYE",
    "CANCEL",
    "SUBSCRIBE",
    "NOTIFY",
    "MESSAGE",
    "INFO",
    "PRACK",
    "UPDATE",
    "REFER",
    "PUBLISH",
)

#: Shapes that need the parser: not suspicious as such, but not readable by patterns on raw bytes.
TRIGGERS: Final = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]",  # control bytes, and anything that is not ASCII
    r"\n[ \t]",  # a folded line
    r"\n[^:\r\n][^:\n]*\n",  # a line without a colon
    r"\n[^a-z\r]",  # a header name that starts oddly
    r"\n[a-z0-9-]+[^:a-z0-9\r\n-]",  # a header name with other bytes, or space before the colon
    r"\n[a-z][ \t]*:",  # a compact form
    r"\r[^\n]",  # a lone CR
    r"\\",  # a quoted-pair, or an escape of some backend
    *VIA_FORMS,
    r"\nfrom:.*\nfrom:",
    r"\nto:.*\nto:",
    r"\ncall-id:.*\ncall-id:",
    r"\ncseq:.*\ncseq:",
    r"\ncontent-length:.*\ncontent-length:",
)


class Sieve:
    """The compiled scan. Immutable; built once, before Kamailio forks."""

    def __init__(self, ruleset: Ruleset, paranoia: int = 1) -> None:
        single = FLAGS
        headers = [(_MANDATORY + n, pattern, _QUIET) for n, pattern in enumerate(_MANDATORY_HEADERS)]
        # Request line and CSeq in one pattern, so that a CSeq of another method is not ordinary.
        first_lines = [
            (
                _FIRST_LINES + n,
                rf"\A{method} (?:sips?|tel):[^ \r\n]+ SIP/2\.0\r.*\nCSeq: ?[0-9]{{1,9}} {method}\r",
                _QUIET,
            )
            for n, method in enumerate(METHODS)
        ]
        first_lines.append(
            (_FIRST_LINES + len(METHODS), r"\ASIP/2\.0 [1-6][0-9][0-9] .*\nCSeq: ?[0-9]{1,9} [A-Z]{3,12}\r", _QUIET)
        )
        any_first = " | ".join(str(number) for number, _, _ in first_lines)
        all_headers = " & ".join(str(number) for number, _, _ in headers)
        entries: list[tuple[int, str, int]] = headers + first_lines
        entries.append(
            (_COMPLETE, f"({any_first}) & {all_headers}", hyperscan.HS_FLAG_COMBINATION | hyperscan.HS_FLAG_SINGLEMATCH)
        )
        entries.append((_TO_TAG, r"\nto:[^\n]*;[ \t]*tag[ \t]*=", single))
        entries.append((_AUTHORIZATION, r"\n(?:proxy-)?authorization:", single))
        entries += [(_TRIGGERS + number, pattern, single) for number, pattern in enumerate(TRIGGERS)]
        entries += [
            (_RULES + number, rule.prefilter, single)
            for number, rule in enumerate(ruleset.rules)
            # What does not count at this level costs no look either.
            if rule.prefilter and rule.paranoia <= paranoia
        ]
        entries += [(_GATE, pattern, single) for pattern in (gate.CHARACTERS, *gate.words())]
        try:
            self._database = compile_set([Pattern(*entry) for entry in entries])
            # The shapes cost several times more than all the rest: they wait behind the gate.
            self._shapes = ruleset.shapes
        except hyperscan.error as error:
            raise RuleError(f"the rules' prefilters do not compile together: {error}") from error

    def look(self, head: bytes) -> int:
        """Scans a request or status line with its header section, the empty line included.

        Returns a sum of `SUSPECT`, `IN_DIALOG` and `CREDENTIALS`; `ORDINARY` is a promise that no rule can fire and
        no structural check can fail but those on length and on a request without body.
        """
        seen: list[int] = []
        self._database.scan(head, _collect, 0, seen)
        if seen == [_COMPLETE]:
            return ORDINARY
        flags = SUSPECT if _COMPLETE not in seen else 0
        knock = False
        for number in seen:
            if number == _TO_TAG:
                flags |= IN_DIALOG
            elif number == _GATE:
                knock = True
            elif number == _AUTHORIZATION:
                flags |= CREDENTIALS
            elif number != _COMPLETE:
                flags |= SUSPECT
        if knock and not flags & SUSPECT:
            found: list[int] = []
            self._shapes.scan(head, _collect, 0, found)
            if found:
                flags |= SUSPECT
        return flags


def _collect(identity: int, start: int, end: int, flags: int, seen: object) -> None:
    seen.append(identity)  # type: ignore[attr-defined]
