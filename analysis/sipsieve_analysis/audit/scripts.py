"""Follows what a sender wrote through a KEMI script in Python, by its syntax tree; nothing of it is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

from . import values
from .catalogue import Sink, catalogue
from .findings import Collector
from .source import MAX_BYTES, AuditError, Place
from .values import NOTHING, Step, Taint, Value
from .variables import Variable, parse, pieces

#: KSR's own readers of a message, as variables.
_READERS: Final = {
    "kx.get_fuser": "$fU", "kx.get_tuser": "$tU", "kx.get_ruser": "$rU", "kx.gete_fuser": "$fU", "kx.gete_tuser": "$tU",
    "kx.gete_ruser": "$rU", "kx.get_furi": "$fu", "kx.get_turi": "$tu", "kx.get_ruri": "$ru", "kx.get_ua": "$ua",
    "kx.gete_ua": "$ua", "kx.getw_ua": "$ua", "kx.get_callid": "$ci", "kx.getw_callid": "$ci", "kx.get_body": "$rb",
    "kx.getw_fuser": "$fU", "kx.getw_tuser": "$tU", "kx.getw_ruser": "$rU", "kx.getw_furi": "$fu", "kx.get_fhost": "$fd",
    "kx.get_au": "$au", "kx.gete_au": "$au",
}  # fmt: skip
_HEADER_READERS: Final = {"hdr.get", "hdr.gete", "hdr.getw", "hdr.get_idx", "hdr.gete_idx", "hdr.getw_idx"}
_VARIABLE_READERS: Final = {"pv.get", "pv.gete", "pv.getw", "pv.getvn", "pv.getvs", "pvx.pv_get"}
#: What Python has of its own: last words of a call, and which arguments reach the reader.
_PYTHON_SINKS: Final = {
    "os.system": "shell", "os.popen": "shell", "subprocess.getoutput": "shell", "subprocess.getstatusoutput": "shell",
    "eval": "code", "exec": "code", "urllib.request.urlopen": "url", "requests.get": "url", "requests.post": "url",
    "httpx.get": "url", "httpx.post": "url",
}  # fmt: skip
_SHELLS: Final = {
    "subprocess.run",
    "subprocess.call",
    "subprocess.check_output",
    "subprocess.check_call",
    "subprocess.Popen",
}
#: Calls after which nothing of a text is left that a reader could take as code, by reader.
_CLEANERS: Final = {
    "int": None, "len": None, "float": None, "bool": None, "shlex.quote": {"shell"}, "urllib.parse.quote": {"url"},
    "urllib.parse.quote_plus": {"url"}, "json.dumps": {"json"}, "hashlib.sha256": None, "hashlib.md5": None,
}  # fmt: skip
_TESTS: Final = {"isdigit", "isalnum", "isdecimal", "isalpha", "isnumeric"}
MAX_CALLS: Final = 12


def walk(path: Path, collector: Collector) -> list[tuple[Place, str]]:
    """Adds a script's findings; what of it can't be read. Raises `AuditError` where the file can't be."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}: name a file that can be read") from None
    if len(raw) > MAX_BYTES:
        raise AuditError(f"{path}: more than {MAX_BYTES >> 20} MiB: this is no script")
    try:
        tree = ast.parse(raw, str(path))
    except (SyntaxError, ValueError, RecursionError) as error:
        return [(Place(str(path), getattr(error, "lineno", 1) or 1), f"no Python: {error}")]
    _Script(str(path), tree, collector).walk()
    return []


class _Script:
    def __init__(self, file: str, tree: ast.Module, collector: Collector) -> None:
        self._file = file
        self._tree = tree
        self._collector = collector
        self._functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        self._stack: list[str] = []
        #: Attributes of self and globals, which any function may read.
        self._kept: dict[str, Value] = {}
        self._narrow: set[str] = set()
        self._known = catalogue()
        self._sinks: dict[str, list[Sink]] = {}
        for sink in self._known.sinks:
            for name in sink.kemi:
                self._sinks.setdefault(name, []).append(sink)

    def walk(self) -> None:
        for _ in range(2):
            self._block(self._tree.body, {})
            for function in self._functions.values():
                self._block(function.body, {})

    # Statements

    def _block(self, body: list[ast.stmt], state: dict[str, Value]) -> Value:
        """Walks statements in order; what a `return` among them may give."""
        given: Value = NOTHING
        for one in body:
            match one:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    continue
                case ast.ClassDef():
                    self._block(one.body, dict(state))
                case ast.Assign(targets, value):
                    got = self._value(value, state)
                    for target in targets:
                        self._keep(target, got, state, one.lineno)
                case ast.AnnAssign(target, _, value) if value is not None:
                    self._keep(target, self._value(value, state), state, one.lineno)
                case ast.AugAssign(target, _, value):
                    both = values.together((self._value(target, state), self._value(value, state)))
                    self._keep(target, both, state, one.lineno)
                case ast.Return(value):
                    if value is not None:
                        given = values.either((given, self._value(value, state)))
                case ast.If(condition, then, other):
                    self._value(condition, state)
                    shown, where_true = self._shown(condition)
                    there = dict(state)
                    if where_true:
                        there |= dict.fromkeys(shown, NOTHING)
                    given = values.either((given, self._block(then, there)))
                    elsewhere = dict(state)
                    if not where_true:
                        elsewhere |= dict.fromkeys(shown, NOTHING)
                    given = values.either((given, self._block(other, elsewhere)))
                    left = bool(then) and isinstance(then[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)
                    for name in there.keys() | elsewhere.keys():
                        ways = [elsewhere] if left else [there, elsewhere]
                        state[name] = values.either(way.get(name, NOTHING) for way in ways)
                case ast.For(target, iterable, inner, other):
                    self._keep(target, self._value(iterable, state), state, one.lineno)
                    given = values.either((given, self._block([*inner, *other], state)))
                case ast.While(condition, inner, other):
                    self._value(condition, state)
                    given = values.either((given, self._block([*inner, *other], state)))
                case ast.With(items, inner):
                    for item in items:
                        self._value(item.context_expr, state)
                    given = values.either((given, self._block(inner, state)))
                case ast.Try(inner, handlers, other, final):
                    blocks = [inner, *(h.body for h in handlers), other, final]
                    given = values.either([given, *(self._block(block, state) for block in blocks)])
                case ast.Expr(value):
                    self._value(value, state)
        return given

    def _keep(self, target: ast.expr, got: Value, state: dict[str, Value], line: int) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for one in target.elts:
                self._keep(one, got, state, line)
            return
        name = _dotted(target.value if isinstance(target, ast.Subscript) else target)
        if name:
            value = values.mapped(got, (), Step(Place(self._file, line), f"into {name}"))
            state[name] = value
            if "." in name and values.tainted(value):
                self._kept[name] = values.either((self._kept.get(name, NOTHING), value))

    # Expressions

    def _value(self, node: ast.expr, state: dict[str, Value]) -> Value:
        match node:
            case ast.Constant(str() as text):
                return values.literal(text)
            case ast.Name() | ast.Attribute():
                name = _dotted(node)
                return state.get(name, self._kept.get(name, NOTHING)) if name else NOTHING
            case ast.JoinedStr(parts):
                return values.together(self._value(part, state) for part in parts)
            case ast.FormattedValue(inner):
                return self._value(inner, state)
            case ast.BinOp(left, ast.Add(), right):
                return values.together((self._value(left, state), self._value(right, state)))
            case ast.BinOp(left, ast.Mod(), right):
                return self._filled(self._value(left, state), [self._value(right, state)])
            case ast.Tuple(items) | ast.List(items) | ast.Set(items):
                return values.either(self._value(item, state) for item in items)
            case ast.Dict(_, items):
                return values.either(self._value(item, state) for item in items)
            case ast.IfExp(condition, then, other):
                self._value(condition, state)
                return values.either((self._value(then, state), self._value(other, state)))
            case ast.BoolOp(_, operands):
                return values.either([self._value(operand, state) for operand in operands])
            case ast.Subscript(inner):
                return self._value(inner, state)
            case ast.Compare(left, _, others):
                for one in (left, *others):
                    self._value(one, state)
            case ast.UnaryOp(_, inner):
                self._value(inner, state)
            case ast.Call():
                return self._call(node, state)
        return NOTHING

    def _filled(self, template: Value, given: list[Value]) -> Value:
        """`%` and `.format`: where exactly each value goes does not matter, the quotes around it do."""
        rows: list[tuple[values.Piece, ...]] = []
        filler = values.either(given)
        for row in template:
            made: list[values.Piece] = []
            for piece in row:
                if not isinstance(piece, str):
                    made.append(piece)
                    continue
                bits = _PLACES.split(piece)
                for number, bit in enumerate(bits):
                    if number:
                        made += [p for f in filler for p in f if isinstance(p, Taint)]
                    made.append(bit)
            rows.append(tuple(made[: values.PIECES]))
        return tuple(rows) or NOTHING

    def _call(self, node: ast.Call, state: dict[str, Value]) -> Value:
        name = _dotted(node.func)
        arguments = [self._value(argument, state) for argument in node.args]
        named = [self._value(keyword.value, state) for keyword in node.keywords]
        place = Place(self._file, node.lineno)
        last = name.rpartition(".")[2]
        if name.startswith("KSR."):
            return self._kemi(name[4:], node, arguments, place)
        if name in _CLEANERS and _CLEANERS[name] is None:
            return NOTHING
        if name in _CLEANERS:
            # Text for that reader only: known to the catalogue by the same name.
            return values.mapped(values.either(arguments), (f"python.{name}",))
        kind = _PYTHON_SINKS.get(name)
        if name in _SHELLS and any(k.arg == "shell" and _is_true(k.value) for k in node.keywords):
            kind = "shell"
        if last in {"execute", "executemany", "executescript", "raw"} and "." in name:
            kind = "sql"
        if kind and arguments:
            self._collector.reached(kind, name, arguments[0], place)
        if last == "format" and isinstance(node.func, ast.Attribute):
            return self._filled(self._value(node.func.value, state), [*arguments, *named])
        if last == "join" and arguments:
            return arguments[0]
        # A function of this file: walked with what it is given.
        if (function := self._functions.get(last)) and last not in self._stack and len(self._stack) < MAX_CALLS:
            self._stack.append(last)
            try:
                names = [argument.arg for argument in function.args.args]
                if isinstance(node.func, ast.Attribute) and names[:1] == ["self"]:
                    names = names[1:]
                return self._block(function.body, dict(zip(names, arguments, strict=False)))
            finally:
                self._stack.pop()
        # Of any other the result may hold what it was given: text.lower(), str(text), text.replace(...).
        own = self._value(node.func.value, state) if isinstance(node.func, ast.Attribute) else NOTHING
        return values.either([own, *arguments, *named])

    def _kemi(self, name: str, node: ast.Call, arguments: list[Value], place: Place) -> Value:
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        variable: Variable | None = None
        if name in _READERS:
            variable = parse(_READERS[name])
        elif name in _HEADER_READERS and isinstance(first, str):
            variable = Variable("hdr", first, (), f"$hdr({first})")
        elif name in _VARIABLE_READERS and isinstance(first, str) and first.startswith("$"):
            found = next(iter(pieces(first)), None)
            variable = found if isinstance(found, Variable) else None
        if variable is not None and (source := self._known.source(variable)):
            step = Step(place, f"reads {variable.written}")
            return ((Taint(source, ast.unparse(node), variable.inner, place, variable.transformations, (step,)),),)
        if name in {"pv.sets", "pv.seti"} and len(arguments) > 1 and isinstance(first, str):
            self._kept[first] = values.either((self._kept.get(first, NOTHING), arguments[1]))
        if name in _VARIABLE_READERS and isinstance(first, str):
            return self._kept.get(first, NOTHING)
        # KSR.x.modf("function", ...) calls a function of the configuration's language.
        if name == "x.modf" and isinstance(first, str):
            self._sink_by_function(first, arguments[1:], place)
        for sink in self._sinks.get(name, ()):
            for position in sink.arguments:
                if position < len(arguments):
                    self._collector.reached(sink.kind, f"KSR.{name}", arguments[position], place)
        return NOTHING

    def _sink_by_function(self, function: str, arguments: list[Value], place: Place) -> None:
        for sink in self._known.sinks:
            if function in sink.functions:
                for position in sink.arguments:
                    if position < len(arguments):
                        self._collector.reached(sink.kind, function, arguments[position], place)

    def _shown(self, condition: ast.expr) -> tuple[list[str], bool]:
        """Names that a condition shows to be harmless, and whether that is where it holds."""
        match condition:
            case ast.UnaryOp(ast.Not(), inner):
                names, holds = self._shown(inner)
                return names, not holds
            case ast.Call(ast.Attribute(ast.Name(name), test)) if test in _TESTS:
                return [name], True
            case ast.Call(ast.Attribute(ast.Name("re"), "fullmatch"), [ast.Constant(str() as pattern), ast.Name(name)]):
                return ([name] if values.narrow(f"^{pattern.strip('^$')}$") else []), True
        return [], True


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _dotted(node: ast.expr) -> str:
    """`a.b.c`, or "" of what is no name."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(inner, name):
            before = _dotted(inner)
            return f"{before}.{name}" if before else ""
    return ""


#: Where `%` and `.format` put a value.
_PLACES: Final = re.compile(r"%[-#0 +\d.]*[srdaifx]|%\(\w+\)s|\{[\w.:!]*\}")
