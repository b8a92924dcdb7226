"""JSON from devices: what is wrong with it is said truly; bare words for no number are null where that is wished."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.errors import Undecodable
from hubqueue.model.jsontext import read_json

WORDS = ["nan", "NaN", "NAN", "-nan", "inf", "-inf", "Infinity", "-Infinity", "+inf", "nan(0x8)"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8) | st.sampled_from(WORDS)
    | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.sampled_from(WORDS), inner),
    max_leaves=8,
)  # fmt: skip


def nulled(value: Any) -> Any:
    """The value with null for every number that is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [nulled(each) for each in value]
    if isinstance(value, dict):
        return {key: nulled(each) for key, each in value.items()}
    return value


@given(VALUES, st.booleans(), st.booleans())
def test_bare_words_become_null_and_nothing_else_changes(value: Any, ascii: bool, marked: bool) -> None:
    """Python writes NaN, Infinity and -Infinity bare, as devices do."""
    text = (b"\xef\xbb\xbf" if marked else b"") + json.dumps(value, ensure_ascii=ascii).encode(errors="surrogatepass")
    assert read_json(text, nan_is_null=True) == nulled(value)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_null_where_it_is_bare(word: str) -> None:
    text = f'{{"{word}": [{word}, "{word}", "\\"{word}"], "b": {word}}}'
    assert read_json(text.encode(), nan_is_null=True) == {word: [None, word, f'"{word}'], "b": None}
    with pytest.raises(Undecodable, match=r"at byte \d+ is not a number of JSON .*nan: null"):
        read_json(text.encode())


@pytest.mark.parametrize("text", ["nanx", "[1nan]", "nan.5", "{nan: 1}", "1e400", "[nan", "informed", "5inf"])
def test_what_only_looks_like_such_a_word_is_refused(text: str) -> None:
    with pytest.raises(Undecodable, match="not JSON"):
        read_json(text.encode(), nan_is_null=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'"\\ud800"', r"\\ud800 at byte 1 is half a character"),
        (b'{"a": "\\ud83d\\ude00 \\udc00"}', r"\\udc00 at byte 20 is half a character"),
        (b'"\\ud800\\u0041"', r"\\ud800 at byte 1 is half a character"),
        (b'"\\\\ud800" x', "trailing characters"),
        (b'{"a": [1, -1e400]}', "a number is beyond the range of a double"),
        (b'"\xed\xa0\x80"', "not valid UTF-8 at byte 1"),
        (b'{"a": 1}\x00', "trailing characters"),
        (b"\xef\xbb\xbf", "empty payload"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_the_reason_is_the_true_one(text: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        read_json(text)


@pytest.mark.parametrize("junk", [b'"\\"', b"nan", b'"', b"\\u", b"-", b"n-", b"\\ud800", b"+nan("])
def test_no_text_makes_the_reader_slow(junk: bytes) -> None:
    """A search that tried again at every byte would not come to an end here."""
    with pytest.raises(Undecodable):
        read_json(junk * 100_000, nan_is_null=True)
