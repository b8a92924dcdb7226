"""Payload decoders: the bytes of a message, of MQTT, Kafka, AMQP or HTTP, to the value that a job carries.

A rule or source says a kind and how tolerant it is. What does not fit is Undecodable, and the message is kept in the
dead-letter queue of `_unroutable`; what is left out is SKIPPED. What comes out can always be carried as MessagePack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from enum import Enum
from typing import Final

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model import payload as carried
from hubqueue.model.cells import is_nan, read_number
from hubqueue.model.encoding import UTF_8, UTF_8_MARK, codec_of, text_of
from hubqueue.model.jsontext import read_json
from hubqueue.model.lines import DELIMITERS, at_line, columns_of, csv_cells, row_of
from hubqueue.model.moment import TimeFormat, Unit
from hubqueue.model.timestamps import Rewrite, in_utc
from hubqueue.model.zone import zone_of


class Skipped(Enum):
    """What is no value at all."""

    SKIPPED = "skipped"


SKIPPED: Final = Skipped.SKIPPED

Decode = Callable[[bytes], object]  # a value, or SKIPPED

KINDS: Final = ("json", "text", "number", "csv", "msgpack", "bytes")
OTHERWISE: Final = ("number", "text", "bytes")
EMPTY: Final = ("refuse", "skip", "null")
NAN: Final = ("refuse", "null")
# What may be tried where the kind does not fit: something that takes more than the kind itself does.
_WIDER: Final = {
    "json": OTHERWISE,
    "text": ("bytes",),
    "number": ("text", "bytes"),
    "csv": ("text", "bytes"),
    "msgpack": ("text", "bytes"),
    "bytes": (),
}
TEXTS: Final = ("json", "text", "number", "csv")  # what has an encoding
MAPS: Final = ("json", "csv", "msgpack")  # what has fields


@dataclass(frozen=True, slots=True)
class Payload:
    """How a rule reads payloads: a kind, and how tolerant it is.

    columns, delimiter: of csv ("temperature", "humidity:number", "id:text"). otherwise: what is tried where the kind
    does not fit. nan: whether the words nan and inf are null. empty: what becomes of a payload that is empty, or only
    white space where it is text; None is what the kind makes of it: text and bytes take it, the others refuse it.
    timezone, time_unit: how the times of a message are written; times: the fields that hold one, the usual ones
    without it. With any of the three they become UTC.
    """

    kind: str = "json"
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    otherwise: str | None = None
    nan: str = "refuse"
    empty: str | None = None
    encoding: str = UTF_8
    timezone: str | None = None
    time_unit: Unit | None = None
    times: tuple[str, ...] = ()

    def decoder(self) -> Decode:
        """The function that decodes. Errors: Invalid for what does not exist or does not go together."""
        self.check()
        return self.around(self._reader(self.kind))

    def around(self, read: Decode) -> Decode:
        """A reader of this kind with what else is tried, and with what becomes of nothing."""
        decode = read if self.otherwise is None else _either(read, self._reader(self.otherwise))
        empty = self.empty or ("refuse" if self.otherwise is not None and self.kind != "text" else None)
        if empty is not None:
            decode = _unless_empty(decode, empty, self.codec if self.kind in TEXTS else None)
        return _rewriting(decode, self.rewrite) if self.tells else decode

    @property
    def tells(self) -> bool:
        """Whether times become UTC."""
        return bool(self.times or self.timezone or self.time_unit)

    @property
    def rewrite(self) -> Rewrite:
        """Makes the times of one value UTC, where that is wanted; done twice it is as done once. Errors: Invalid."""
        if not self.tells:
            return lambda value: value
        zone = UTC if self.timezone is None else zone_of(self.timezone)
        return in_utc(self.times, TimeFormat(zone, self.time_unit))

    @property
    def codec(self) -> str:
        """The encoding as Python names it. Errors: Invalid."""
        return codec_of(self.encoding)

    @property
    def nan_is_null(self) -> bool:
        return self.nan == "null"

    def check(self) -> None:
        """Errors: Invalid."""
        if self.kind not in KINDS:
            raise Invalid(f"there is no decoder {self.kind!r}", hint=f"choose one of {', '.join(KINDS)}")
        wider = _WIDER[self.kind]
        if self.columns and self.kind != "csv":
            raise Invalid(f"columns make no sense with decoder {self.kind!r}", hint="they belong to csv")
        if self.otherwise is not None and self.otherwise not in wider:
            hint = f"it may be {' or '.join(wider)}" if wider else "every payload is bytes"
            raise Invalid(f"otherwise {self.otherwise!r} makes no sense with decoder {self.kind!r}", hint=hint)
        if self.nan not in NAN or (self.nan == "null" and self.kind not in ("json", "number", "csv")):
            hint = "it is refuse or null, and belongs to json, number and csv"
            raise Invalid(f"nan {self.nan!r} makes no sense with decoder {self.kind!r}", hint=hint)
        if self.empty is not None and self.empty not in EMPTY:
            raise Invalid(f"empty {self.empty!r} is not known", hint=f"choose one of {', '.join(EMPTY)}")
        if self.tells and self.kind not in MAPS:
            raise Invalid(
                f"times make no sense with decoder {self.kind!r}", hint="they are fields of json, csv, msgpack"
            )
        if self.codec != UTF_8 and self.kind not in TEXTS and self.otherwise not in TEXTS:
            raise Invalid(f"encoding makes no sense with decoder {self.kind!r}", hint="it belongs to text")

    def _reader(self, kind: str) -> Decode:
        codec = self.codec
        match kind:
            case "json":
                return _json_reader(codec, self.nan_is_null)
            case "text":
                return lambda payload: text_of(payload, codec)
            case "number":
                return _number_reader(codec, self.nan_is_null)
            case "csv":
                return _csv_reader(self)
            case "msgpack":
                return decode_msgpack
            case _:
                return bytes


def empty_payload() -> Undecodable:
    """Where nothing is no value; the same for every kind, and for a body that holds none."""
    return Undecodable("empty payload", hint="empty: skip leaves it out, empty: null takes it")


def encoded(value: object) -> bytes:
    """MessagePack of a decoded value: JSON knows larger integers than it, and MessagePack odder keys than we carry.

    Errors: Undecodable for what cannot be carried.
    """
    try:
        return carried.encode(value)
    except Invalid as error:
        raise Undecodable(error.message, hint=error.hint) from error


def decode_msgpack(payload: bytes) -> object:
    """Any MessagePack value."""
    try:
        value = _msgpack.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise (Undecodable(f"not MessagePack: {error}") if payload else empty_payload()) from error
    encoded(value)
    return value


_msgpack: Final = msgspec.msgpack.Decoder()


def _json_reader(codec: str, nan_is_null: bool) -> Decode:
    def decode(payload: bytes) -> object:
        content = payload if codec == UTF_8 else text_of(payload, codec).encode()
        try:
            value = read_json(content, nan_is_null=nan_is_null)
        except Undecodable as error:
            if content.removeprefix(UTF_8_MARK).strip():
                raise
            raise empty_payload() from error
        if not isinstance(value, str | float | bool):
            encoded(value)
        return value

    return decode


def _number_reader(codec: str, nan_is_null: bool) -> Decode:
    """One number in decimal notation; white space around it is allowed."""

    def decode(payload: bytes) -> int | float | None:
        text = text_of(payload, codec).strip()
        found = read_number(text)
        if found is None:
            if not is_nan(text):
                raise Undecodable("not a number") if text else empty_payload()
            if not nan_is_null:
                raise Undecodable("not a number", hint="nan: null reads it as null")
        return found

    return decode


def _csv_reader(payload: Payload) -> Decode:
    """One row of values to a map by column name. An empty value is null unless its column is text."""
    codec, delimiter = payload.codec, payload.delimiter
    if delimiter not in DELIMITERS:
        raise Invalid(f"csv delimiter {delimiter!r} is not known", hint="choose , ; | a tab or a space")
    if not payload.columns:
        hint = 'name them in order, as in columns: ["temperature", "id:text"]'
        raise Invalid("decoder 'csv' needs columns", hint=hint)
    columns = columns_of(payload.columns, payload.nan_is_null)

    def decode(payload: bytes) -> dict[str, object]:
        rows = list(csv_cells(payload, codec, delimiter=delimiter))
        if len(rows) != 1:
            raise Undecodable(f"{len(rows)} rows of csv", hint=_ONE_ROW) if rows else empty_payload()
        number, cells = rows[0]
        try:
            return row_of(cells, columns)
        except Undecodable as error:
            raise at_line(number, error) from error

    return decode


_ONE_ROW: Final = "send one message for each row"


def _either(first: Decode, second: Decode) -> Decode:
    def decode(payload: bytes) -> object:
        try:
            return first(payload)
        except Undecodable as error:
            try:
                return second(payload)
            except Undecodable as other:
                raise Undecodable(f"{error.message}; otherwise: {other.message}", hint=error.hint) from other

    return decode


def _rewriting(decode: Decode, rewrite: Rewrite) -> Decode:
    return lambda payload: rewrite(decode(payload))


def _unless_empty(decode: Decode, empty: str, codec: str | None) -> Decode:
    """codec: of text, of which white space is as good as nothing; None where only no bytes at all are."""

    def check(payload: bytes) -> object:
        if not (payload if codec is None else _stripped(payload, codec)):
            if empty == "skip":
                return SKIPPED
            if empty == "null":
                return None
            raise empty_payload()
        return decode(payload)

    return check


def _stripped(payload: bytes, codec: str) -> str | bytes:
    """What is left without white space and a byte order mark; of what is no text, the payload itself."""
    if not codec.startswith(("utf-16", "utf-32")):
        return payload.removeprefix(UTF_8_MARK).strip()
    try:
        return text_of(payload, codec).strip()
    except Undecodable:
        return payload
