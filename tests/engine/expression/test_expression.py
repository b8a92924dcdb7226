"""Expressions of rules and steps: what they say, and what they keep data and authors from."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue.errors import Invalid
from hubqueue.expression import MISSING, Condition, ExpressionFailed, Text, Topic, Url, Value


def holds(text: str, payload: object, **parts: object) -> bool:
    return Condition(text).holds({"payload": payload, **parts})


def test_a_condition_compares_values_of_the_payload() -> None:
    assert holds("payload.t > 30 and room != 'attic'", {"t": 31}, room="hall")
    assert not holds("payload.t > 30 and room != 'attic'", {"t": 31}, room="attic")


@pytest.mark.parametrize("payload", [{}, {"x": 1}, 5, None, "text", []])
def test_comparing_a_value_that_is_not_there_is_false(payload: object) -> None:
    assert not holds("payload.t > 30", payload)


def test_comparing_text_with_a_number_fails() -> None:
    with pytest.raises(ExpressionFailed) as failed:
        holds("payload.t > 30", {"t": "warm"})
    assert str(failed.value) == "'payload.t > 30' cannot be worked out: text cannot be compared with a number"


def test_a_key_goes_before_a_method_of_the_same_name() -> None:
    assert holds("payload.values == 3 and payload.items == 4", {"values": 3, "items": 4})


@pytest.mark.parametrize(
    "text",
    [
        "payload.__class__",
        "payload.n.__class__.__mro__",
        "payload.s.__init__.__globals__",
        "payload['__class__']['__base__']",
        "''.__class__",
        "payload.l.__len__",
        "payload.f_globals",
        "payload|map(attribute='__class__')|first",
        "[payload.n]|map(attribute='__class__.__mro__')|first",
        "[payload.s]|selectattr('__class__')|first",
    ],
)
def test_nothing_of_python_is_reached_from_data(text: str) -> None:
    assert Value(text).of({"payload": {"n": 1, "s": "x", "l": [1]}}) is MISSING


@pytest.mark.parametrize(
    "text",
    [
        "''.__class__.mro()",
        "payload.__getattribute__('x')",
        "payload.l.append(2)",
        "payload.pop('l')",
        "payload.update({'a': 1})",
        "payload()",
        "payload['get']('l')",
        "payload|attr('__class__')",
        "sqrt.__globals__",
        "self.__init__()",
        "cycler.__init__.__globals__.os.popen('id')",
        "payload|map('attr', '__class__')",
        "payload.s.encode()",
        "payload.s.translate({})",
        "payload.s.format_map(payload)",
        "lipsum()",
        "range.__call__(3)",
    ],
)
def test_what_would_call_or_change_something_is_no_expression(text: str) -> None:
    with pytest.raises(Invalid):
        Value(text, ("payload",))


@pytest.mark.parametrize("pattern", ["{0.__class__}", "{0[a]}", "{!r}", "{:{}}", "%(a)s", "%r", "%*d", "{", "%"])
def test_a_pattern_reaches_nothing(pattern: str) -> None:
    for text in ("payload.f.format(payload)", "payload.f|format(payload)"):
        try:
            made = Value(text).of({"payload": {"f": pattern, "a": 1}})
        except ExpressionFailed:
            continue
        assert made in (pattern, '{"f":"' + pattern + '","a":1}')


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
        ("0 < data.a < 5 < data['b c'] * 9", True),
        ("0 < data.a < data.nothing < 5", False),
        ("data.a in [1, 2] in [[1, 2], 3] != data.a", True),
        ("'a' in data.list != 'a'", True),
        ("1 == true and 1 is not sameas true and 1.0 is eq 1 and true is sameas true", True),
        ("data.none|default(8)", 8),
        ("data.none is none and data.nothing is none and data.a is not none", True),
        ("data.none is defined", False),
        ("data.none or 3", 3),
        ("true", True),
    ],
)
def test_a_value_is_of_any_kind(text: str, expected: object) -> None:
    data = {"a": 1, "b c": 2, "in": {"deep": [10, 20]}, "list": ["a", "b"], "none": None}
    assert value(text, **data) == expected


@pytest.mark.parametrize(
    "text",
    [
        "data.x",
        "data.none",
        "-data.none",
        "none",
        "sqrt(data.none)",
        "data.x.y",
        "data.x + 1",
        "data.x * 2",
        "'a' ~ data.x",
        "[data.x]",
        "{'k': data.x}",
        "data.x|int",
        "data.none|int",
    ],
)
def test_a_value_that_needs_what_is_not_there_is_missing(text: str) -> None:
    assert value(text, a=1, none=None) is MISSING


@pytest.mark.parametrize("text", ["1 / 0", "data.a + 1", "data.a|number", "sqrt(0 - 1)", "-data.a", "exp(1000)"])
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
        ("sqrt", "'sqrt' is a function (call it, as in sqrt(...))"),
        ("data.a()", "there is no method 'a'"),
        ("data.x == none", "nothing is equal to none (write: data.temperature is none, or: is not none)"),
        ("none != data.x", "nothing is equal to none"),
        ("data.x > none", "nothing is equal to none"),
        ("data.x is sameas none", "nothing is equal to none"),
        ("data.x in [none, 1]", "nothing is equal to none"),
        ("data.x not in (data.y, none)", "nothing is equal to none"),
        ("'%.1f' % data.x", "'%' takes numbers (write: '%.1f'|format(data.temperature))"),
        ("data.x|timestamp_custom('%H')", "there is no filter 'timestamp_custom' (an expression does not calculate"),
        ("data.x is not eq(none)", "nothing is equal to none"),
        ("data.l|rejectattr('a', 'eq', none)", "nothing is equal to none"),
        ("data.l|select('ne', none)", "nothing is equal to none"),
        ("data.x in [data.y, 1] or null == data.x", "there is no 'null'"),
        ("data.x|random", "there is no filter 'random' (the same record has to give the same result)"),
        ("data.x|regex_search('a')", "regular expressions can run for ever"),
        ("data.x|round(1, 2, 3)", "the filter 'round' takes other arguments (it takes: precision, method)"),
        ("data.x.upper(1)", "the method 'upper' takes other arguments (it takes: none)"),
        ("sqrt()", "the function 'sqrt' takes other arguments (it takes: value)"),
        ("data.x|replace(*data.y)", "takes no * or **"),
        ("data.l|map(data.x)", "the filter 'map' needs a name in quotes"),
        ("data.l|map('upperr')", "there is no filter 'upperr' (did you mean 'upper'?)"),
        ("data.l|select('numbr')", "there is no test 'numbr' (did you mean 'number'?)"),
    ],
)
def test_what_does_not_exist_is_found_when_compiled(text: str, words: str) -> None:
    with pytest.raises(Invalid) as found:
        Value(text, ("data", "id"))
    assert words in str(found.value)
    with pytest.raises(Invalid):
        Text("{{ " + text + " }}", ("data", "id"))


def test_a_plain_template_is_put_together_as_by_jinja() -> None:
    values = {"a": 1, "b": {"d": 1.5, "e": True, "g": [None, 2.0, {"x": False}]}, "f": b"x"}
    assert Text("{{ a }}/{{ b.d }}-{{ b.e }}{{ f }}").render(values) == "1/1.5-truex"
    assert Text("{{ b.g }}").render(values) == '[null,2.0,{"x":false}]'
    assert Text("no braces").render({}) == "no braces"
    assert Text("{{ a }}{{ b.d|round|int }}").render(values) == "12"


def test_values_in_a_url_are_encoded() -> None:
    url = Url("http://h/{{ a }}?q={{ b|upper }}")
    assert url.render({"a": "x/../y z", "b": "ü&c=d#"}) == "http://h/x%2F..%2Fy%20z?q=%C3%9C%26C%3DD%23"
    for dots in (".", ".."):
        with pytest.raises(ExpressionFailed):
            url.render({"a": dots, "b": ""})


@pytest.mark.parametrize("template", ["x/{{ a }}", "{{ a }}/x", "{{ b }}{{ a }}", " {{ a }}{{ b }}"])
def test_a_value_brings_no_level_of_a_topic(template: str) -> None:
    topic = Topic(template)
    assert "hall" in topic.render({"a": "hall", "b": 5})
    with pytest.raises(ExpressionFailed, match="levels of a topic"):
        topic.render({"a": "hall/../hubqueue/cmd", "b": 5})


def test_the_author_of_a_topic_writes_its_levels_or_leaves_all_of_them_to_the_data() -> None:
    assert Topic("s/{{ a }}/{{ b }}").render({"a": "x", "b": 5}) == "s/x/5"
    assert Topic("s/{{ a|replace('/', '-') }}").render({"a": "x/y"}) == "s/x-y"
    assert Topic("{{ a }}").render({"a": "x/y"}) == "x/y"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ data.device }}", "there is no data.device"),
        ("{{ room|upper }}", "there is no room"),
        ("{{ data.a.b }}", "there is no data.a"),
        ("{{ data.t.b }}", "there is no data.t.b"),
        ("{{ data.n }}", "data.n is null"),
        ("{{ data['odd key'] }}", "there is no data['odd key']"),
        ("x{{ data.t }}/{{ data.n ~ 'x' }}", "data.n is null"),
        ("{{ data.device|default(data.n) }}", "data.n is null"),
        ("{{ data.n or data.device }}", "there is no data.device"),
        ("{{ none }}", "the expression has no value"),
    ],
)
def test_what_a_template_lacks_is_said_in_plain_words(template: str, reason: str) -> None:
    with pytest.raises(ExpressionFailed) as failed:
        Text(template).render({"data": {"t": 1, "n": None}})
    assert str(failed.value) == reason
