"""Takes a configuration of Kamailio or OpenSIPS apart into modules, parameters, settings and routes, and routes into tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .source import Text
from .variables import end_of

_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*+)\'', re.S)
_LOAD: Final = re.compile(r"\bloadmodulex?\b[ \t]*+\(?[ \t]*+(?:\"([^\"]*)\"|'([^']*)'|([\w./-]++))")
_HEAD: Final = re.compile(
    r"\b(request_route|reply_route|onreply_route|failure_route|branch_route|onsend_route|event_route|startup_route|timer_route"
    r"|local_route|error_route|route)\b"
    r"[ \t]*+(?:\[[ \t]*+([^\]\n]*+)\])?[ \t\n]*+\{"
)
_SETTING: Final = re.compile(r"^[ \t]*+([a-z][\w.]*+)[ \t]*+=[ \t]*+([^\n;]*+)", re.M)
_MODPARAM: Final = re.compile(r"\bmodparamx?[ \t\n]*+\(")
_TOKENS: Final = re.compile(
    r"(?P<SPACE>[ \t\r\n]++)"
    r"|(?P<ADDRESS>\d{1,3}(?:\.\d{1,3}){3}(?:/[\d.]++)?|\[[0-9A-Fa-f:]++\])"
    r"|(?P<NUMBER>0[xX][0-9A-Fa-f]++|\d++)"
    r"|(?P<ROUTE>\broute[ \t]*+\([^)$\n]*+\))"
    r"|(?P<CAST>\((?:int|str)\))"
    r"|(?P<SELECT>@[A-Za-z_][\w.]*+(?:\[[^\]\n]*+\][\w.]*+)*)"
    r"|(?P<ID>[A-Za-z_]\w*+(?:::?\w+)*)"
    r"|(?P<SET>:=)|(?P<APPEND>\+=)|(?P<OR>\|\|)|(?P<AND>&&)|(?P<COMPARE>===?|=~|!~|!=|<=|>=)|(?P<SHIFT><<|>>)"
    r"|(?P<ONE>[{}(),;:=<>+\-*/%|&^~!\[\].])"
)
_WORDS: Final = {
    "for": "_FOR", "in": "_IN", "if": "_IF", "else": "_ELSE", "while": "_WHILE", "switch": "_SWITCH", "case": "_CASE", "default": "_DEFAULT",
    "return": "KEYWORD", "exit": "KEYWORD", "drop": "KEYWORD", "break": "KEYWORD", "or": "OR", "and": "AND",
    "not": "NOT", "defined": "NOT", "strlen": "NOT", "strempty": "NOT", "eq": "COMPARE", "ne": "COMPARE",
    "ieq": "COMPARE", "ine": "COMPARE", "mod": "TIMES", "div": "TIMES", "band": "BIT", "bor": "BIT",
}  # fmt: skip
_ONES: Final = {
    "{": "_LBRACE", "}": "_RBRACE", "(": "_LPAR", ")": "_RPAR", ",": "_COMMA", ";": "_SEMICOLON", ":": "_COLON",
    "=": "_EQUAL", "<": "COMPARE", ">": "COMPARE", "+": "SIGN", "-": "SIGN", "*": "TIMES", "/": "TIMES", "%": "TIMES",
    "|": "BIT", "&": "BIT", "^": "BIT", "~": "NOT", "!": "NOT", ".": "SIGN",
}  # fmt: skip


_OTHERS: Final = {"SHIFT": "BIT", "SET": "_EQUAL", "APPEND": "_APPEND"}
#: Modules that only OpenSIPS has.
_OPENSIPS: Final = {
    "proto_udp", "proto_tcp", "proto_tls", "proto_ws", "proto_wss", "signaling", "sipmsgops", "rest_client", "clusterer", "proto_hep",
}  # fmt: skip


class Piece(NamedTuple):
    """A token of a route: its kind by the grammar, its text (of a string: what stands between the quotes), its line."""

    kind: str
    text: str
    line: int


@dataclass
class Route:
    """A route: `kind` as it is written (`request_route`, `route`, `event_route` …), its name, and its block's tokens."""

    kind: str
    name: str
    line: int
    pieces: list[Piece] = field(default_factory=list)
    #: What of it can't be read: a place and a word.
    trouble: str = ""


class Parameter(NamedTuple):
    """`modparam(module, name, value)`."""

    module: str
    name: str
    value: str
    line: int


@dataclass
class Parts:
    """What a configuration consists of."""

    modules: dict[str, int] = field(default_factory=dict)
    parameters: list[Parameter] = field(default_factory=list)
    settings: list[tuple[str, str, int]] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    #: `#!KAMAILIO` apart, whether the routes are in another language: the value of cfgengine.
    engine: str = ""

    @property
    def dialect(self) -> str:
        """Whose configuration it is: `opensips` or `kamailio`."""
        its = any(name == "mpath" and "opensips" in value for name, value, _ in self.settings)
        return "opensips" if its or _OPENSIPS & self.modules.keys() else "kamailio"


def take_apart(text: Text) -> Parts:
    """The parts of a configuration; a route with a character that no token begins with says so in `trouble`."""
    whole = "\n".join(text.lines) + "\n"
    parts = Parts()
    outside: list[str] = []
    at = 0
    for head in _HEAD.finditer(whole):
        if head.start() < at:
            continue
        outside.append(whole[at : head.start()])
        line = whole.count("\n", 0, head.start()) + 1
        route = Route(head[1], (head[2] or "").partition(",")[0].strip().strip("\"'"), line)
        at = _block(whole, head.end() - 1, route)
        parts.routes.append(route)
        outside.append("\n" * whole.count("\n", head.start(), at))
    outside.append(whole[at:])
    _outside("".join(outside), parts)
    return parts


def _outside(text: str, parts: Parts) -> None:
    def line(at: int) -> int:
        return text.count("\n", 0, at) + 1

    for found in _LOAD.finditer(text):
        name = (found[1] or found[2] or found[3]).rpartition("/")[2].removesuffix(".so")
        parts.modules.setdefault(name, line(found.start()))
    for found in _MODPARAM.finditer(text):
        arguments: list[str] = []
        at = found.end()
        while len(arguments) < 3:
            at += len(text[at:]) - len(text[at:].lstrip(" \t\n,"))
            if string := _STRING.match(text, at):
                arguments.append(string[1] if string[1] is not None else string[2])
                at = string.end()
            elif value := re.compile(r"[^,()\s]++").match(text, at):
                arguments.append(value[0])
                at = value.end()
            else:
                break
        if len(arguments) == 3:
            for module in arguments[0].split("|"):
                parts.parameters.append(Parameter(module, arguments[1], arguments[2], line(found.start())))
    for found in _SETTING.finditer(text):
        setting = found[2].strip().strip("\"'")
        parts.settings.append((found[1], setting, line(found.start(1))))
        if found[1] == "cfgengine":
            parts.engine = setting


def _block(text: str, at: int, route: Route) -> int:
    """Adds the tokens of the block that begins at `at`; where the text behind it begins."""
    depth = 0
    for piece, end in _pieces(text, at):
        if piece.kind == "trouble":
            route.trouble = route.trouble or f"a {piece.text!r} in line {piece.line} of what was read"
            continue
        route.pieces.append(piece)
        depth += (piece.kind == "_LBRACE") - (piece.kind == "_RBRACE")
        if not depth:
            return end
    route.trouble = route.trouble or "its block does not end"
    return len(text)


def _pieces(text: str, at: int) -> Iterator[tuple[Piece, int]]:
    line = text.count("\n", 0, at) + 1
    while at < len(text):
        one = text[at]
        if one == "$" and (end := end_of(text, at)) > at:
            kind, said = "VARIABLE", text[at:end]
        elif one in "\"'" and (string := _STRING.match(text, at)):
            end = string.end()
            kind, said = "STRING", _unescaped(string[1]) if string[1] is not None else string[2]
        elif found := _TOKENS.match(text, at):
            end, said = found.end(), found[0]
            kind = found.lastgroup or ""
            if kind == "ONE":
                kind = _ONES.get(said, "trouble")
            elif kind == "ID":
                kind = _WORDS.get(said.lower(), "ID")
            elif kind in _OTHERS:
                kind = _OTHERS[kind]
        elif one in "\"'":
            # It does not close, and so nothing behind it is read: what is no string can't be told from what is one.
            end, kind, said = len(text), "trouble", one
        else:
            end, kind, said = at + 1, "trouble", one
        if kind != "SPACE":
            yield Piece(kind, said, line), end
        line += text.count("\n", at, end)
        at = end


def _unescaped(text: str) -> str:
    """A string in double quotes as Kamailio reads it."""
    known = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "\\": "\\", '"': '"'}
    return re.sub(r"\\(.)", lambda found: known.get(found[1], found[0]), text, flags=re.S)
