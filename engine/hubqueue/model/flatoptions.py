"""Job options where there are no maps: flags, forms, headers. A map becomes one field for each of its parts.

`dedup` is the key alone, `dedup_ttl` its ttl; each door writes these names in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hubqueue.errors import Invalid
from hubqueue.model.option import Door, Option
from hubqueue.model.options import options_at


class Flat(NamedTuple):
    """A field: what it holds, and the option it is a part of, or is."""

    name: str
    leaf: Option
    option: Option


def flat(door: Door) -> list[Flat]:
    """The fields of a door, in the order of the table."""
    return [field for option in options_at(door) for field in _fields(option)]


def gathered(door: Door, values: Mapping[str, Any], shown: Callable[[str], str] = str) -> dict[str, Any]:
    """What these fields say, by the names of the table; None is not said. shown: a field's name at this door.

    Errors: Invalid where a part misses another.
    """
    given: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for field in flat(door):
        value = values.get(field.name)
        if value is None:
            continue
        if field.leaf is field.option:
            given[field.name] = value
        else:
            parts.setdefault(field.option.name, {})[field.leaf.name] = value
    for option in options_at(door):
        if option.name in parts:
            given[option.name] = _made(option, parts[option.name], shown)
    return given


def scattered(given: Mapping[str, Any], door: Door) -> dict[str, Any]:
    """The way back: the values of the fields."""
    found: dict[str, Any] = {}
    for field in flat(door):
        if field.option.name in given:
            value = given[field.option.name]
            found[field.name] = value if field.leaf is field.option else getattr(value, field.leaf.field)
    return found


def _fields(option: Option) -> list[Flat]:
    if not option.parts:
        return [Flat(option.name, option, option)]
    parts = sorted(option.parts, key=lambda part: part.name != option.short)
    return [Flat(_name(option, part), part, option) for part in parts]


def _name(option: Option, part: Option) -> str:
    return option.name if part.name == option.short else f"{option.name}_{part.name}"


def _made(option: Option, parts: Mapping[str, Any], shown: Callable[[str], str]) -> Any:
    for part in option.parts:
        if part.name in option.required and part.name not in parts:
            other = next(each for each in option.parts if each.name in parts)
            raise Invalid(f"{shown(_name(option, other))} needs {shown(_name(option, part))} too")
    return option.made(parts)
