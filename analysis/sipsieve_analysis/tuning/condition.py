"""Conditions over figures, as `--fail-if` has them: `blocked_trusted > 0 or newly_blocked >= 100`."""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

_COMPARISONS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

#: Characters of a condition: far more than anybody writes.
_MOST: Final = 1000


class ConditionError(ValueError):
    """A condition that can't be read: says what is wrong, and what is allowed."""


def holds(text: str, figures: Mapping[str, int]) -> bool:
    """Whether a condition is true of these figures. Raises `ConditionError`."""
    try:
        if len(text) > _MOST:
            raise ConditionError(f"longer than {_MOST} characters")
        return _truth(ast.parse(text.strip(), mode="eval").body, figures)
    except (SyntaxError, ValueError, RecursionError) as error:
        if isinstance(error, ConditionError):
            raise
        raise ConditionError(_allowed(f"{text!r} can't be read")) from error


def _truth(node: ast.expr, figures: Mapping[str, int]) -> bool:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, figures) for part in node.values]
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
        return _COMPARISONS[type(node.ops[0])](_number(node.left, figures), _number(node.comparators[0], figures))
    raise ConditionError(_allowed(f"{ast.unparse(node)} is no comparison"))


def _number(node: ast.expr, figures: Mapping[str, int]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.Name) and node.id in figures:
        return figures[node.id]
    name = ast.unparse(node)
    close = difflib.get_close_matches(name, list(figures), 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ConditionError(f"{name} is no figure{hint}; allowed: {', '.join(figures)}")


def _allowed(what: str) -> str:
    return f"{what}; allowed: comparisons of a figure with a number, joined by and, or: blocked_trusted > 0"
