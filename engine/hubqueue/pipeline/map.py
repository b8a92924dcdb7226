"""map: other data from the data of a record: fields picked, dropped, renamed, computed, or given as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hubqueue.expression import MISSING, ExpressionFailed, Value
from hubqueue.pipeline.fields import Field, map_of
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import State

Missing = Literal["leave-out", "null", "refuse"]
# A computed value: an expression, or a map or list of them.
Tree = Value | Mapping[str, "Tree"] | tuple["Tree", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSettings:
    """pick None: everything is kept. missing: what becomes of a field that needs a value which is not there."""

    pick: tuple[Field, ...] | None = None
    drop: tuple[Field, ...] = ()
    rename: tuple[tuple[Field, Field], ...] = ()
    constant: tuple[tuple[Field, Any], ...] = ()
    compute: tuple[tuple[Field, Tree], ...] = field(default=())
    missing: Missing = "leave-out"


class Map:
    """Pick, drop, rename, constant, compute, in this order; every expression sees the record as it came."""

    def __init__(self, settings: MapSettings) -> None:
        self._settings: Final = settings
        self._keeps: Final = settings.pick is not None or bool(settings.drop) or bool(settings.rename)

    def run(self, record: Record, state: State) -> tuple[Record, ...]:
        settings, data = self._settings, record.data
        if settings.pick is not None:
            made: dict[Any, Any] = {}
            map_of(data)
            for each in settings.pick:
                self._put(made, each, each.get(data), each)
        else:
            made = map_of(data) if self._keeps or type(data) is dict else {}
        for each in settings.drop:
            each.drop(made)
        for old, new in settings.rename:
            found = old.get(data)
            if found is not MISSING:
                old.drop(made)
            self._put(made, new, found, old)
        for each, constant in settings.constant:
            each.put(made, constant)
        if settings.compute:
            values = record.values()
            for each, tree in settings.compute:
                try:
                    found = self._worked_out(tree, values)
                except ExpressionFailed as error:
                    raise Refused(f"{each.text} cannot be worked out: {error}") from error
                if found is MISSING and settings.missing == "refuse":
                    raise Refused(f"{each.text} needs a value: {_lack(tree, values)}")
                self._put(made, each, found, each)
        return (record.carrying(made),)

    def _put(self, made: dict[Any, Any], each: Field, value: Any, source: Field) -> None:
        """Null is missing."""
        if value is MISSING or value is None:
            if self._settings.missing == "refuse":
                raise Refused(f"there is no {source.text}" if value is MISSING else f"{source.text} is null")
            if self._settings.missing == "leave-out":
                return
            value = None
        each.put(made, value)

    def _worked_out(self, tree: Tree, values: Mapping[str, Any]) -> Any:
        if type(tree) is Value:
            return tree.of(values)
        if isinstance(tree, tuple):
            made = [self._worked_out(below, values) for below in tree]
            return MISSING if MISSING in made else made
        assert isinstance(tree, Mapping)
        inner: dict[Any, Any] = {}
        for key, below in tree.items():
            found = self._worked_out(below, values)
            if found is not MISSING:
                inner[key] = found
            elif self._settings.missing == "refuse":
                return MISSING
            elif self._settings.missing == "null":
                inner[key] = None
        return inner if inner or not tree else MISSING


def _lack(tree: Tree, values: Mapping[str, Any]) -> str:
    """What is missing of a tree that has no value."""
    if type(tree) is Value:
        return tree.lack(values)
    assert isinstance(tree, Mapping | tuple)
    for below in tree.values() if isinstance(tree, Mapping) else tree:
        if type(below) is not Value or below.of(values) is MISSING:
            return _lack(below, values)
    return "the expression has no value"
