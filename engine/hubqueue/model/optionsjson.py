"""The table of job options as JSON, for those who are no Python: `options.json`, which script/options writes.

api: the number that they tell in Hello. Numbers bound the value of what is a number, the characters of a text, the
entries of a list. Units: milliseconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from hubqueue.model.apinumber import API
from hubqueue.model.option import Kind, Option
from hubqueue.model.options import OPTIONS

FILE: Final = Path(__file__).with_name("options.json")
_UNITS: Final = {Kind.SPAN: "ms", Kind.TIME: "Unix ms"}
_NUMBERS: Final = (Kind.WHOLE, Kind.SPAN, Kind.TIME, Kind.FACTOR, Kind.TEXT, Kind.TEXTS)


def text() -> str:
    """The file as it is to be."""
    rows = msgspec.json.encode({"api": API, "options": [_row(option) for option in OPTIONS]})
    return msgspec.json.format(rows, indent=2).decode() + "\n"


def _row(option: Option) -> dict[str, Any]:
    return _leaf(option) | {
        "default": msgspec.to_builtins(option.default),
        "needs": option.needs or None,
        "absent": {door.value: why for door, why in option.left_out.items()},
    }


def _leaf(option: Option) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": option.name,
        "json": option.json,
        "wire": option.wire,
        "kind": option.kind.value,
        "help": option.help,
    }
    if option.kind in _UNITS:
        row["unit"] = _UNITS[option.kind]
    if option.kind in _NUMBERS:
        row |= {"min": _whole(option.low), "max": _whole(option.high)}
    if option.chars:
        row["maxLength"] = option.chars
    if option.choices:
        row["choices"] = [{"name": name, "wire": wire or name} for name, wire in option.choices.items()]
    if option.parts:
        assert option.make is not None
        defaults = {field.name: field.default for field in msgspec.structs.fields(option.make)}
        parts = [
            _leaf(part) | {"required": part.name in option.required, "default": _default(defaults[part.field])}
            for part in option.parts
        ]
        row |= {"parts": parts, "short": option.short or None}
    return row


def _default(value: object) -> object:
    if value is msgspec.NODEFAULT:
        return None
    return _whole(value) if isinstance(value, float) else value


def _whole(number: float) -> int | float:
    return int(number) if number == int(number) else number
