"""Which content types devices send, and what kind of payload each stands for."""

from __future__ import annotations

from typing import Final

from hubqueue.errors import Invalid, UnsupportedMedia
from hubqueue.model.encoding import UTF_8, codec_of
from hubqueue.servers.http.rest.reading import JSON, is_json

LINES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines")
TEXT: Final = "text/plain"
CSV: Final = "text/csv"
PACKED: Final = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
BYTES: Final = "application/octet-stream"
MEDIA: Final = (JSON, LINES[0], TEXT, CSV, PACKED[0], BYTES)


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
