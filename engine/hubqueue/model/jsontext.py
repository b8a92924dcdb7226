"""JSON that comes from devices and files, for every door: strict, with the true reason of what it is not.

nan null: bare `nan`, `NaN`, `Infinity` and `-inf`, which many devices print for a sensor that is gone, are null.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hubqueue.errors import Undecodable
from hubqueue.model.encoding import NAME_IT, UTF_8_MARK

EXPLAINED_BYTES: Final = 65_536  # of a text that is no JSON, to say why: more would hold the loop up for the words only
_decode: Final = msgspec.json.Decoder().decode

_WORD: Final = rb"(?<![\w.+-])[+-]?(?:nan(?:\(\w*\))?|inf(?:inity)?)(?![\w.])"
# A word that C prints for what is no number, behind all that is none; a string is passed over, whole or cut off.
# It always matches, and nothing is tried twice: ten megabytes of anything take a second or two.
_BARE: Final = re.compile(
    rb"(?P<before>(?:[^\"+\-NI]++|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+(?:\"|\\?\Z)|(?!" + _WORD + rb")[+\-NI])*+)"
    rb"(?P<word>" + _WORD + rb"|\Z)",
    re.IGNORECASE | re.DOTALL,
)
# A whole pair, any other escape, or the half of a pair.
_HALF: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)


def read_json(content: bytes, *, nan_is_null: bool = False) -> object:
    """The value of a JSON text in UTF-8, with or without a byte order mark. Errors: Undecodable."""
    try:
        return _decode(content)
    except RecursionError as error:
        raise Undecodable("not JSON that can be carried: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if content.startswith(UTF_8_MARK):
            return read_json(content[len(UTF_8_MARK) :], nan_is_null=nan_is_null)
        if nan_is_null and (mended := _mended(content)) != content:
            return read_json(mended)
        raise _refusal(content, error) from error


def _mended(content: bytes) -> bytes:
    """With null for every such word."""
    return b"".join(found["before"] + (found["word"] and b"null") for found in _BARE.finditer(content))


def _refusal(content: bytes, error: Exception) -> Undecodable:
    """Why these bytes are not JSON, said better than a parser does that stops where it is confused."""
    if not content.strip():
        return Undecodable("not JSON: empty payload")
    try:
        content.decode()
    except UnicodeDecodeError as wrong:
        return Undecodable(f"not valid UTF-8 at byte {wrong.start}", hint=NAME_IT)
    if isinstance(error, msgspec.ValidationError):  # all that a reader of any value finds wrong with a value
        return Undecodable("not JSON: a number is beyond the range of a double")
    if len(content) > EXPLAINED_BYTES:
        return Undecodable(f"not JSON: {error}")
    half = next((found for found in _HALF.finditer(content) if found["half"]), None)
    if half is not None:
        code = half[0].decode()
        return Undecodable(f"not JSON: {code} at byte {half.start()} is half a character, the other half is missing")
    mended = _mended(content)
    if mended != content and _reads(mended):
        bare = next(found for found in _BARE.finditer(content) if found["word"])
        text = f"not JSON: {bare['word'].decode()} at byte {bare.start('word')} is not a number of JSON"
        return Undecodable(text, hint="nan: null reads it as null")
    return Undecodable(f"not JSON: {error}")


def _reads(content: bytes) -> bool:
    try:
        _decode(content)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
