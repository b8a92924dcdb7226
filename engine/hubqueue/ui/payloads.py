"""User data for people: as indented JSON, marked when JSON cannot say what it is, cut when it is too long to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw, UnsetType

from hubqueue.errors import Invalid, ProtocolError
from hubqueue.model.payload import decode
from hubqueue.wire.fields import UNDEFINED
from hubqueue.wire.jsondata import packed, readable

MAX_CHARS: Final = 100_000  # what a page shows of one value; browsers get slow beyond
MAX_READ_BYTES: Final = 1024 * 1024  # larger values are not decoded for a page: it would hold the loop up


@dataclass(frozen=True, slots=True)
class Payload:
    """A value as a page shows it. odd: the text says it only roughly, so it must not be put back as it is.

    Units: size_bytes of the stored MessagePack.
    """

    text: str
    size_bytes: int
    odd: bool = False
    cut: bool = False

    @property
    def editable(self) -> bool:
        return not self.odd and not self.cut


def payload(data: Raw | UnsetType | None) -> Payload | None:
    """None when there is none. Never fails, whatever is stored."""
    if not isinstance(data, Raw):
        return None
    raw = bytes(data)
    if not raw or raw == UNDEFINED:
        return None
    if len(raw) > MAX_READ_BYTES:
        return Payload("", len(raw), cut=True)
    value = readable(raw)
    text = _indented(value)
    if len(text) > MAX_CHARS:
        return Payload(text[:MAX_CHARS], len(raw), odd=_is_odd(raw, value), cut=True)
    return Payload(text, len(raw), odd=_is_odd(raw, value))


def packed_text(text: str) -> Raw | None:
    """What somebody typed as JSON, as stored data; None for an empty field. Errors: Invalid."""
    if not text.strip():
        return None
    try:
        return Raw(packed(text.encode()))
    except UnicodeEncodeError:
        raise Invalid("This is not valid JSON: the text is not valid Unicode") from None


def _indented(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _is_odd(raw: bytes, value: Any) -> bool:
    try:
        return not _same(decode(raw), value)
    except ProtocolError:
        return True


def _same(stored: Any, shown: Any) -> bool:
    """Whether JSON has said it exactly. Equality alone would take 1 for True and {1: 2} never for {"1": 2}."""
    if type(stored) is not type(shown):
        return False
    if isinstance(stored, dict):
        return stored.keys() == shown.keys() and all(_same(item, shown[key]) for key, item in stored.items())
    if isinstance(stored, list):
        return len(stored) == len(shown) and all(map(_same, stored, shown))
    return bool(stored == shown)
