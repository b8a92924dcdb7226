"""Text that devices print, as values: numbers in decimal notation, and the columns of CSV.

Used wherever text comes in (MQTT rules, HTTP feed), so that the same line means the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from hubqueue.errors import Invalid, Undecodable

COLUMN_KINDS: Final = ("auto", "number", "text")

# Decimal notation as devices print it; Python's own float() would take "1_000", "nan" and "infinity" as well.
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
# What is surely a quantity: "007" and "+49" may be codes and stay text.
_PLAIN_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d+\Z", re.ASCII)
_NAN: Final = re.compile(r"[+-]?(?:nan(?:\(\w*\))?|inf(?:inity)?)\Z", re.ASCII | re.IGNORECASE)
_MAX_DIGITS: Final = 400  # longer numbers are no readings, and int() takes quadratic time


class Column(NamedTuple):
    """A column of CSV and how its cells are read. An empty cell is null unless its column is text."""

    name: str
    read: Callable[[str], object]


def read_column(text: str, *, nan_is_null: bool = False) -> Column:
    """The column that `name`, `name:number` or `name:text` stands for. Errors: Invalid."""
    name, _, kind = text.partition(":")
    kind = kind or "auto"
    if not name or kind not in COLUMN_KINDS:
        raise Invalid(f"csv column {text!r} is not valid", hint="write a name, name:number or name:text")
    read = _CELLS[kind]
    if nan_is_null and kind != "text":
        return Column(name, lambda cell: None if is_nan(cell) else read(cell))
    return Column(name, read)


def is_nan(text: str) -> bool:
    """Whether it is one of the words that C prints for what is no number: nan, NaN, -inf, Infinity."""
    return _NAN.match(text.strip()) is not None


def read_number(text: str) -> int | float | None:
    """The number that this text is, as an int where it is written as one; None when it is none. Errors: Undecodable."""
    return _number(text) if _NUMBER.match(text) else None


def _auto_cell(text: str) -> object:
    if not text:
        return None
    return _number(text) if _PLAIN_NUMBER.match(text) else text


def _number_cell(text: str) -> object:
    bare = text.strip()
    if not bare:
        return None
    if _NUMBER.match(bare) is None:
        hint = "nan: null reads it as null" if is_nan(bare) else ""
        raise Undecodable("a value in a number column is not a number", hint=hint)
    return _number(bare)


def _text_cell(text: str) -> object:
    return text


_CELLS: Final[dict[str, Callable[[str], object]]] = {"auto": _auto_cell, "number": _number_cell, "text": _text_cell}


def _number(text: str) -> int | float:
    """Text that _NUMBER takes, as an int where it is written as one."""
    if len(text) > _MAX_DIGITS:
        raise Undecodable("number has too many digits")
    if _INTEGER.match(text):
        value = int(text)
        if -(2**63) <= value < 2**64:
            return value
        raise Undecodable("number is beyond 64 bits", hint="read it as text")
    real = float(text)
    if real in (float("inf"), float("-inf")):
        raise Undecodable("number is beyond the range of a double", hint="read it as text")
    return real
