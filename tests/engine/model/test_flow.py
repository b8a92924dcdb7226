"""Flows as values: their order, and what the data of their jobs says about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext, decode, encode

from hubqueue.errors import Invalid
from hubqueue.model.flow import in_order
from hubqueue.model.flowdata import claimed_queue, replaced, with_children, with_parent

LINK = {"__parentId": "p", "__parentQueue": "q"}
NOT_MAPS = [None, encode(None), encode(5), encode([1]), encode({1: 2}), b"\x81"]


@given(st.dictionaries(st.integers(0, 30), st.lists(st.integers(0, 40), max_size=4), max_size=30))
def test_every_job_comes_after_those_it_waits_for_or_there_is_a_circle(waits: dict[int, list[int]]) -> None:
    named = {str(id): [str(other) for other in others] for id, others in waits.items()}
    try:
        order = in_order(named)
    except Invalid:
        assert _has_circle(named)
        return
    assert sorted(order) == sorted(named)
    for at, id in enumerate(order):
        assert {other for other in named[id] if other in named} <= set(order[:at])


def _has_circle(waits: dict[str, list[str]]) -> bool:
    def reaches(start: str, goal: str) -> bool:
        seen, left = set[str](), list(waits.get(start, ()))
        while left:
            id = left.pop()
            if id == goal:
                return True
            if id not in seen:
                seen.add(id)
                left += waits.get(id, ())
        return False

    return any(reaches(id, id) for id in waits)


@pytest.mark.parametrize(
    ("data", "queue"),
    [
        (LINK, "q"),
        ({**LINK, "more": Ext(5, b"x")}, "q"),
        ({"__parentId": "p"}, None),
        ({"__parentId": "p", "__parentQueue": ""}, None),
        ({"__parentId": "other", "__parentQueue": "q"}, None),
        ({"__parentId": 5, "__parentQueue": "q"}, None),
        ({"__parentId": "p", "__parentQueue": ["q"]}, None),
    ],
)
def test_a_parent_is_named_by_its_id_and_its_queue(data: dict[str, object], queue: str | None) -> None:
    assert claimed_queue("p", encode(data)) == queue


@pytest.mark.parametrize("data", NOT_MAPS)
def test_data_that_is_no_map_names_nobody_and_stays_as_it_is(data: bytes | None) -> None:
    assert claimed_queue("p", data) is None
    assert with_parent(data, "p", "q") == data
    assert with_children(data, ["c"]) == data


def test_the_users_values_are_passed_on_byte_for_byte() -> None:
    odd = {"ext": Ext(5, b"x"), "bytes": b"\0", "wide": 2**63, "nested": {"1": [None]}}
    changed = with_children(with_parent(encode(odd), "p", "q"), ["a", "b"])
    assert changed is not None
    assert decode(changed) == {**odd, **LINK, "__childrenIds": ["a", "b"]}


def test_new_data_keeps_what_the_old_says_about_the_flow() -> None:
    new = replaced(encode({"x": 1, **LINK}), encode({"y": 2}))
    assert new is not None
    assert decode(new) == {"y": 2, **LINK}
    assert replaced(encode({"x": 1}), encode([5])) == encode([5])


@pytest.mark.parametrize(
    ("new", "text"),
    [(encode([1]), "must be an object"), (None, "must be an object"), (encode({"__x": 1}), "key is reserved: __x")],
)
def test_new_data_that_would_hide_the_flow_is_refused(new: bytes | None, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        replaced(encode(LINK), new)
