"""Null is missing: whatever is put together out of operators, over whatever data, is what a plain table says of it.

The table is written here once more, in other words than the engine's: kinds of values, and what each operator makes of
two kinds. Nothing of the engine is used to work out what is right.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubqueue.expression import MISSING, Condition, ExpressionFailed, Value
from support.expressions import tried

NOTHING = object()  # null, or not there: one thing


class Wrong(Exception):
    """The kinds do not go together: an error in plain words."""


Data = dict[str, Any]
Told = Callable[[Data], Any]  # what is right, of data
Case = tuple[str, Told]


def looked_up(*path: str) -> Told:
    def tell(data: Data) -> Any:
        at: Any = data
        for key in path:
            at = at.get(key) if isinstance(at, dict) else None
        return NOTHING if at is None else at

    return tell


FIELDS: list[Case] = [
    ("data.a", looked_up("a")),
    ("data['b']", looked_up("b")),
    ("data.p.q", looked_up("p", "q")),
    ("data.gone", looked_up("gone")),
]
CONSTANTS: list[Case] = [(text, lambda _, value=value: value) for text, value in (("5", 5), ("2.5", 2.5), ("'x'", "x"))]


def numeric(value: Any) -> bool:
    return isinstance(value, int | float)


def ordered(sign: str, of: Callable[[Any, Any], bool]) -> tuple[str, Callable[[Any, Any], Any]]:
    def right(left: Any, other: Any) -> Any:
        if left is NOTHING or other is NOTHING:
            return False
        if (numeric(left) and numeric(other)) or (isinstance(left, str) and isinstance(other, str)):
            return of(left, other)
        raise Wrong

    return sign, right


def is_equal(left: Any, other: Any) -> bool:
    return left is not NOTHING and other is not NOTHING and left == other


def is_in(left: Any, other: Any) -> bool:
    if left is NOTHING or other is NOTHING:
        return False
    if isinstance(other, list):
        return any(each is not None and each == left for each in other)
    if isinstance(other, dict) and not isinstance(left, list | dict):
        return left in other
    if isinstance(other, str) and isinstance(left, str):
        return left in other
    raise Wrong


def calculated(sign: str, of: Callable[[Any, Any], Any]) -> tuple[str, Callable[[Any, Any], Any]]:
    def right(left: Any, other: Any) -> Any:
        if left is NOTHING or other is NOTHING:
            return NOTHING
        if sign == "+" and type(left) is type(other) and isinstance(left, str | list):
            return left + other
        if not numeric(left) or not numeric(other):
            raise Wrong
        try:
            found = of(left, other)
        except (ZeroDivisionError, OverflowError):
            raise Wrong from None
        if isinstance(found, float) and not math.isfinite(found):
            raise Wrong
        return found

    return sign, right


COMPARED = dict(
    [
        ordered("<", operator.lt),
        ordered("<=", operator.le),
        ordered(">", operator.gt),
        ordered(">=", operator.ge),
        ("==", is_equal),
        ("!=", lambda left, other: not is_equal(left, other)),
        ("in", is_in),
        ("not in", lambda left, other: not is_in(left, other)),
    ]
)
MADE = dict(
    [
        calculated("+", operator.add),
        calculated("-", operator.sub),
        calculated("*", operator.mul),
        calculated("/", operator.truediv),
    ]
)


def true(value: Any) -> bool:
    return value is not NOTHING and bool(value)


def binary(left: Case, sign: str, right: Case) -> Case:
    of = COMPARED.get(sign) or MADE[sign]
    return f"({left[0]} {sign} {right[0]})", lambda data: of(left[1](data), right[1](data))


def both(left: Case, word: str, right: Case) -> Case:
    def tell(data: Data) -> Any:
        found = left[1](data)
        return found if true(found) is (word == "or") else right[1](data)

    return f"({left[0]} {word} {right[0]})", tell


def turned(inner: Case) -> Case:
    return f"(not {inner[0]})", lambda data: not true(inner[1](data))


def chosen(inner: Case, test: Case, other: Case) -> Case:
    return f"({inner[0]} if {test[0]} else {other[0]})", lambda data: (inner if true(test[1](data)) else other)[1](data)


def replaced(inner: Case) -> Case:
    return f"({inner[0]}|default(7))", lambda data: 7 if (found := inner[1](data)) is NOTHING else found


def asked(inner: Case, word: str) -> Case:
    of = {
        "none": lambda found: found is NOTHING,
        "not none": lambda found: found is not NOTHING,
        "defined": lambda found: found is not NOTHING,
        "undefined": lambda found: found is NOTHING,
        "number": lambda found: isinstance(found, int | float) and not isinstance(found, bool),
        "string": lambda found: isinstance(found, str),
    }[word]
    return f"({inner[0]} is {word})", lambda data: of(inner[1](data))


ASKED = ("none", "not none", "defined", "undefined", "number", "string")
cases = st.recursive(
    st.sampled_from(FIELDS + CONSTANTS),
    lambda inner: st.one_of(
        st.builds(binary, inner, st.sampled_from([*COMPARED, *MADE]), inner),
        st.builds(both, inner, st.sampled_from(["and", "or"]), inner),
        st.builds(turned, inner),
        st.builds(chosen, inner, inner, inner),
        st.builds(replaced, inner),
        st.builds(asked, inner, st.sampled_from(ASKED)),
    ),
    max_leaves=5,
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9, width=16), st.sampled_from(["", "x", "5", "None"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("qx"), inner, max_size=2),
    max_leaves=4,
)
datas = st.fixed_dictionaries(
    {}, optional={"a": values, "b": values, "p": st.dictionaries(st.just("q"), values) | values}
)


@settings(max_examples=300)
@given(cases, datas)
def test_an_expression_gives_what_the_table_says(case: Case, data: Data) -> None:
    text, tell = case
    expected: Any
    try:
        expected = tell(data)
    except Wrong:
        expected = Wrong
    assert outcome(lambda: Value(text, ("data",)).of({"data": data})) == seen(expected)
    condition = outcome(lambda: Condition(text, ("data",)).holds({"data": data}))
    assert condition == (seen(expected) if expected is Wrong else ("bool", str(true(expected))))


def outcome(run: Callable[[], Any]) -> Any:
    found = tried(run)
    if isinstance(found, ExpressionFailed):
        return seen(Wrong)
    return seen(NOTHING if found is MISSING else found)


def seen(value: Any) -> Any:
    """With its kind: 1, 1.0 and true are three things here."""
    if value is NOTHING or value is Wrong:
        return value
    return type(value).__name__, repr(value)


@pytest.mark.parametrize("data", [{"b": 9}, {"a": None, "b": 9}])
def test_the_other_side_of_an_or_is_looked_at(data: Data) -> None:
    assert Condition("data.a > 5 or data.b > 5", ("data",)).holds({"data": data})
    assert not Condition("data.a > 5 and data.b > 5", ("data",)).holds({"data": data})
    assert Condition("not (data.a > 5)", ("data",)).holds({"data": data})
