"""What devices send, as values: JSON, lines of JSON, text, CSV, MessagePack, or plainly bytes.

The content type says which, or the option `kind`; how tolerant the reading is, is said as a rule of MQTT says it.
No job is made of half a body.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from hubqueue.errors import Invalid, Malformed, Undecodable, UnsupportedMedia
from hubqueue.model.decode import SKIPPED, Payload
from hubqueue.model.encoding import UTF_8, codec_of
from hubqueue.model.lines import csv_rows, lines
from hubqueue.servers.http.rest.reading import JSON, is_json

LINES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines")
TEXT: Final = "text/plain"
CSV: Final = "text/csv"
PACKED: Final = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
BYTES: Final = "application/octet-stream"
MEDIA: Final = (JSON, LINES[0], TEXT, CSV, PACKED[0], BYTES)


class Layout(msgspec.Struct, frozen=True):
    """How a body is to be read. columns of the payload: of CSV that has no header row. lines: a value in each."""

    payload: Payload
    lines: bool = False
    explode: bool = False


def kind_of(media: str) -> str:
    """The kind of payload that a content type stands for. Errors: UnsupportedMedia."""
    if media in FORMS:
        raise UnsupportedMedia("A form is not taken here", hint="say what it is, as in -H 'Content-Type: " + JSON + "'")
    if is_json(media) or media in LINES:
        return "json"
    if media in PACKED:
        return "msgpack"
    return {TEXT: "text", CSV: "csv"}.get(media, "bytes")


def charset_of(charset: str | None) -> str:
    """The encoding that a content type names. Errors: UnsupportedMedia."""
    try:
        return codec_of(charset or UTF_8)
    except Invalid as error:
        raise UnsupportedMedia(f"charset {(charset or '')[:40]!r} is not known", hint="send UTF-8") from error


class _Several(msgspec.Struct, frozen=True):
    values: list[Any]


def values_of(content: bytes, layout: Layout) -> list[Any]:
    """The data of each job. Errors: Invalid, Malformed."""
    payload = layout.payload
    try:
        found = _decoded(content, layout)
    except Undecodable as error:
        raise Malformed(error.message, hint=error.hint) from error
    if found is SKIPPED:
        return []
    if not isinstance(found, _Several):
        return [found]
    rewrite = payload.rewrite
    if not found.values and payload.empty != "skip":
        raise Invalid("There is nothing in it")
    return [rewrite(value) for value in found.values]


def _decoded(content: bytes, layout: Layout) -> object:
    payload = layout.payload
    if payload.kind == "csv":
        return payload.around(lambda body: _Several(_rows(body, payload)))(content)
    decode = payload.decoder()
    if layout.lines or (layout.explode and payload.kind in ("text", "number")):
        return _Several(_each(content, payload))
    value = decode(content)
    if not layout.explode or payload.kind != "json" or value is SKIPPED:
        return value
    if not isinstance(value, list):
        raise Invalid("explode needs a JSON list")
    return _Several(value)


def _each(content: bytes, payload: Payload) -> list[Any]:
    """A value for each line; one that is blank is none, but where it is text."""
    decode = replace(payload, encoding=UTF_8).decoder()
    found = []
    for number, line in lines(content, payload.codec):
        if payload.kind == "text" or line.strip():
            try:
                value = decode(line.encode())
            except Undecodable as error:
                raise Undecodable(f"line {number}: {error.message}", hint=error.hint) from error
            if value is not SKIPPED:
                found.append(value)
    return found


def _rows(content: bytes, payload: Payload) -> list[dict[str, object]]:
    read = csv_rows(
        content,
        payload.codec,
        columns=payload.columns,
        delimiter=payload.delimiter,
        nan_is_null=payload.nan_is_null,
    )
    return [row for _, row in read]
