"""Says, line by line, what a Kamailio configuration needs so that sipsieve.cfg works in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from .embedded_python import KEMI, embedded, module_path
from .kamailio_config import Config, Statement, read

#: Host's event route → what to define, and which of our routes to call from it.
EVENT_ROUTES: Final = {
    "core:pre-routing": ("SIPSIEVE_NO_PREROUTING", "SIPSIEVE"),
    "core:msg-received": ("SIPSIEVE_NO_RECEIVED", "SIPSIEVE_RECEIVED"),
    "core:receive-parse-error": ("SIPSIEVE_NO_PARSE_ERROR", "SIPSIEVE_UNPARSABLE"),
    "htable:mod-init": ("SIPSIEVE_NO_HTABLE_INIT", "SIPSIEVE_START"),
}

#: jsonrpcs' `transport`: 0 all, 7 all, 2 the FIFO alone; a sum of 1 HTTP, 2 FIFO, 4 datagrams.
_FIFO: Final = 2

#: The longest path that an include takes.
_MAX_INCLUDE: Final = 128


class Advice(NamedTuple):
    """`kind`: add, collides, missing or python: must be mended; note: worth knowing. `line` 0: no line."""

    file: str
    line: int
    kind: str
    what: str


def check(path: Path, guard: Path = KEMI / "sipsieve.cfg") -> list[Advice]:
    """All advice for one configuration, in the order of its lines. Raises `ConfigError`."""
    config = read(path)
    return sorted(_advice(config, guard), key=lambda one: (one.file != config.path, one.file, one.line))


def _advice(config: Config, guard: Path) -> Iterator[Advice]:
    includes = [s for s in config.of("include") if Path(s.words[0]).name == "sipsieve.cfg"]
    own = {str(_resolved(s)) for s in includes}
    host = [s for s in config.statements if s.file not in own]
    yield from _missing(config)
    if not includes:
        yield from _to_add(config, guard)
    for again in includes[1:]:
        yield Advice(again.file, again.line, "collides", "sipsieve.cfg is included a second time: remove this line")
    if includes:
        yield from _order(includes[0], config, host, guard)
    yield from _event_routes(host, included=bool(includes))
    yield from _python(config, host)
    yield from _settings(host, own)
    yield from _modules(config, guard)


def _resolved(statement: Statement) -> Path:
    path = Path(statement.words[0])
    return path if path.is_absolute() else Path(statement.file).parent / path


def _missing(config: Config) -> Iterator[Advice]:
    for statement in config.missing:
        kind = "missing" if Path(statement.words[0]).name == "sipsieve.cfg" else "note"
        yield Advice(statement.file, statement.line, kind, f"includes {statement.words[0]}, which is not there")


def _to_add(config: Config, guard: Path) -> Iterator[Advice]:
    # Within an #!ifdef the line would be read sometimes only.
    line = config.block_ends.get(config.last_module, config.last_module)
    text = f'include_file "{guard}"'
    if len(str(guard)) > _MAX_INCLUDE:
        yield Advice(
            config.path, line, "note", f"{guard}: longer than the {_MAX_INCLUDE} characters that Kamailio takes"
        )
    if line:
        yield Advice(config.path, line, "add", f"after this line, the last that loads a module: {text}")
    else:
        yield Advice(config.path, 0, "add", f"before the first route: {text}")


def _order(include: Statement, config: Config, host: list[Statement], guard: Path) -> Iterator[Advice]:
    ours = {Path(s.words[0]).stem for s in read(guard).of("loadmodule")} if guard.is_file() else set()
    position = config.statements.index(include)
    for statement in config.statements[position:]:
        if statement.kind == "loadmodule" and statement in host and Path(statement.words[0]).stem in ours:
            yield Advice(
                statement.file, statement.line, "collides",
                f"loads {statement.words[0]} after sipsieve.cfg has (line {include.main_line}): move that include "
                "below the last loadmodule",
            )  # fmt: skip
    if include.depth:
        yield Advice(
            include.file,
            include.line,
            "note",
            "this include is within an #!ifdef: the guard is in only when that holds",
        )


def _event_routes(host: list[Statement], *, included: bool) -> Iterator[Advice]:
    defined = {s.words[0] for s in host if s.kind == "define"}
    called = {s.words[0] for s in host if s.kind == "call"}
    for statement in host:
        if statement.kind == "event_route" and statement.words[0] in EVENT_ROUTES:
            name, route = EVENT_ROUTES[statement.words[0]]
            if name not in defined:
                yield Advice(
                    statement.file, statement.line, "collides",
                    f"event_route[{statement.words[0]}] is sipsieve.cfg's too: write `#!define {name}` before the "
                    f"include, and `route({route});` as the first line of this route",
                )  # fmt: skip
            elif route not in called:
                yield Advice(
                    statement.file, statement.line, "add",
                    f"`route({route});` as the first line of this route: {name} is defined, and nothing calls it",
                )  # fmt: skip
    if included:
        there = {s.words[0] for s in host if s.kind == "event_route"}
        for event, (name, route) in EVENT_ROUTES.items():
            if name in defined and event not in there and route not in called:
                at = next(s for s in host if s.kind == "define" and s.words[0] == name)
                yield Advice(
                    at.file, at.line, "collides",
                    f"{name} is defined, but there is no event_route[{event}] that calls route({route}): remove it",
                )  # fmt: skip
    for statement in host:
        if statement.kind == "route" and statement.words[0] in {route for _, route in EVENT_ROUTES.values()}:
            yield Advice(
                statement.file, statement.line, "collides", f"route[{statement.words[0]}] is sipsieve.cfg's: rename it"
            )


def _python(config: Config, host: list[Statement]) -> Iterator[Advice]:
    folders = [word for s in config.of("set", "mpath") for word in s.words[1].split(":")]
    found = embedded(folders)
    if found.trouble:
        yield Advice(config.path, 0, "python", found.trouble)
    else:
        yield Advice(config.path, 0, "note", f"Kamailio embeds Python {found.python}; its packages: {found.packages}")
    loads = [s for s in host if s.kind == "loadmodule" and Path(s.words[0]).stem == "app_python3"]
    scripts = [s for s in host if s.kind == "modparam" and s.words[:2] == ("app_python3", "load")]
    for script in scripts:
        path = _resolved(script._replace(words=(script.words[2],)))
        if path.name != "sipsieve_kemi.py" and not _inherits(path):
            yield Advice(
                script.file, script.line, "add",
                f"{path} stays your Python script; its class must inherit ours: `from sipsieve_kemi import Sipsieve`, "
                f'`class …(Sipsieve)`, with `sys.path.insert(1, "{KEMI}")` before',
            )  # fmt: skip
    if loads and not scripts:
        yield Advice(
            loads[0].file, loads[0].line, "add",
            f'`modparam("app_python3", "load", "{KEMI}/sipsieve_kemi.py")`: where app_python3 is loaded already, '
            "sipsieve.cfg leaves its script alone",
        )  # fmt: skip
    for engine in (s for s in host if s.kind == "engine" and s.words[0].startswith("python")):
        yield Advice(engine.file, engine.line, "note", "routing is in Python: see “Python configs” in the README")


def _inherits(path: Path) -> bool:
    try:
        return "sipsieve_kemi" in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _settings(host: list[Statement], own: set[str]) -> Iterator[Advice]:
    wanted = {
        "received_route_mode": ("1", "bans are enforced before parsing"),
        "ipv6_hex_style": ("a", "IPv6 bans match"),
    }
    for statement in host:
        if statement.kind == "set" and statement.words[0] in wanted:
            value, why = wanted[statement.words[0]]
            if statement.words[1] != value:
                yield Advice(
                    statement.file, statement.line, "collides", f"{statement.words[0]} must be {value}, so that {why}"
                )
        if statement.kind == "modparam" and statement.words[0] == "jsonrpcs":
            name, value = statement.words[1:3]
            if name == "transport" and value.isdigit() and int(value) and not int(value) & _FIFO:
                yield Advice(
                    statement.file, statement.line, "collides",
                    f"transport {value} has no FIFO, over which `sipsieve off`, `bans` and `reload` reach the server: "
                    f"write {int(value) | _FIFO}",
                )  # fmt: skip
            elif name == "fifo_name":
                yield Advice(
                    statement.file, statement.line, "note", f"call sipsieve with --rpc {value}, or set SIPSIEVE_RPC"
                )


def _modules(config: Config, guard: Path) -> Iterator[Advice]:
    folders = [word for s in config.of("set", "mpath") for word in s.words[1].split(":")]
    for module in sorted({Path(s.words[0]).stem for s in read(guard).of("loadmodule")} if guard.is_file() else ()):
        if module != "app_python3" and module_path(module, folders) is None:
            yield Advice(config.path, 0, "missing", f"Kamailio's module {module} is not installed")
