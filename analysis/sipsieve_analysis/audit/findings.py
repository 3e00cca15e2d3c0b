"""What the audit finds: where SIP data comes from, its way, where it does harm, the message that shows it, what to write instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from .catalogue import SEVERITIES, Catalogue, catalogue
from .source import Place
from .values import Standing, Step, Taint, Value, standings

#: What makes a value harmless, by reader and dialect, to write around the variable.
_REMEDY: Final = {
    ("sql", "mysql"): "s.escape.common",
    ("sql", ""): "s.escape.common",
    ("sql", "postgres"): "s.replace,',''",
    ("sql", "sqlite"): "s.replace,',''",
    ("sql", "opensips"): "re.subst,/'/''/g",
    ("shell", ""): "s.encode.hexa",
    ("code", ""): "s.encode.hexa",
    ("url", ""): "s.urlencode.param",
    ("json", ""): "s.escape.common",
    ("redis", ""): "s.urlencode.param",
    ("ldap", ""): "s.encode.hexa",
    ("file", ""): "s.escape.csv",
    ("log", ""): "s.escape.param",
}


@dataclass(slots=True, frozen=True)
class Finding:
    """One way from a message to harm, or one thing that is missing or wrong in the configuration."""

    rule: str
    severity: str
    place: Place
    what: str
    why: str
    function: str = ""
    variable: str = ""
    source: str = ""
    steps: tuple[Step, ...] = ()
    message: str = ""
    corrected: str = ""
    advice: str = ""
    #: A word on the variant of the configuration that it is in; "" where it is as it stands.
    variant: str = ""
    cwe: int = 0
    #: For the proof: what to look for.
    kind: str = ""
    taint: Taint | None = None
    #: "" where no proof was asked for.
    proof: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.rule, self.place, self.variable, self.function)


@dataclass
class Collector:
    """Gathers findings of one configuration, each once."""

    #: Lines of a file, for the corrected ones.
    line_of: Any
    known: Catalogue = field(default_factory=catalogue)
    variant: str = ""
    #: Whose configuration it is, `kamailio` or `opensips`.
    language: str = "kamailio"
    found: dict[tuple[Any, ...], Finding] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        self.found.setdefault(finding.key, finding)

    def reached(self, kind: str, function: str, value: Value, place: Place, dialect: str = "") -> None:
        """A value reaches a reader: what of it was a sender's, and is not made harmless there, is a finding."""
        about = self.known.kinds[kind]
        quotes = {"sql": "'\"", "shell": "'\"", "json": '"', "code": "'\""}.get(kind, "")
        for row in value:
            for standing in standings(row, quotes):
                if self._harmless(kind, standing, dialect):
                    continue
                self.add(self._finding(kind, function, standing, place, dialect, about))

    def _harmless(self, kind: str, standing: Standing, dialect: str) -> bool:
        inside = bool(standing.quote)
        if self.known.text_to(kind, standing.taint.transformations, inside, dialect or "mysql"):
            return True
        if kind == "json":
            # Whole bodies are handed on; only what is put between somebody's quotes is put together by hand.
            return not inside and "{" not in standing.before
        return (
            kind == "redis"
            and " " not in standing.before.strip()
            and "\0" not in standing.before
            and not standing.before
        )

    def _finding(self, kind: str, function: str, at: Standing, place: Place, dialect: str, about: Any) -> Finding:
        taint = at.taint
        severity, what, why = about.severity, about.what, about.why
        misfit = [name for name in taint.transformations if name.startswith(("s.escape", "sql."))]
        if kind == "header" and any(name in self.known.unescapes for name in taint.transformations):
            severity, what = "high", "header injection"
            why = "what is unescaped can hold line ends, and so header fields of the sender's own"
        if kind == "url" and at.before.count("/") < 3:
            severity, what = "high", "the sender names the host that the server asks"
        if misfit:
            where = f"inside {at.quote}…{at.quote}" if at.quote else "outside quotes"
            why += f"; {', '.join(misfit)} does not stop it {where}" + (f" in {dialect}" if dialect else "")
        written, corrected, advice = taint.written, "", _ADVICE.get(kind, "")
        remedy = _REMEDY.get((kind, dialect)) or _REMEDY.get((kind, ""), "")
        if self.language == "opensips":
            # It has no s.replace, nor all of the encodings.
            remedy = {"s.replace,',''": _REMEDY["sql", "opensips"], "s.urlencode.param": "s.escape.param"}.get(
                remedy, remedy
            )
            remedy = "" if kind == "file" else remedy
        line = self.line_of(taint.read)
        if written.startswith("KSR.") or (kind == "sql" and "." in function):
            remedy = ""
            advice = _IN_PYTHON.get(kind, advice)
        if remedy and written in line:
            fixed = around(written, remedy)
            if kind == "sql" and not at.quote and line.count(written) == 1:
                fixed = f"'{fixed}'"
            corrected = line.replace(written, fixed).strip()
        value = about.exploit if at.quote else about.unquoted
        return Finding(
            f"{kind}-{'quoted' if at.quote else 'bare'}", severity, place, what, why, function, written,
            taint.source.what, (*taint.steps, Step(place, function if function[0] == "$" else f"{function}(…)")), message_for(taint, value), corrected,
            advice, self.variant, about.cwe, kind, taint,
        )  # fmt: skip


_ADVICE: Final = {
    "shell": "hand it to the program as hexadecimal and decode it there, or in an environment variable that no shell reads again",
    "code": "hand it to the function as an argument, not as part of its text",
    "json": "put the document together with jansson_set, which quotes each value",
    "redis": 'use the form with %s, as redis_cmd("srv", "GET %s", "$fU", "r")',
    "ldap": 'allow only letters and digits before the search: if ($fU !~ "^[0-9A-Za-z._-]+$") { exit; }',
    "header": "leave the value escaped",
    "file": "escape it as the program that reads the file asks for",
    "log": "",
    "sql": "give the database no more than letters and digits, or let a KEMI script ask with parameters",
    "route": "compare with the names that are meant, in a switch",
    "socket": "compare with the sockets that are meant, in a switch",
    "url": "encode it, and never let it stand where the host does",
}

_IN_PYTHON: Final = {
    "sql": 'give values apart from the query: cursor.execute("... where name = ?", (name,)); KSR.sqlops has no such form',
    "shell": "call subprocess.run with a list and without a shell, or shlex.quote each value",
    "url": "urllib.parse.quote the value, and never let it stand where the host does",
    "json": "json.dumps the whole document",
    "code": "call the function with the value as an argument",
}


def around(written: str, transformation: str) -> str:
    """A variable with one more transformation: `$fU` → `$(fU{s.len})`."""
    if written.startswith("$("):
        return f"{written[:-1]}{{{transformation}}})"
    return f"$({written[1:]}{{{transformation}}})"


def message_for(taint: Taint, value: str) -> str:
    """The SIP message that brings a value there."""
    template = taint.source.message.replace("{inner}", taint.inner or "X-Header")
    if taint.source.quoted:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    elif template.startswith(("REQUEST", "METHOD")) or "sip:" in template:
        # A URI has no blanks; SQL reads a comment as one.
        value = value.replace(" ", "/**/")
    put = template.replace("{}", value)
    if put.startswith("GET "):
        return f"{put} HTTP/1.1\r\nHost: example.com\r\n\r\n"
    fields = {
        "Via": "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKaudit",
        "From": "<sip:caller@example.com>;tag=1",
        "To": "<sip:100@example.com>",
        "Call-ID": "audit@example.com",
        "CSeq": "1 INVITE",
        "Contact": "<sip:caller@127.0.0.1:5070>",
        "Max-Forwards": "10",
        "User-Agent": "audit",
    }
    first, body = "INVITE sip:100@example.com SIP/2.0", ""
    if put.startswith("REQUEST "):
        first = f"INVITE {put[8:]} SIP/2.0"
    elif put.startswith("METHOD "):
        first, fields["CSeq"] = f"{put[7:]} sip:100@example.com SIP/2.0", f"1 {put[7:]}"
    elif put.startswith("REPLY "):
        first = f"SIP/2.0 404 {put[6:]}"
    elif put.startswith("BODY "):
        body = put[5:] + "\r\n"
    else:
        name, _, rest = put.partition(": ")
        if name == "From" and ";tag=" not in rest:
            rest += ";tag=1"
        fields[name] = rest
    lines = [first, *(f"{name}: {text}" for name, text in fields.items()), f"Content-Length: {len(body.encode())}"]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def ranked(found: dict[tuple[Any, ...], Finding]) -> list[Finding]:
    """The worst first, then as they stand in the files."""
    return sorted(found.values(), key=lambda f: (SEVERITIES.index(f.severity), f.place, f.variable))
