"""What a device sends in one body, as the values of its jobs: JSON, lines of JSON, text, CSV, MessagePack, or bytes.

Each value is read as the payload of a message would be. No job is made of half a body.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from hubqueue.errors import Invalid, Malformed, Undecodable
from hubqueue.model.decode import SKIPPED, Payload, empty_payload
from hubqueue.model.encoding import UTF_8
from hubqueue.model.lines import csv_rows, lines


class Layout(msgspec.Struct, frozen=True):
    """How a body is to be read. columns of the payload: of CSV that has no header row. lines: a value in each."""

    payload: Payload
    lines: bool = False
    explode: bool = False


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
    return [rewrite(value) for value in found.values or _nothing(payload)]


def _nothing(payload: Payload) -> list[Any]:
    """What a body that holds no value is. Errors: Invalid."""
    if payload.empty == "refuse" or payload.empty is None:
        error = empty_payload()
        raise Invalid(error.message, hint=error.hint)
    return [] if payload.empty == "skip" else [None]


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
