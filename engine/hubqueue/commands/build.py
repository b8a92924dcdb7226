"""From fields that are values already to a command struct: for HTTP, whose bodies are read before and make no frame.

The same checks and texts as `decode`. One rule: what a command calls Raw is user data, given as a plain value or packed
already (msgspec.Raw); it becomes MessagePack here, once, wherever in the command it stands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, inspect

from hubqueue.commands.decode import refusal
from hubqueue.commands.table import BY_NAME, PLAIN_FORMS, Request
from hubqueue.model.payload import encode
from hubqueue.wire.whole import converted

_Pack = Callable[["_Packing", Any], Any]


class _Packing:
    """How many bytes of user data were packed."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


def build(name: str, fields: Mapping[str, Any]) -> tuple[Request, int]:
    """The command of this name, and the bytes of user data that it brings. fields: by their names on the wire.

    Errors: Invalid.
    """
    struct, packing = BY_NAME[name], _Packing()
    ready = _packer(struct)(packing, fields)
    plain = PLAIN_FORMS.get(name)
    if plain is not None:
        try:
            return msgspec.convert(ready, plain), packing.size
        except msgspec.ValidationError:
            pass
    try:
        return converted(ready, struct), packing.size
    except msgspec.ValidationError as error:
        raise refusal(struct, error) from None


@functools.cache
def _packer(struct: type[Request]) -> _Pack:
    return _packer_of(inspect.type_info(struct)) or _as_it_is


def _as_it_is(packing: _Packing, value: Any) -> Any:
    return value


def _packer_of(kind: inspect.Type) -> _Pack | None:
    """What packs the user data in a value of this type; None where there is none."""
    match kind:
        case inspect.RawType():
            return _packed
        case inspect.UnionType(types=types):
            return next((pack for pack in map(_packer_of, types) if pack is not None), None)
        case inspect.ListType(item_type=item):
            each = _packer_of(item)
            return None if each is None else functools.partial(_pack_list, each)
        case inspect.StructType(fields=fields):
            found = {field.encode_name: pack for field in fields if (pack := _packer_of(field.type)) is not None}
            return functools.partial(_pack_fields, found) if found else None
    return None


def _packed(packing: _Packing, value: Any) -> Raw:
    if isinstance(value, Raw):
        packing.size += len(bytes(value))
        return value
    data = encode(value)
    packing.size += len(data)
    return Raw(data)


def _pack_list(each: _Pack, packing: _Packing, values: list[Any] | None) -> list[Any] | None:
    return None if values is None else [each(packing, value) for value in values]


def _pack_fields(packs: Mapping[str, _Pack], packing: _Packing, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, **{name: pack(packing, fields[name]) for name, pack in packs.items() if name in fields}}
