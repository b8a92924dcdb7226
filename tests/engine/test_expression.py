"""Expressions of rules: what they say, and what the sandbox keeps them from."""

from __future__ import annotations

import pytest

from hubqueue.errors import Invalid
from hubqueue.expression import Condition, ExpressionFailed, Text


def holds(text: str, payload: object, **parts: object) -> bool:
    return Condition(text).holds({"payload": payload, **parts})


def test_a_condition_compares_values_of_the_payload() -> None:
    assert holds("payload.t > 30 and room != 'attic'", {"t": 31}, room="hall")
    assert not holds("payload.t > 30 and room != 'attic'", {"t": 31}, room="attic")


@pytest.mark.parametrize("payload", [{}, {"x": 1}, 5, None, "text", []])
def test_comparing_a_value_that_is_not_there_is_false(payload: object) -> None:
    assert not holds("payload.t > 30", payload)


def test_comparing_text_with_a_number_fails() -> None:
    with pytest.raises(ExpressionFailed, match="TypeError"):
        holds("payload.t > 30", {"t": "warm"})


def test_a_key_goes_before_a_method_of_the_same_name() -> None:
    assert holds("payload.values == 3 and payload.items == 4", {"values": 3, "items": 4})


@pytest.mark.parametrize("text", ["payload.n.__class__.__mro__", "''.__class__.mro()"])
def test_the_sandbox_hides_python(text: str) -> None:
    with pytest.raises(ExpressionFailed, match="SecurityError"):
        holds(text, {"n": 1})


def test_a_map_of_the_payload_has_no_python_attributes() -> None:
    assert not holds("payload.__class__", {"n": 1})


@pytest.mark.parametrize("text", ["10 ** payload.n > 1", "payload.s * payload.n", "payload.l * payload.n"])
def test_the_sandbox_refuses_work_without_end(text: str) -> None:
    with pytest.raises(ExpressionFailed):
        holds(text, {"n": 10**9, "s": "x", "l": [1]})


def test_data_cannot_be_changed_by_an_expression() -> None:
    with pytest.raises(ExpressionFailed):
        holds("payload.l.append(2)", {"l": [1]})


def test_a_template_needs_every_value_it_names() -> None:
    key = Text("{{ room }}/{{ payload.id }}")
    assert key.render({"room": "hall", "payload": {"id": 7}}) == "hall/7"
    with pytest.raises(ExpressionFailed, match="id"):
        key.render({"room": "hall", "payload": {}})


@pytest.mark.parametrize("text", ["payload.t >", "", "{{ payload }}"])
def test_a_wrong_expression_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="expression"):
        Condition(text)


def test_a_wrong_template_is_refused() -> None:
    with pytest.raises(Invalid, match="template"):
        Text("{{ room")
