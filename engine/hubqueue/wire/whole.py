"""1500.0 is as good as 1500: many languages have one kind of number, and write whole ones with a point.

Only where a struct wants an int; user data is never touched. MessagePack frames have `lenient` for this and more.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec
from msgspec import inspect

EXACT: Final = 2.0**53  # beyond it a float may stand for several ints


def converted(value: Any, kind: Any) -> Any:
    """A decoded JSON value as one of this type. Errors: msgspec.ValidationError."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return msgspec.convert(_repaired(value, _info(kind)), kind)


@functools.cache
def _info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _repaired(value: Any, kind: inspect.Type) -> Any:
    kind = _bare(kind)
    match kind, value:
        case inspect.IntType(), float():
            return int(value) if value.is_integer() and abs(value) <= EXACT else value
        case inspect.UnionType(), _:
            takes_real = any(isinstance(_bare(each), inspect.FloatType) for each in kind.types)
            for each in kind.types:
                if not (takes_real and isinstance(_bare(each), inspect.IntType)):
                    value = _repaired(value, each)
            return value
        case inspect.StructType(), dict():
            fields = {field.encode_name: field.type for field in kind.fields}
            return {key: _repaired(item, fields[key]) if key in fields else item for key, item in value.items()}
        case inspect.ListType() | inspect.VarTupleType(), list():
            return [_repaired(item, kind.item_type) for item in value]
        case inspect.DictType(), dict():
            return {key: _repaired(item, kind.value_type) for key, item in value.items()}
    return value


def _bare(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind
