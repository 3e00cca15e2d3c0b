"""Walks the routes of a Kamailio configuration as they are called, and follows what a sender wrote to where it does harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from . import values
from .catalogue import Sink, catalogue
from .findings import Collector
from .source import Place, Text
from .syntax import Act, Assign, Branch, Call, Choose, Leave, Literal, Operation, Read, Repeat, statements
from .tokens import Parts, Route
from .values import NOTHING, Step, Taint, Value
from .variables import Variable, parse, pieces

#: Statements that are walked in all, and routes called in each other: what is beyond is said, not followed.
MAX_STATEMENTS: Final = 200_000
MAX_CALLS: Final = 25

#: Functions that put a text into a variable: which argument is the text, which names the variable.
_ASSIGNING: Final = {
    "pv_printf": (1, 0), "avp_printf": (1, 0), "avp_copy": (0, 1), "pv_var_to_xavp": (0, 1), "jansson_get": (1, 2),
    "json_get_field": (0, 2), "json_get_string": (0, 2), "jansson_set": (2, 3), "set_uri_user": (1, 0),
}  # fmt: skip

#: Functions that put a key and a value into a queue.
#: Before the name of a variable that may hold marks of a keypad, and else is harmless.
_KEYS: Final = "*#"

_QUEUES: Final = {"mq_add", "mqueue_add"}

#: URL schemes of database connections, as modules are named by.
_DIALECTS: Final = {
    "mysql": "mysql", "postgres": "postgres", "sqlite": "sqlite", "unixodbc": "unixodbc", "oracle": "oracle",
}  # fmt: skip


@dataclass
class State:
    """What is known at one place: values of variables, and variables that a comparison has shown to be harmless."""

    variables: dict[str, Value] = field(default_factory=dict)
    narrow: frozenset[str] = frozenset()

    def copy(self) -> State:
        return State(dict(self.variables), self.narrow)


def joined(states: Iterable[State | None]) -> State | None:
    """What is known where several ways meet; None where none gets there."""
    there = [state for state in states if state is not None]
    if not there:
        return None
    names = {name for state in there for name in state.variables}
    return State(
        {name: values.either(state.variables.get(name, NOTHING) for state in there) for name in names},
        frozenset.intersection(*(state.narrow for state in there)),
    )


class Walker:
    """One configuration, with one set of defines."""

    def __init__(self, text: Text, parts: Parts, collector: Collector) -> None:
        self._text = text
        self._collector = collector
        self._routes: dict[str, Route] = {route.name: route for route in parts.routes if route.kind == "route"}
        self._entries = [route for route in parts.routes if route.kind != "route"]
        if main := next((r for r in parts.routes if r.kind == "route" and r.name in {"", "0"}), None):
            self._entries.append(main)
        self._read: dict[int, tuple[Any, ...]] = {}
        self._called: set[str] = set()
        self._stack: list[str] = []
        self._left = MAX_STATEMENTS
        #: What was known where the route that is walked was left by `return` and the like.
        self._left_by: dict[str, list[State]] = {"return": [], "break": []}
        #: Values of what outlives a message or passes from route to route ($avp, $sht, $shv …).
        self._kept: dict[str, Value] = {}
        self._known = catalogue()
        self._sinks: dict[str, list[Sink]] = {}
        self._targets: dict[str, list[str]] = {}
        sinks = [sink for sink in self._known.sinks if sink.dialect in {"", parts.dialect}]
        for sink in sinks:
            for name in sink.variables:
                self._targets.setdefault(name, []).append(sink.kind)
        for sink in sinks:
            for name in sink.functions:
                self._sinks.setdefault(name, []).append(sink)
        self._dialects = _dialects(parts)
        #: Routes that can't be read: where, and what stands there.
        self.unread: list[tuple[Place, str]] = []
        #: True where the bound on statements was met.
        self.cut = False

    def walk(self) -> None:
        """Walks all routes; twice, since what one route keeps another may read."""
        for _ in range(2):
            self._called.clear()
            for route in self._entries:
                self._run(route, State())
            # What nothing calls by name may be called by a computed one, or from a script.
            for name, route in self._routes.items():
                if name not in self._called and name not in {"", "0"}:
                    self._run(route, State())
        self.cut = self._left <= 0

    # Statements --------------------------------------------------------------------------------------------------------

    def _run(self, route: Route, state: State) -> State | None:
        outer, self._left_by = self._left_by, {"return": [], "break": []}
        through = self._block(self._statements(route), state)
        inner, self._left_by = self._left_by, outer
        return joined((through, *inner["return"], *inner["break"]))

    def _breaking(self, blocks: Iterable[tuple[tuple[Any, ...], State]]) -> list[State | None]:
        """What is known behind blocks that a `break` leaves."""
        outer, self._left_by["break"] = self._left_by["break"], []
        ends = [self._block(block, state) for block, state in blocks]
        inner, self._left_by["break"] = self._left_by["break"], outer
        return [*ends, *inner]

    def _statements(self, route: Route) -> tuple[Any, ...]:
        known = self._read.get(id(route))
        if known is None:
            try:
                known = statements(route)
            except SyntaxError as error:
                self.unread.append((self._text.place(error.lineno or route.line), error.msg))
                known = ()
            self._read[id(route)] = known
        return known

    def _block(self, block: tuple[Any, ...], state: State | None) -> State | None:
        for one in block:
            if state is None:
                return None
            state = self._statement(one, state)
        return state

    def _statement(self, one: Any, state: State) -> State | None:
        self._left -= 1
        if self._left <= 0:
            return None
        match one:
            case Assign(target, value, line):
                got = self._value(value, state)
                if target is not None:
                    self._keep(target, got, state, line)
                    for kind in self._targets.get(target.name, ()):
                        self._collector.reached(kind, target.name, got, self._text.place(line))
            case Act(call):
                return self._call(call, state)
            case Branch(condition, then, other):
                self._value(condition, state)
                where_true, where_false = self._shown(condition)
                yes, no = state.copy(), state.copy()
                yes.narrow |= where_true
                no.narrow |= where_false
                return joined((self._block(then, yes), self._block(other, no)))
            case Repeat(condition, body):
                self._value(condition, state)
                once = joined(self._breaking([(body, state.copy())]))
                twice = self._breaking([(body, once.copy())]) if once else []
                return joined((state, once, *twice))
            case Choose(subject, cases):
                self._value(subject, state)
                return joined((state, *self._breaking((case, state.copy()) for case in cases)))
            case Leave(how):
                if how in self._left_by:
                    self._left_by[how].append(state)
                return None
        return state

    def _call(self, call: Call, state: State) -> State | None:
        if call.name == "route" and isinstance(call.arguments[0], Literal):
            name = call.arguments[0].text
            if "$" not in name:
                return self._enter(name, state)
        # OpenSIPS: a route with parameters, which it reads as $param(1) and so on.
        if call.name == "route" and len(call.arguments) > 1 and isinstance(call.arguments[0], Call):
            for number, argument in enumerate(call.arguments[1:], 1):
                target = Variable("param", str(number), (), f"$param({number})")
                self._keep(target, self._argument(argument, state), state, call.line)
            return self._enter(call.arguments[0].name, state)
        if call.name in {"async", "launch"} and len(call.arguments) > 1:
            self._function(call, state)
            resumed = call.arguments[-1]
            return self._enter(resumed.name, state) if isinstance(resumed, Call) else state
        self._function(call, state)
        return None if call.name in {"exit", "drop"} else state

    def _enter(self, name: str, state: State) -> State | None:
        route = self._routes.get(name)
        self._called.add(name)
        if route is None or name in self._stack or len(self._stack) >= MAX_CALLS:
            return state
        self._stack.append(name)
        try:
            return self._run(route, state)
        finally:
            self._stack.pop()

    # Expressions -------------------------------------------------------------------------------------------------------

    def _value(self, expression: Any, state: State) -> Value:
        """What an expression may be; functions in it are called on the way."""
        match expression:
            case Literal(text, _):
                return values.literal(text)
            case Read(variable, line):
                return self._variable(variable, state, line)
            case Call():
                if expression.name == "route":
                    self._call(expression, state)
                else:
                    self._function(expression, state)
                return NOTHING
            case Operation(operators, operands):
                got = [self._value(operand, state) for operand in operands]
                return values.together(got) if set(operators) == {"+"} else NOTHING
        return NOTHING

    def _variable(self, variable: Variable, state: State, line: int) -> Value:
        place = self._text.place(line)
        if variable.kind == "_s":
            return self._shown_text(variable.inner, state, line)
        # $T_req($fU): the same of another message of the transaction.
        if variable.inner.startswith("$") and variable.kind in {"T_req", "T_rpl", "T_inv"}:
            return self._variable(parse(variable.inner), state, line)
        if variable.name in state.narrow:
            return NOTHING
        stored = state.variables.get(variable.name)
        if stored is None and variable.kind != "var":
            stored = self._kept.get(variable.name)
        keys = (values.KEYPAD,) if _KEYS + variable.name in state.narrow else ()
        if stored is not None:
            return values.mapped(stored, keys + variable.transformations)
        source = self._known.source(variable)
        # @cfg_get and the like show what stands in the configuration.
        if source is None or variable.inner.startswith(("@cfg_get", "@sys.", "@proc.")):
            return NOTHING
        step = Step(place, f"reads {variable.written}")
        transformations = keys + variable.transformations
        return ((Taint(source, variable.written, variable.inner, place, transformations, (step,)),),)

    def _shown_text(self, text: str, state: State, line: int) -> Value:
        """A string as a function shows it: variables in it replaced by their values."""
        return values.together(
            values.literal(piece) if isinstance(piece, str) else self._variable(piece, state, line)
            for piece in pieces(text)
        )

    def _argument(self, argument: Any, state: State) -> Value:
        if isinstance(argument, Literal):
            return self._shown_text(argument.text, state, argument.line)
        return self._value(argument, state)

    def _keep(self, target: Variable, value: Value, state: State, line: int) -> None:
        step = Step(self._text.place(line), f"into {target.name}")
        value = values.mapped(value, (), step)
        state.narrow -= {target.name, _KEYS + target.name}
        state.variables[target.name] = value
        if target.kind != "var" and values.tainted(value):
            self._kept[target.name] = values.either((self._kept.get(target.name, NOTHING), value))

    def _function(self, call: Call, state: State) -> None:
        place = self._text.place(call.line)
        if (positions := _ASSIGNING.get(call.name)) and len(call.arguments) > max(positions):
            text, named = (call.arguments[position] for position in positions)
            if (target := _target(named)) is not None:
                self._keep(target, self._argument(text, state), state, call.line)
        if call.name in _QUEUES and len(call.arguments) == 3 and isinstance(call.arguments[0], Literal):
            # What was put into a queue is read from it as $mqk and $mqv, by another process.
            for kind, text in zip(("mqk", "mqv"), call.arguments[1:], strict=True):
                queue = call.arguments[0].text
                target = Variable(kind, queue, (), f"${kind}({queue})")
                self._keep(target, self._argument(text, state), state, call.line)
        for argument in call.arguments:
            if isinstance(argument, Call | Operation):
                self._value(argument, state)
        for sink in self._sinks.get(call.name, ()):
            for position in sink.arguments:
                if position >= len(call.arguments):
                    continue
                dialect = ""
                if sink.kind == "sql":
                    named = call.arguments[sink.connection] if sink.connection is not None else None
                    dialect = self._dialects.get(named.text if isinstance(named, Literal) else "", "")
                got = self._argument(call.arguments[position], state)
                self._collector.reached(sink.kind, call.name, got, place, dialect)

    # What a condition shows ----------------------------------------------------------------------------------------------

    def _shown(self, condition: Any) -> tuple[frozenset[str], frozenset[str]]:
        """Variables that are harmless where a condition holds, and where it does not."""
        nothing: frozenset[str] = frozenset()
        match condition:
            case Operation(("=~",) | ("!~",) as operators, (Read(variable, _), Literal(pattern, _))):
                shown = nothing
                if values.narrow(pattern, keys=True) and not variable.transformations:
                    shown = frozenset({_KEYS + variable.name})
                    if values.narrow(pattern):
                        shown |= {variable.name}
                return (shown, nothing) if operators == ("=~",) else (nothing, shown)
            case Operation(("==",), (Read(variable, _), Literal(_, _))):
                # Equal to what stands in the file.
                return frozenset({variable.name}), nothing
            case Operation(("!=",), (Read(variable, _), Literal(_, _))):
                return nothing, frozenset({variable.name})
            case Operation(("!" | "not",), (inner,)):
                yes, no = self._shown(inner)
                return no, yes
            case Operation(operators, operands) if set(operators) <= {"&&", "and", "||", "or"}:
                where_true, where_false = zip(*(self._shown(operand) for operand in operands), strict=True)
                # Where all hold each has shown something, where one of them does only what they all show.
                if set(operators) <= {"&&", "and"}:
                    return nothing.union(*where_true), frozenset.intersection(*where_false)
                return frozenset.intersection(*where_true), nothing.union(*where_false)
            case Call("is_numeric", (argument, *_)):
                target = _target(argument)
                return (frozenset({target.name}) if target else nothing), nothing
        return nothing, nothing


def _target(argument: Any) -> Variable | None:
    """The variable that an argument names, as text or as itself."""
    match argument:
        case Read(variable, _):
            return variable
        case Literal(text, _) if text.startswith("$"):
            found = next(iter(pieces(text)), None)
            return found if isinstance(found, Variable) else None
    return None


def _dialects(parts: Parts) -> dict[str, str]:
    """Which database stands behind each named connection; under "" the one that unnamed ones use."""
    found: dict[str, str] = {}
    for parameter in parts.parameters:
        url = parameter.value
        name = ""
        if parameter.module == "sqlops" and parameter.name == "sqlcon" and "=>" in url:
            name, _, url = (part.strip() for part in url.partition("=>"))
        elif parameter.name not in {"db_url", "default_db_url"}:
            continue
        # OpenSIPS: `1 mysql://…`, `[default]mysql://…`.
        scheme = url.partition(":")[0].replace("]", " ").split()
        if (dialect := _DIALECTS.get(scheme[-1].lower() if scheme else "")) is not None:
            found.setdefault(name, dialect)
    return found


def unread(routes: Iterable[Route], text: Text) -> Iterator[tuple[Place, str]]:
    """Routes in which a character stands that the language has not."""
    for route in routes:
        if route.trouble:
            yield text.place(route.line), route.trouble
