"""Job options as fields of structs of JSON: the table (model.options) with its names, bounds and words.

Null is not said. Whoever reads such a struct makes a job of it with `given_of` and `model.options.new_job`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta

from hubqueue.model.option import Door, Kind, Option
from hubqueue.model.options import OPTIONS, options_at

Field = tuple[str, Any] | tuple[str, Any, Any]  # as msgspec.defstruct takes it

_SHOWN: Final[dict[Kind, Any]] = {
    Kind.WHOLE: int,
    Kind.SPAN: float,
    Kind.TIME: float,
    Kind.FACTOR: float,
    Kind.FLAG: bool,
    Kind.TEXT: str,
    Kind.TEXTS: tuple[str, ...],
    Kind.CHOICE: str,
}
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


def table_fields(door: Door) -> list[Field]:
    """The options of a door under the names of the table."""
    return [_field(option.name, _type(option)) for option in options_at(door)]


def shown_fields(options: Iterable[Option]) -> list[Field]:
    """Options as an answer shows them: all of them, null where nothing is said; what is stored is in no bounds."""
    return [
        (option.name, _shown(option) if option.default is not None else _shown(option) | None) for option in options
    ]


def given_of(struct: msgspec.Struct, door: Door) -> dict[str, Any]:
    """What a struct with `table_fields` says, as `model.options.new_job` takes it."""
    found = ((option, getattr(struct, option.name)) for option in options_at(door))
    return {option.name: value_of(option, value) for option, value in found if value is not None}


def value_of(option: Option, value: Any) -> Any:
    """What a field of such a struct says, as the model has it."""
    if not option.parts:
        return value
    if not isinstance(value, msgspec.Struct):
        return option.made({option.short: value})
    return option.made(msgspec.structs.asdict(value))


def _type(option: Option) -> Any:
    if not option.parts:
        return leaf_type(option)
    if not option.short:
        return _map(option)
    return leaf_type(option.short_part, _number(option, option.short_part)) | _map(option)


def _shown(option: Option) -> Any:
    kind = _shown_map(option) if option.parts else _SHOWN[option.kind]
    return Annotated[kind, Meta(description=option.help + _UNITS.get(option.kind, ""))]


def _shown_map(option: Option) -> type[msgspec.Struct]:
    parts = [(part.name, _shown(part) | None) for part in option.parts]
    return _struct(option, f"{option.name.capitalize()}Shown", parts)


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
        (part.name, kind | None if _hint(option, part) == str | None else kind)
        if part.name in option.required
        else _field(part.name, kind)
        for part in option.parts
        for kind in (leaf_type(part, _number(option, part)),)
    ]
    return _struct(option, option.name.capitalize(), fields)


def _number(option: Option, part: Option) -> Any:
    """What the model has."""
    return float if _hint(option, part) is float else int


def _hint(option: Option, part: Option) -> Any:
    assert option.make is not None
    return get_type_hints(option.make)[part.field]


def _field(name: str, kind: Any) -> Field:
    return name, kind | None, None


def snake(name: str) -> str:
    """The name of a field of the protocol as one of a struct."""
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


_MAPS: Final = {option.name: _table_map(option) for option in OPTIONS if option.parts}
