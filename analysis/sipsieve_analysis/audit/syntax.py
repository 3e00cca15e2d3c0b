"""Makes statements and expressions of a route's tokens, by a grammar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError, UnexpectedInput
from lark.lexer import Lexer

from .tokens import Piece, Route
from .variables import Variable, parse

# Expressions -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Literal:
    """A string or number as written; a string given to a function may hold variables."""

    text: str
    line: int


@dataclass(slots=True, frozen=True)
class Read:
    """The value of a variable."""

    variable: Variable
    line: int


@dataclass(slots=True, frozen=True)
class Call:
    """A function, or `route(NAME)` with `name` "route"."""

    name: str
    arguments: tuple[Any, ...]
    line: int


@dataclass(slots=True, frozen=True)
class Operation:
    """Operands between which stand operators of one rank: `+`, `=~`, `&&`, `!` …"""

    operators: tuple[str, ...]
    operands: tuple[Any, ...]


# Statements ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Assign:
    target: Variable | None
    value: Any
    line: int


@dataclass(slots=True, frozen=True)
class Act:
    call: Call


@dataclass(slots=True, frozen=True)
class Branch:
    """`if`: with `then` and `other`."""

    condition: Any
    then: tuple[Any, ...]
    other: tuple[Any, ...]


@dataclass(slots=True, frozen=True)
class Repeat:
    condition: Any
    body: tuple[Any, ...]


@dataclass(slots=True, frozen=True)
class Choose:
    """`switch`: what is looked at, and the statements of each case."""

    subject: Any
    cases: tuple[tuple[Any, ...], ...]


@dataclass(slots=True, frozen=True)
class Leave:
    """`exit`, `drop`, `return` or `break`."""

    how: str


class _Lexer(Lexer):
    def __init__(self, _conf: Any) -> None:
        pass

    def lex(self, data: list[Piece]) -> Iterator[Token]:  # type: ignore[override]
        for piece in data:
            yield Token(piece.kind, piece.text, line=piece.line, column=0)


def _flat(items: Any) -> tuple[Any, ...]:
    found: list[Any] = []
    for item in items:
        found += item if isinstance(item, tuple) else [item]
    return tuple(found)


def _ranked(items: list[Any]) -> Any:
    """`a + b + c`: operands and operators take turns."""
    return items[0] if len(items) == 1 else Operation(tuple(str(i) for i in items[1::2]), tuple(items[0::2]))


class _Builder(Transformer[Token, Any]):
    start = v_args(inline=True)(lambda self, block: block)
    either = both = bits = compared = sum = product = staticmethod(_ranked)

    def block(self, items: list[Any]) -> tuple[Any, ...]:
        return _flat(items)

    def when(self, items: list[Any]) -> Branch:
        return Branch(items[0], _flat(items[1:2]), _flat(items[2:]))

    def loop(self, items: list[Any]) -> Repeat:
        return Repeat(items[0], _flat(items[1:]))

    def case(self, items: list[Any]) -> tuple[str, tuple[Any, ...]]:
        return ("case", _flat(i for i in items if not isinstance(i, Literal | Read | Operation | Call)))

    def choice(self, items: list[Any]) -> Choose:
        return Choose(items[0], tuple(i[1] for i in items[1:]))

    def assign(self, items: list[Any]) -> Assign:
        target = items[0]
        return Assign(parse(str(target)) if target.type == "VARIABLE" else None, items[1], target.line or 0)

    def append(self, items: list[Any]) -> Assign:
        target = items[0]
        if target.type != "VARIABLE":
            return Assign(None, items[1], target.line or 0)
        variable = parse(str(target))
        sum_ = Operation(("+",), (Read(variable, target.line or 0), items[1]))
        return Assign(variable, sum_, target.line or 0)

    def each(self, items: list[Any]) -> tuple[Any, ...]:
        first = self.assign(items[:2])
        return (first, Repeat(items[1], _flat(items[2:])))

    def target(self, items: list[Token]) -> Token:
        return items[0]

    def act(self, items: list[Any]) -> Act:
        return Act(items[0])

    def leave(self, items: list[Any]) -> Leave:
        return Leave(str(items[0]))

    def nothing(self, items: list[Any]) -> tuple[Any, ...]:
        return ()

    def call(self, items: list[Any]) -> Call:
        first = items[0]
        if first.type == "ROUTE":
            name = first[first.index("(") + 1 : -1].partition(",")[0].strip().strip("\"'")
            return Call("route", (Literal(name, first.line or 0),), first.line or 0)
        return Call(str(first), tuple(items[1:]), first.line or 0)

    def bare(self, items: list[Token]) -> Call:
        return Call(str(items[0]), (), items[0].line or 0)

    def negated(self, items: list[Any]) -> Operation:
        return Operation((str(items[0]),), (items[1],))

    signed = cast = negated

    def text(self, items: list[Token]) -> Literal:
        return Literal("".join(items), items[0].line or 0)

    def number(self, items: list[Token]) -> Literal:
        return Literal(str(items[0]), items[0].line or 0)

    word = number

    def variable(self, items: list[Token]) -> Read:
        return Read(parse(str(items[0])), items[0].line or 0)

    def select(self, items: list[Token]) -> Read:
        return Read(Variable("sel", str(items[0]), (), str(items[0])), items[0].line or 0)


_PARSER: Final = Lark(
    Path(__file__).with_name("route.lark").read_text(),
    parser="lalr",
    lexer=_Lexer,
    transformer=_Builder(),
    propagate_positions=False,
)


def statements(route: Route) -> tuple[Any, ...]:
    """The statements of a route. Raises `SyntaxError` with the line and what stands there where the grammar has no such."""
    try:
        return tuple(_PARSER.parse(route.pieces))  # type: ignore[arg-type]
    except UnexpectedInput as error:
        token = getattr(error, "token", None)
        raise SyntaxError(f"{str(token)[:40]!r}", ("", getattr(token, "line", 0) or route.line, 0, "")) from None
    except LarkError as error:
        raise SyntaxError(str(error)[:100], ("", route.line, 0, "")) from None
