"""Payload decoders: the bytes of an MQTT message to the value that a job carries.

A rule names one. Every decoder is strict: what is not exactly its form is Undecodable, and the message is kept in
the dead-letter queue of `_unroutable`. What comes out can always be carried as MessagePack.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model import payload as carried

Decode = Callable[[bytes], object]

KINDS: Final = ("json", "text", "number", "csv", "msgpack", "bytes")
COLUMN_KINDS: Final = ("auto", "number", "text")
DELIMITERS: Final = (",", ";", "\t", "|", " ")

# Decimal notation as devices print it; Python's own float() would take "1_000", "nan" and "infinity" as well.
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
# What is surely a quantity: "007" and "+49" may be codes and stay text.
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)
_MAX_DIGITS: Final = 400  # longer numbers are no readings, and int() takes quadratic time

_json: Final = msgspec.json.Decoder()
_msgpack: Final = msgspec.msgpack.Decoder()


@dataclass(frozen=True, slots=True)
class Payload:
    """How a rule reads payloads: a kind, and for csv its columns ("temperature", "humidity:number", "id:text")."""

    kind: str = "json"
    columns: tuple[str, ...] = ()
    delimiter: str = ","

    def decoder(self) -> Decode:
        """The function that decodes. Errors: Invalid for a kind or column that does not exist."""
        if self.kind == "csv":
            return _csv_decoder(self.columns, self.delimiter)
        if self.columns:
            raise Invalid(f"columns make no sense with decoder {self.kind!r}", hint="they belong to csv")
        try:
            return _DECODERS[self.kind]
        except KeyError:
            raise Invalid(f"there is no decoder {self.kind!r}", hint=f"choose one of {', '.join(KINDS)}") from None


def decode_json(payload: bytes) -> object:
    """Any JSON value. Numbers beyond 64 bits and NaN are refused."""
    try:
        value = _json.decode(payload)
    except UnicodeDecodeError as error:
        raise Undecodable(f"not valid UTF-8 at byte {error.start}") from error
    except msgspec.DecodeError as error:
        raise Undecodable("not JSON: empty payload" if not payload else f"not JSON: {error}") from error
    except RecursionError as error:
        raise Undecodable("not JSON that can be carried: nested too deeply") from error
    if not isinstance(value, str | float | bool):
        _check_carried(value)
    return value


def decode_text(payload: bytes) -> str:
    """UTF-8 text, as it is."""
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"not valid UTF-8 at byte {error.start}") from error


def decode_number(payload: bytes) -> int | float:
    """One number in decimal notation; white space around it is allowed."""
    text = decode_text(payload).strip()
    if _NUMBER.match(text) is None:
        raise Undecodable("not a number: empty payload" if not text else "not a number")
    return _number(text)


def decode_msgpack(payload: bytes) -> object:
    """Any MessagePack value."""
    try:
        value = _msgpack.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Undecodable(f"not MessagePack: {error}") from error
    _check_carried(value)
    return value


def decode_bytes(payload: bytes) -> bytes:
    """The payload itself."""
    return payload


_DECODERS: Final[dict[str, Decode]] = {
    "json": decode_json,
    "text": decode_text,
    "number": decode_number,
    "msgpack": decode_msgpack,
    "bytes": decode_bytes,
}


def _csv_decoder(columns: tuple[str, ...], delimiter: str) -> Decode:
    """One line of values to a map by column name. An empty value is null unless its column is text."""
    if delimiter not in DELIMITERS:
        raise Invalid(f"csv delimiter {delimiter!r} is not known", hint="choose , ; | a tab or a space")
    if not columns:
        raise Invalid(
            "decoder 'csv' needs columns", hint='name them in order, as in columns: ["temperature", "id:text"]'
        )
    names, kinds = zip(*(_column(column) for column in columns), strict=True)
    if len(set(names)) != len(names):
        raise Invalid("csv columns must have different names")
    read = [_CELLS[kind] for kind in kinds]

    def decode(payload: bytes) -> dict[str, object]:
        lines = decode_text(payload).splitlines()
        if len(lines) != 1:
            raise Undecodable(f"csv payload has {len(lines)} lines", hint="send one message for each line")
        try:
            (cells,) = csv.reader(lines, delimiter=delimiter, strict=True)
        except (csv.Error, ValueError) as error:
            raise Undecodable(f"not csv: {error}") from error
        if len(cells) != len(names):
            raise Undecodable(f"csv line has {len(cells)} values, its rule names {len(names)} columns")
        return {name: cell(text.strip()) for name, cell, text in zip(names, read, cells, strict=True)}

    return decode


def _column(column: str) -> tuple[str, str]:
    name, _, kind = column.partition(":")
    kind = kind or "auto"
    if not name or kind not in COLUMN_KINDS:
        raise Invalid(f"csv column {column!r} is not valid", hint="write a name, name:number or name:text")
    return name, kind


def _auto_cell(text: str) -> object:
    if not text:
        return None
    return _number(text) if _PLAIN_NUMBER.match(text) else text


def _number_cell(text: str) -> object:
    if not text:
        return None
    if _NUMBER.match(text) is None:
        raise Undecodable("a value in a number column is not a number")
    return _number(text)


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


def _check_carried(value: object) -> None:
    """JSON knows larger integers than MessagePack, and MessagePack odder keys than we carry."""
    try:
        carried.encode(value)
    except Invalid as error:
        raise Undecodable(error.message, hint=error.hint) from error
