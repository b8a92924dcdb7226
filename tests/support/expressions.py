"""Expressions that are tried, alone or behind a door: what they give, or the error that people would read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from hubqueue.errors import Invalid
from hubqueue.expression import ExpressionFailed
from hubqueue.forward.content import Unfit
from hubqueue.forward.outbound import OutboundJob
from hubqueue.model.payload import encode
from hubqueue.pipeline.record import Record, Refused
from support.pipelines import NOW_MS

_PYTHON = re.compile(
    r"\b(None|True|False|nan|inf|NoneType|Undefined|dict|str|bool|\w+Error|_\w+|(int|float) object)\b|'int'|<\w+ object"
)
_QUOTED = re.compile(r"'[^']{16,}'")  # what an author wrote
UNTHOUGHT = "it cannot be worked out with these values"  # what is said of an error that the engine has no words for


def tried(run: Callable[[], Any]) -> Any:
    """The value, or the error, whose words have been looked at."""
    try:
        return run()
    except (ExpressionFailed, Invalid) as error:
        failed = error
    assert UNTHOUGHT not in str(failed), repr(failed.__cause__)
    assert words_of_python(str(failed)) == set(), ascii(str(failed))
    return failed


def words_of_python(text: str) -> set[str]:
    """Those that nobody but a programmer should read."""
    return {found[0] for found in _PYTHON.finditer(_QUOTED.sub("", text))}


class No(Exception):
    """The door refuses, and says why."""


def parcel(data: Any) -> OutboundJob:
    return OutboundJob("fwd:e:q:1", "n", encode(data), NOW_MS)


def record(data: Any) -> Record:
    return Record(data, "default", NOW_MS, "r1")


def unfit(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (Unfit, Refused) as error:
        raise No(str(error)) from error


def either(run: Callable[[], Any]) -> tuple[Any, str]:
    """What it gives, and why it does not."""
    try:
        return unfit(run), ""
    except No as no:
        return None, str(no)


plain = st.sampled_from(["abc", "2.5", "x-y", "hall", 5.0, 2.5]) | st.integers(0, 10**6) | st.booleans()
# what a door has to escape, or has no place for (NUL in PostgreSQL), is told in the tests of that door
texts = st.text(st.characters(exclude_characters="\\\r\n\t\0", codec="utf-8"), max_size=5)
inner = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", ""]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("ab"), below, max_size=2),
    max_leaves=4,
)
maps = st.fixed_dictionaries({}, optional={"t": st.none() | plain | inner | texts, "u": inner})


def text_of(value: Any) -> str:
    """What is right: the words of JSON, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value == math.floor(value) else repr(value)
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)
