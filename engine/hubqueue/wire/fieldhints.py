"""What somebody meant who sent a field in JSON that is not known: a hint for the answer that refuses it.

A name that the table of job options has for another door or part is known from there; else the nearest is.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import inspect

from hubqueue.model.option import Option
from hubqueue.model.options import OPTIONS

_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_INDEX: Final = re.compile(r"\[\d+\]")
_ITEM: Final = "[...]"
_STEPS: Final = re.compile(r"\[\.\.\.\]|[^.\[\]]+")  # of a path as jobs[...].backoff


def field_hint(message: str, kind: Any) -> str:
    """The hint for a msgspec ValidationError of this type; "" if no unknown field is its fault."""
    found = _UNKNOWN.search(message)
    if found is None:
        return ""
    name, known = found["name"], _known(kind, _INDEX.sub(_ITEM, found["path"] or ""))
    meant = _elsewhere().get(name, name)
    for field, inner in known.items():
        if field == meant:
            return f"here it is {field!r}"
        if meant in inner:
            return f"here it is {meant!r} in {field!r}"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"


@functools.cache
def _elsewhere() -> dict[str, str]:
    """What JSON calls it, by each other name of the table."""
    return {name: option.json for option in _with_parts() for name in (option.name, option.wire, *_flags(option))}


def _with_parts() -> Iterator[Option]:
    for option in OPTIONS:
        yield from option.parts
    yield from OPTIONS  # a whole option goes before a part of the same name


def _flags(option: Option) -> Iterator[str]:
    return filter(None, option.choices.values())


@functools.cache
def _known(kind: Any, path: str) -> dict[str, frozenset[str]]:
    """The fields at this path, and what is in those that have fields themselves."""
    places = [inspect.type_info(kind)]
    for step in _STEPS.findall(path):
        places = [inner for place in places for inner in _inside(place, step)]
    return {field.encode_name: _names(field.type) for place in places for field in _fields(place)}


def _inside(info: inspect.Type, step: str) -> Iterator[inspect.Type]:
    for each in _alternatives(info):
        if isinstance(each, inspect.ListType) and step == _ITEM:
            yield each.item_type
        yield from (field.type for field in _fields(each) if field.encode_name == step)


def _names(info: inspect.Type) -> frozenset[str]:
    return frozenset(field.encode_name for field in _fields(info))


def _fields(info: inspect.Type) -> Iterator[inspect.Field]:
    for each in _alternatives(info):
        if isinstance(each, inspect.StructType):
            yield from each.fields


def _alternatives(info: inspect.Type) -> Iterator[inspect.Type]:
    match info:
        case inspect.Metadata():
            yield from _alternatives(info.type)
        case inspect.UnionType():
            for each in info.types:
                yield from _alternatives(each)
        case _:
            yield info
