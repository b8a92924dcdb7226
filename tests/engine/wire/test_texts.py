"""What is wrong with a field is said with the field and the bound."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from hubqueue.wire.texts import protocol_text


class Command(msgspec.Struct):
    id: Annotated[str, Meta(min_length=2, max_length=5)] = "ab"
    entries: Annotated[list[int], Meta(min_length=1, max_length=2)] = msgspec.field(default_factory=list)
    blobs: Annotated[bytes, Meta(max_length=2)] = b""
    counts: Annotated[dict[str, int], Meta(max_length=1)] = msgspec.field(default_factory=dict)
    window: Annotated[str, Meta(pattern="^[0-9]+$")] = "1"
    size: Annotated[int, Meta(ge=1, le=9)] = 1


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"id": "abcdef"}, "id must be at most 5 characters"),
        ({"id": ""}, "id must be at least 2 characters"),
        ({"id": 5}, "id must be a string"),
        ({"entries": [1, 2, 3]}, "entries must have at most 2 entries"),
        ({"entries": []}, "entries must have at least 1 entries"),
        ({"counts": {"a": 1, "b": 2}}, "counts must have at most 1 names"),
        ({"window": "soon"}, "window is not valid: it must match '^[0-9]+$'"),
        ({"size": 0}, "size must be at least 1"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(said: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(said, Command)
    assert protocol_text(str(refused.value)) == words
