"""What a value from data is called in messages to people: the words of JSON, never those of Python."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

_KINDS: Final[dict[type, str]] = {
    dict: "a map",
    list: "a list",
    str: "text",
    bytes: "bytes",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
    datetime: "a time",
    msgspec.msgpack.Ext: "a MessagePack extension",
}


def kind_of(value: object) -> str:
    """What it is, for people."""
    return _KINDS.get(type(value), "of a kind that JSON does not know")
