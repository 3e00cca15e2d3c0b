"""Says of a value that a TOML file can't have where it stands, what is wrong with it, and what is allowed there."""

from __future__ import annotations

import difflib
import re
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

_AT: Final = re.compile(r"^(.*?) - at `(?:key in )?`?\$\.?([^`]*)`$", re.S)


def explain(error: str, root: type[Struct]) -> str:
    """msgspec's sentence of a file that is a `root`, with the key in front and what is allowed there behind."""
    match = _AT.match(error)
    what, key = (match[1], match[2]) if match else (error, "")
    unknown = re.search(r"unknown field `(.*?)`", what)
    if unknown:
        known = _keys_of(key, root)
        close = difflib.get_close_matches(unknown[1], known, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        full = f"{key}.{unknown[1]}" if key else unknown[1]
        return f"{full}: no such key.{hint} Allowed here: {', '.join(known)}"
    what = re.sub(r" matching regex .*$", " of another form", what, flags=re.S)
    place = f"{key}: " if key else ""
    return f"{place}{what[:1].lower()}{what[1:]}; allowed: {_allowed(key, root)}"


def _node(key: str, root: type[Struct]) -> Any:
    node: Any = root
    for name in key.split("."):
        if not name:
            continue
        if not (isinstance(node, type) and issubclass(node, Struct)):
            return None
        names = {f.encode_name: f.name for f in msgspec.structs.fields(node)}
        bare = name.partition("[")[0]
        node = _among(get_type_hints(node, include_extras=True).get(names.get(bare, "")), "[" in name)
    return node


def _among(node: Any, indexed: bool) -> Any:
    """Of a key that may be one of several types the one that is meant; of a list, where indexed, its members' type."""
    members = get_args(node) if get_origin(node) in (Union, UnionType) else (node,)
    lists = [member for member in members if get_origin(member) is tuple]
    if indexed and lists:
        return get_args(lists[0])[0]
    return next((member for member in members if member not in lists and member is not type(None)), node)


def _keys_of(key: str, root: type[Struct]) -> list[str]:
    node = _node(key, root)
    if isinstance(node, type) and issubclass(node, Struct):
        return [f.encode_name for f in msgspec.structs.fields(node)]
    return []


def _allowed(key: str, root: type[Struct]) -> str:
    if key.startswith("bans.seconds"):
        return "seconds from 1 to 31536000, or a list of them, as in [60, 600]"
    node = _node(key, root)
    if isinstance(node, type) and issubclass(node, Struct):
        return f"a table with {', '.join(_keys_of(key, root))}"
    if get_origin(node) is Annotated:
        base, *metas = get_args(node)
        for meta in metas:
            if isinstance(meta, Meta):
                if meta.pattern:
                    return (
                        '"each", "summary" or "sample:N" with N from 1'
                        if key == "log.allow"
                        else f"text like {meta.pattern}"
                    )
                if base is int:
                    return f"a whole number from {meta.ge}" + ("" if meta.le is None else f" to {meta.le}")
                return "text" if base is str else "a list of texts"
    if get_origin(node) is Literal:
        return " or ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in get_args(node))
    if node is bool:
        return "true or false"
    if get_origin(node) is tuple:
        if key.startswith("rule["):
            return "a list of texts"
        return (
            'a list of texts, as in ["sql-*"]' if key.startswith("rules") else 'a list of texts, as in ["192.0.2.0/24"]'
        )
    return "text" if node is str else "see docs/policy.md"
