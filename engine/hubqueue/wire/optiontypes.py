"""Job options as fields of structs that JSON is read into: the table (model.options) with its bounds and words.

In two ways: under the names of the protocol, for bodies that are passed on as commands, and under those of the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.model.option import Door, Kind, Option
from hubqueue.model.options import BY_NAME, options_at

Field = tuple[str, Any, Any]  # as msgspec.defstruct takes it

_UNITS: Final = {Kind.SPAN: ", milliseconds", Kind.TIME: ", Unix milliseconds"}


def leaf_type(option: Option, number: Any = int) -> Any:
    """The type of what is no map. number: what a number is."""
    said = option.help + _UNITS.get(option.kind, "")
    match option.kind:
        case Kind.WHOLE | Kind.SPAN | Kind.TIME:
            return Annotated[number, Meta(ge=option.low, le=option.high, description=said)]
        case Kind.FACTOR:
            return Annotated[float, Meta(ge=option.low, le=option.high, description=said)]
        case Kind.FLAG:
            return Annotated[bool, Meta(description=said)]
        case Kind.TEXT:
            return Annotated[str, Meta(min_length=int(option.low), max_length=int(option.high), description=said)]
        case Kind.TEXTS:
            text = Annotated[str, Meta(max_length=option.chars)]
            return Annotated[list[text], Meta(max_length=int(option.high), description=said)]
        case _:
            return Annotated[Literal[tuple(option.choices)], Meta(description=said)]


def protocol_fields(door: Door) -> list[Field]:
    """The options of a door under the names of PUSH; a parent, which PUSH wants in the data, under its own."""
    found: list[Field] = []
    for option in options_at(door):
        match option.name:
            case "backoff":
                found.append(_field("backoff", _BACKOFF_MS | _PROTOCOL_BACKOFF))
            case "dedup":
                found += [_field("unique_key", leaf_type(option.short_part)), _field("dedup", _PROTOCOL_DEDUP)]
            case "on_failure":
                flags = option.choices.values()
                found += [_field(snake(wire), Annotated[bool, Meta(description=option.help)]) for wire in flags]
            case "parent":
                found.append(_field("parent", _map(option)))
            case _:
                found.append(_field(snake(option.wire), leaf_type(option)))
    return found


def table_fields(door: Door) -> list[Field]:
    """The options of a door under the names of the table."""
    return [_field(option.name, _type(option)) for option in options_at(door)]


def given_of(struct: msgspec.Struct, door: Door) -> dict[str, Any]:
    """What a struct with `table_fields` says, as `model.options.new_job` takes it."""
    found = {option.name: getattr(struct, option.name) for option in options_at(door)}
    return {name: _value(BY_NAME[name], value) for name, value in found.items() if value is not UNSET}


def _value(option: Option, value: Any) -> Any:
    if not option.parts:
        return value
    if not isinstance(value, msgspec.Struct):
        return option.made({option.short: value})
    return option.made({name: part for name, part in msgspec.structs.asdict(value).items() if part is not UNSET})


def _type(option: Option) -> Any:
    if not option.parts:
        return leaf_type(option)
    if not option.short:
        return _map(option)
    return leaf_type(option.short_part, _number(option, option.short_part)) | _map(option)


def _map(option: Option) -> Any:
    return _MAPS[option.name]


def _struct(option: Option, name: str, fields: Iterable[Any]) -> type[msgspec.Struct]:
    made = msgspec.defstruct(
        name, fields, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True, module=__name__
    )
    made.__doc__ = f"{option.help}."
    return made


def _table_map(option: Option) -> type[msgspec.Struct]:
    fields = [
        (part.name, kind) if part.name in option.required else _field(part.name, kind)
        for part in option.parts
        for kind in (leaf_type(part, _number(option, part)),)
    ]
    return _struct(option, option.name.capitalize(), fields)


def _number(option: Option, part: Option) -> Any:
    """What the model has."""
    assert option.make is not None
    return float if get_type_hints(option.make)[part.field] is float else int


def _field(name: str, kind: Any) -> Field:
    return name, kind | UnsetType, UNSET


def snake(name: str) -> str:
    """The name of a field of the protocol as one of a struct."""
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


_BACKOFF: Final = BY_NAME["backoff"]
_DEDUP: Final = BY_NAME["dedup"]
_MAPS: Final = {option.name: _table_map(option) for option in (_BACKOFF, _DEDUP, BY_NAME["parent"])}
_BACKOFF_MS: Final = leaf_type(_BACKOFF.short_part, float)
_PROTOCOL_BACKOFF: Final = _struct(
    _BACKOFF,
    "BackoffOption",
    [
        (wire, kind) if part.name in ("type", "delay") else _field(wire, kind)
        for part in _BACKOFF.parts
        for wire, kind in ((snake(part.wire), leaf_type(part, float)),)
    ],
)
_PROTOCOL_DEDUP: Final = _struct(
    _DEDUP, "DedupOption", [_field(part.name, leaf_type(part)) for part in _DEDUP.parts if part.name != _DEDUP.short]
)
