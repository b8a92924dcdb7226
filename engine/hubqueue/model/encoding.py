"""Bytes as text: which encodings can be named, and the one way in which bytes of one become text.

Rule: a byte order mark is never part of the text, whatever encoding was named; a UTF-8 one says what follows.
"""

from __future__ import annotations

import codecs
from typing import Final

from hubqueue.errors import Invalid, Undecodable

UTF_8: Final = "utf-8"
UTF_8_MARK: Final = codecs.BOM_UTF8
NAME_IT: Final = "encoding says in which encoding it comes, as in latin-1"
_MARK: Final = "\ufeff"
# Codecs of Python that are no encodings of files and messages, or that read plain ASCII as something else.
_NOT_PLAIN: Final = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"})


def codec_of(name: str) -> str:
    """Python's own name of an encoding. Errors: Invalid for one that is not known, or that is none of text."""
    try:
        found = codecs.lookup(name)
        if not found._is_text_encoding or found.name.replace("_", "-") in _NOT_PLAIN:
            raise LookupError(name)
    except (LookupError, ValueError, UnicodeError) as error:
        hint = "as in utf-8, latin-1, windows-1252, iso-8859-15, cp437 or utf-16"
        raise Invalid(f"there is no text encoding {name[:40]!r}", hint=hint) from error
    return UTF_8 if found.name == "utf-8-sig" else found.name


def text_of(content: bytes, codec: str = UTF_8) -> str:
    """The text that these bytes are in an encoding (`codec_of`). Errors: Undecodable."""
    if content.startswith(UTF_8_MARK):
        content, codec = content[len(UTF_8_MARK) :], UTF_8
    try:
        return content.decode(codec).removeprefix(_MARK)
    except UnicodeDecodeError as error:
        raise Undecodable(f"not valid {shown(codec)} at byte {error.start}", hint=NAME_IT) from error


def shown(codec: str) -> str:
    """An encoding as people write it."""
    return codec.upper() if codec.startswith("utf") else codec
