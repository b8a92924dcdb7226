"""What the data of a flow's jobs says about the flow: `__parentId`, `__parentQueue`, `__childrenIds`.

Clients keep their view of the tree there. User data is decoded here, and only for jobs of flows; values that are
not the flow's own are passed on byte for byte.
Source: docs/protocol.md, PUSHF and UpdateParent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from hubqueue.errors import Invalid
from hubqueue.model.flow import FlowJob
from hubqueue.model.limits import MAX_CUSTOM_ID_CHARS, check_queue, check_text

PARENT_ID: Final = "__parentId"
PARENT_QUEUE: Final = "__parentQueue"
CHILDREN_IDS: Final = "__childrenIds"
RESERVED: Final = "__"  # keys that begin so are the flow's

_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_read_map: Final = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_read_text: Final = msgspec.msgpack.Decoder(str).decode
_read_texts: Final = msgspec.msgpack.Decoder(list[str]).decode
_write: Final = msgspec.msgpack.Encoder().encode


def claimed_queue(parent_id: str, data: bytes | None) -> str | None:
    """The queue in which this data says its job's parent is; None when it does not name that parent."""
    fields = _fields(data)
    return _text(fields, PARENT_QUEUE) or None if _text(fields, PARENT_ID) == parent_id else None


def with_parent(data: bytes | None, parent_id: str, queue: str | None) -> bytes | None:
    """The data of a child, with its parent in it. Data that is no map stays as it is, and any if there is no queue.

    Errors: Invalid.
    """
    if queue is None:
        return data
    check_queue(queue)
    check_text("the id of the parent", parent_id, MAX_CUSTOM_ID_CHARS)
    return _changed(data, {PARENT_ID: parent_id, PARENT_QUEUE: queue})


def with_children(data: bytes | None, children_ids: Sequence[str]) -> bytes | None:
    """The data of a parent, with its children in it. Data that is no map stays as it is."""
    return _changed(data, {CHILDREN_IDS: list(children_ids)})


def without_flow(data: bytes, parent_id: str | None, children_ids: Sequence[str]) -> bytes:
    """The data of a job without its ties to these relatives; what names none of them is its producer's own.

    Data that is no map stays as it is.
    """
    if not parent_id and not children_ids:
        return data
    fields = _fields(data)
    if fields is None:
        return data
    ties: tuple[str, ...] = ()
    if parent_id and _text(fields, PARENT_ID) == parent_id:
        ties = (PARENT_ID, PARENT_QUEUE)
    if not set(children_ids).isdisjoint(_texts(fields, CHILDREN_IDS) or ()):
        ties = (*ties, CHILDREN_IDS)
    return _write({key: value for key, value in fields.items() if key not in ties}) if ties else data


def replaced(old: bytes | None, new: bytes | None) -> bytes | None:
    """New data for a job of a flow, with what the old data says about the flow.

    Errors: Invalid for new data that is no map, or has reserved keys.
    """
    kept = {key: value for key, value in (_fields(old) or {}).items() if key.startswith(RESERVED)}
    if not kept:
        return new
    fields = _fields(new)
    if fields is None:
        raise Invalid("flow job data must be an object")
    for key in fields:
        if key.startswith(RESERVED):
            raise Invalid(f"flow job data key is reserved: {key[:100]}")
    return _write(fields | kept)


def check_metadata(flow: Sequence[FlowJob]) -> None:
    """The data of each job tells the same tree as its options. The edges are checked (model.flow.check_flow).

    Errors: Invalid.
    """
    by_id = {each.id: each for each in flow}
    for each in flow:
        fields = _fields(each.job.data)
        if fields is None:
            raise Invalid("flow job data must be an object")
        options = each.job.options
        if options is None:
            continue
        if options.parent_id is not None:
            parent = by_id[options.parent_id]
            if _text(fields, PARENT_ID) != parent.id or _text(fields, PARENT_QUEUE) != parent.queue:
                raise Invalid(f"flow child {each.id} metadata does not match parent {parent.id}")
        if options.children_ids and _texts(fields, CHILDREN_IDS) != list(options.children_ids):
            raise Invalid(f"flow parent {each.id} children does not match the canonical flow topology")


def _changed(data: bytes | None, change: dict[str, str | list[str]]) -> bytes | None:
    fields = _fields(data)
    return data if fields is None else _write({**fields, **change})


def _fields(data: bytes | None) -> dict[str, Raw] | None:
    try:
        return None if data is None else _read_map(data)
    except _MALFORMED:
        return None


def _text(fields: Mapping[str, Raw] | None, key: str) -> str | None:
    try:
        return _read_text(fields[key]) if fields and key in fields else None
    except _MALFORMED:
        return None


def _texts(fields: Mapping[str, Raw], key: str) -> list[str] | None:
    try:
        return _read_texts(fields[key]) if key in fields else None
    except _MALFORMED:
        return None
