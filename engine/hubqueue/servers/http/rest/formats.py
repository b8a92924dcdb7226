"""What devices send, as values: JSON, lines of JSON, text, CSV, MessagePack, or plainly bytes.

Every reader is strict: what is not exactly its form is refused, and no job is made of half a body.
"""

from __future__ import annotations

import codecs
import csv
from io import StringIO
from typing import Any, Final

import msgspec

from hubqueue.errors import Invalid, Malformed, ProtocolError, UnsupportedMedia
from hubqueue.model.cells import Column, read_column
from hubqueue.model.payload import decode
from hubqueue.servers.http.rest.reading import JSON, decode_json, is_json

LINES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines")
TEXT: Final = "text/plain"
CSV: Final = "text/csv"
PACKED: Final = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
BYTES: Final = "application/octet-stream"
MEDIA: Final = (JSON, LINES[0], TEXT, CSV, PACKED[0], BYTES)


class Layout(msgspec.Struct, frozen=True):
    """How a body is to be read. columns: of CSV that has no header row."""

    media: str
    charset: str | None
    explode: bool
    columns: tuple[str, ...]
    delimiter: str


def values_of(content: bytes, layout: Layout) -> list[Any]:
    """The data of each job. Errors: Invalid, Malformed, UnsupportedMedia."""
    media = layout.media
    if is_json(media):
        return _json(content, layout)
    if media in LINES:
        return _json_lines(content)
    if media == TEXT:
        text = _text(content, layout)
        return _some(text.removesuffix("\n").split("\n")) if layout.explode else [text]
    if media == CSV:
        return _csv(_text(content, layout), layout)
    if media in PACKED:
        return [_packed(content)]
    if media in FORMS:
        raise UnsupportedMedia("A form is not taken here", hint="say what it is, as in -H 'Content-Type: " + JSON + "'")
    return [content]


def _json(content: bytes, layout: Layout) -> list[Any]:
    value = decode_json(content)
    if not layout.explode:
        return [value]
    if not isinstance(value, list):
        raise Invalid("explode needs a JSON list")
    return _some(value)


def _json_lines(content: bytes) -> list[Any]:
    found = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                found.append(decode_json(line))
            except Malformed as error:
                raise Malformed(f"line {number}: {error.message}") from error
    return _some(found)


def _packed(content: bytes) -> msgspec.Raw:
    try:
        decode(content)
    except ProtocolError as error:
        raise Malformed("This is not valid MessagePack") from error
    return msgspec.Raw(content)


def _text(content: bytes, layout: Layout) -> str:
    charset = layout.charset or "utf-8"
    try:
        if not codecs.lookup(charset)._is_text_encoding:  # "hex" and the like are codecs, but no charsets
            raise LookupError(charset)
        return content.decode(charset)
    except (LookupError, ValueError) as error:
        if isinstance(error, UnicodeError):
            raise Malformed(f"This is not valid {charset[:40]}") from error
        raise UnsupportedMedia(f"charset {charset[:40]!r} is not known", hint="send UTF-8") from error


def _csv(text: str, layout: Layout) -> list[Any]:
    try:
        rows = [row for row in csv.reader(StringIO(text, newline=""), delimiter=layout.delimiter, strict=True) if row]
    except csv.Error as error:
        raise Malformed(f"This is not valid CSV: {error}") from error
    names = layout.columns or tuple(name.strip() for name in (rows.pop(0) if rows else ()))
    columns = [read_column(name) for name in names]
    if len({column.name for column in columns}) != len(columns):
        raise Invalid("csv columns must have different names")
    return _some([_row(number, row, columns) for number, row in enumerate(rows, 1)])


def _row(number: int, row: list[str], columns: list[Column]) -> dict[str, Any]:
    if len(row) != len(columns):
        raise Invalid(f"row {number} has {len(row)} values for {len(columns)} columns")
    return {column.name: column.read(text.strip()) for column, text in zip(columns, row, strict=True)}


def _some(values: list[Any]) -> list[Any]:
    if not values:
        raise Invalid("There is nothing in it")
    return values
