"""What is missing, and how people are told. Null and absent are one thing: both are None while an expression runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jinja2 import nodes

Path = tuple[str, ...]

_ASKS: Final = frozenset({"default", "d", "defined", "undefined", "none"})  # what takes care of a missing value


class _Missing:
    """What an expression gives when it needs a value that is not there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def path_of(node: nodes.Node) -> Path | None:
    """The keys of data.a['b'].c, or None for what is no plain path."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        key = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        key = node.arg.value
    else:
        return None
    before = path_of(node.node)
    return None if before is None else (*before, key)


def paths_in(node: nodes.Node, *, needed: bool = True) -> Iterator[Path]:
    """The plain paths in an expression. needed: without those for which it says what happens when they are missing."""
    found = path_of(node)
    if found is not None:
        yield found
        return
    asked = isinstance(node, nodes.Filter | nodes.Test) and node.name in _ASKS
    for below in node.iter_child_nodes():
        spared = needed and below is getattr(node, "node", None) and asked
        spared = spared or (needed and isinstance(node, nodes.Or) and below is node.left)
        if not spared and not (isinstance(node, nodes.Call) and isinstance(below, nodes.Name)):
            yield from paths_in(below, needed=needed)


class Lack:
    """Says of an expression that gave nothing what was missing."""

    def __init__(self, node: nodes.Node) -> None:
        self._paths: Final = tuple(dict.fromkeys((*paths_in(node), *paths_in(node, needed=False))))

    def reason(self, values: Mapping[str, Any]) -> str:
        """`there is no data.t`, `data.t is null`."""
        for path in self._paths:
            found = _reason(path, values)
            if found is not None:
                return found
        return "the expression has no value"


def _reason(path: Path, values: Any) -> str | None:
    at = values
    for place, key in enumerate(path, 1):
        if not isinstance(at, Mapping) or key not in at:
            return f"there is no {_written(path[:place])}"
        at = at[key]
        if at is None:
            return f"{_written(path[:place])} is null"
    return None


def _written(path: Path) -> str:
    first, *rest = path
    return first + "".join(f".{key}" if key.isidentifier() else f"['{key}']" for key in rest)
