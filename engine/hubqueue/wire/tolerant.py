"""Repairs what clients may send beside the letter of the structs, so that a strict decoder can judge the rest.

JavaScript has one kind of number and two kinds of nothing: 3.0 stands for 3, MessagePack ext 0 (undefined) and
often null for "not there". User data (`Raw` fields) is never touched. Only frames that a strict decoder
refused come here, so this is written for clearness, not for speed.
Source: docs/protocol.md, "Values".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, inspect

from hubqueue.errors import Invalid
from hubqueue.wire.fields import NULL, UNDEFINED

_FLOATS: Final = (0xCA, 0xCB)  # the first byte of a MessagePack float
_read_float: Final = msgspec.msgpack.Decoder(float).decode
_read_map: Final = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_read_list: Final = msgspec.msgpack.Decoder(list[Raw]).decode
_write: Final = msgspec.msgpack.Encoder().encode

# (path of the field, its bytes) -> its repaired bytes, or None to leave the field out
_Repair = Callable[[str, bytes], bytes | None]


def canonical(struct: type[msgspec.Struct], fields: Mapping[str, Raw]) -> bytes:
    """The message with repaired fields and without unknown ones.

    Errors: Invalid for numbers that are not finite or must be whole.
    """
    return _repair_fields(_plan(struct), "", fields)


def _repair_fields(plan: Mapping[str, _Repair], path: str, fields: Mapping[str, Raw]) -> bytes:
    repaired: dict[str, Raw] = {}
    for name, repair in plan.items():
        if name in fields:
            value = repair(path + name, bytes(fields[name]))
            if value is not None:
                repaired[name] = Raw(value)
    return _write(repaired)


@functools.cache
def _plan(struct: type[msgspec.Struct]) -> Mapping[str, _Repair]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    plan = {field.encode_name: _repair_of(field.type) for field in info.fields}
    if info.tag_field is not None:
        plan[info.tag_field] = _keep
    return plan


def _repair_of(kind: inspect.Type) -> _Repair:
    """How a field of this type is repaired."""
    if isinstance(kind, inspect.RawType):
        return _keep
    return functools.partial(_repair_value, _accepts_null(kind), _repair_known(kind))


def _accepts_null(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.UnionType) and any(isinstance(part, inspect.NoneType) for part in kind.types)


def _repair_value(accepts_null: bool, repair: _Repair, path: str, value: bytes) -> bytes | None:
    if value == UNDEFINED or (value == NULL and not accepts_null):
        return None
    return value if value == NULL else repair(path, value)


def _repair_known(kind: inspect.Type) -> _Repair:
    parts = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    repairs = [_repair_one(part) for part in parts]

    def repair(path: str, value: bytes) -> bytes | None:
        for step in repairs:
            repaired = step(path, value)
            if repaired != value:
                return repaired
        return value

    return repair


def _repair_one(kind: inspect.Type) -> _Repair:
    while isinstance(kind, inspect.Metadata):
        if kind.extra is not None and kind.extra.get("whole"):
            return functools.partial(_repair_int, True)
        kind = kind.type
    if isinstance(kind, inspect.IntType):
        return functools.partial(_repair_int, False)
    if isinstance(kind, inspect.FloatType):
        return _check_float
    if isinstance(kind, inspect.StructType):
        return functools.partial(_repair_struct, kind.cls)
    if isinstance(kind, inspect.ListType) and not isinstance(kind.item_type, inspect.RawType):
        return functools.partial(_repair_list, _repair_of(kind.item_type))
    return _keep


def _keep(path: str, value: bytes) -> bytes:
    return value


def _repair_int(whole: bool, path: str, value: bytes) -> bytes:
    if value[0] not in _FLOATS:
        return value
    number = _read_float(_check_float(path, value))
    if whole and not number.is_integer():
        raise Invalid(f"{_shown(path)} must be an integer")
    return _write(int(number)) if abs(number) < 2.0**63 else value


def _check_float(path: str, value: bytes) -> bytes:
    if value[0] in _FLOATS and not math.isfinite(_read_float(value)):
        raise Invalid(f"{_shown(path)} must be a finite number")
    return value


def _repair_struct(struct: type[msgspec.Struct], path: str, value: bytes) -> bytes:
    try:
        fields = _read_map(value)
    except msgspec.DecodeError:
        return value
    return _repair_fields(_plan(struct), path + ".", fields)


def _repair_list(repair: _Repair, path: str, value: bytes) -> bytes:
    try:
        items = _read_list(value)
    except msgspec.DecodeError:
        return value
    return _write([Raw(repair(f"{path}[{at}]", bytes(item)) or NULL) for at, item in enumerate(items)])


def _shown(path: str) -> str:
    """`jobs[3].delay` as the protocol writes it: `jobs[3]: delay`."""
    return path.replace("].", "]: ")
