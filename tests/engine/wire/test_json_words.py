"""Stored data as JSON: what JSON cannot say is written in its own words, whatever was stored."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.kafkagroup.deadletters import of_record
from hubqueue.pipeline.record import Record
from hubqueue.wire.jsondata import plain
from support.expressions import words_of_python

KEYS = st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=3) | st.sampled_from(["a", "b"])
LEAVES = KEYS | st.just(datetime(2026, 1, 2, tzinfo=UTC))
DATA = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, '"NaN"'),
        (math.inf, '"Infinity"'),
        (-math.inf, '"-Infinity"'),
        ({None: 1}, '{"null":1}'),
        ({True: 1, False: 2}, '{"true":1,"false":2}'),
        ({1.5: 1, math.nan: 2}, '{"1.5":1,"NaN":2}'),
        ({b"\xff": 1}, '{"{\\"$bytes\\":\\"/w==\\"}":1}'),
    ],
)
def test_what_json_cannot_say_has_its_words(value: Any, written: str) -> None:
    assert msgspec.json.encode(plain(value)).decode() == written


@given(DATA)
def test_no_word_of_python_is_written(data: Any) -> None:
    text = of_record(Record(data, "n", 0, "i"), "why").payload.decode()
    json.loads(text)
    assert words_of_python(text) == set()
