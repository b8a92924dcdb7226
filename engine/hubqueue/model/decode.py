"""Payload decoders: the bytes of a message, of MQTT, Kafka or AMQP, to the value that a job carries.

A rule or source names one. Every decoder is strict: what is not exactly its form is Undecodable, and the message is
kept in the dead-letter queue of `_unroutable`. What comes out can always be carried as MessagePack.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model import payload as carried
from hubqueue.model.cells import read_column, read_number

Decode = Callable[[bytes], object]

KINDS: Final = ("json", "text", "number", "csv", "msgpack", "bytes")
DELIMITERS: Final = (",", ";", "\t", "|", " ")

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
    found = read_number(text)
    if found is None:
        raise Undecodable("not a number: empty payload" if not text else "not a number")
    return found


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
    read = [read_column(column) for column in columns]
    if len({column.name for column in read}) != len(read):
        raise Invalid("csv columns must have different names")

    def decode(payload: bytes) -> dict[str, object]:
        lines = decode_text(payload).splitlines()
        if len(lines) != 1:
            raise Undecodable(f"csv payload has {len(lines)} lines", hint="send one message for each line")
        try:
            (cells,) = csv.reader(lines, delimiter=delimiter, strict=True)
        except (csv.Error, ValueError) as error:
            raise Undecodable(f"not csv: {error}") from error
        if len(cells) != len(read):
            raise Undecodable(f"csv line has {len(cells)} values, its rule names {len(read)} columns")
        return {column.name: column.read(text.strip()) for column, text in zip(read, cells, strict=True)}

    return decode


def _check_carried(value: object) -> None:
    """JSON knows larger integers than MessagePack, and MessagePack odder keys than we carry."""
    try:
        carried.encode(value)
    except Invalid as error:
        raise Undecodable(error.message, hint=error.hint) from error
