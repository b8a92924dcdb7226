"""Expressions of rules: what they say, and what the sandbox keeps them from."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue.errors import Invalid
from hubqueue.expression import MISSING, Condition, ExpressionFailed, Text, Url, Value


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


@pytest.mark.parametrize(
    "text", ["10 ** payload.n > 1", "payload.s * payload.n", "payload.l * payload.n", "payload.f % 1"]
)
def test_the_sandbox_refuses_work_without_end(text: str) -> None:
    with pytest.raises(ExpressionFailed):
        holds(text, {"n": 10**9, "s": "x", "l": [1], "f": "%999999999d"})


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


def value(text: str, **data: Any) -> Any:
    return Value(text, ("data", "id")).of({"data": data, "id": "i"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data.a", 1),
        ("data['b c']", 2),
        ("data.in.deep[1]", 20),
        ("data.a + data['b c'] * 2", 5),
        ("'x' ~ data.a", "x1"),
        ("data.list|map('upper')", ["A", "B"]),
        ("{'k': data.a, 'l': (data.a, id)}", {"k": 1, "l": [1, "i"]}),
        ("range(3)", [0, 1, 2]),
        ("data.nothing|default(7)", 7),
        ("data.nothing is defined", False),
        ("data.nothing or 3", 3),
        ("sqrt(16)", 4.0),
        ("data.none", None),
        ("true", True),
    ],
)
def test_a_value_is_of_any_kind(text: str, expected: object) -> None:
    data = {"a": 1, "b c": 2, "in": {"deep": [10, 20]}, "list": ["a", "b"], "none": None}
    assert value(text, **data) == expected


@pytest.mark.parametrize(
    "text",
    ["data.x", "data.x.y", "data.x + 1", "data.x * 2", "'a' ~ data.x", "[data.x]", "{'k': data.x}", "data.x|int"],
)
def test_a_value_that_needs_what_is_not_there_is_missing(text: str) -> None:
    assert value(text, a=1) is MISSING


@pytest.mark.parametrize("text", ["1 / 0", "data.a + 1", "data.a|number", "sqrt", "data.a()", "sqrt(0 - 1)", "-data.a"])
def test_a_value_that_cannot_be_worked_out_fails(text: str) -> None:
    with pytest.raises(ExpressionFailed):
        value(text, a="x")


def test_an_expression_can_be_used_again_after_it_failed() -> None:
    used = Value("data.a + 1", ("data",))
    with pytest.raises(ExpressionFailed):
        used.of({"data": {"a": "x"}})
    assert used.of({"data": {"a": 1}}) == 2
    assert used.of({"data": {}}) is MISSING
    assert used.of({"data": {"a": 2}}) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dat.x", "there is no 'dat' (did you mean 'data'?)"),
        ("foo.x", "known are data, id"),
        ("foo(1)", "there is no function 'foo'"),
        ("data.x|flot", "there is no filter 'flot' (did you mean 'float'?)"),
        ("1 if data.x else 2|nofilter", "there is no filter 'nofilter'"),
        ("data.x is numbr", "there is no test 'numbr' (did you mean 'number'?)"),
        ("data.x data.y", "is not valid"),
        ("lipsum()", "there is no function 'lipsum'"),
    ],
)
def test_what_does_not_exist_is_found_when_compiled(text: str, words: str) -> None:
    with pytest.raises(Invalid) as found:
        Value(text, ("data", "id"))
    assert words in str(found.value)
    with pytest.raises(Invalid):
        Text("{{ " + text + " }}", ("data", "id"))


def test_a_plain_template_is_put_together_as_by_jinja() -> None:
    values = {"a": 1, "b": {"c": None, "d": 1.5, "e": True}, "f": b"x"}
    assert Text("{{ a }}/{{ b.c }}/{{ b.d }}-{{ b.e }}{{ f }}").render(values) == "1/None/1.5-Trueb'x'"
    assert Text("no braces").render({}) == "no braces"
    assert Text("{{ a }}{{ b.d|round|int }}").render(values) == "12"


def test_values_in_a_url_are_encoded() -> None:
    url = Url("http://h/{{ a }}?q={{ b|upper }}")
    assert url.render({"a": "x/../y z", "b": "ü&c=d#"}) == "http://h/x%2F..%2Fy%20z?q=%C3%9C%26C%3DD%23"
    for dots in (".", ".."):
        with pytest.raises(ExpressionFailed):
            url.render({"a": dots, "b": ""})


@pytest.mark.parametrize(
    ("template", "absent"), [("{{ data.device }}", "device"), ("{{ room|upper }}", "room"), ("{{ data.a.b }}", "a")]
)
def test_what_a_template_lacks_is_said_in_plain_words(template: str, absent: str) -> None:
    with pytest.raises(ExpressionFailed) as failed:
        Text(template).render({"data": {"t": 1}})
    assert str(failed.value) == f"there is no '{absent}'"
