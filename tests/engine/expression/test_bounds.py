"""Nothing that an author writes or a sender sends makes an expression run long: sizes, depths and calls are counted."""

from __future__ import annotations

import math
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubqueue.errors import Invalid
from hubqueue.expression import MISSING, Condition, ExpressionFailed, Text, Value
from hubqueue.expression.asked import TESTS
from hubqueue.expression.filters import FILTERS, INNER, METHODS
from hubqueue.expression.functions import FUNCTIONS
from hubqueue.forward.sinks.postgres.rows import Rows
from hubqueue.forward.sinks.postgres.table import Column
from hubqueue.forward.verdict import Rejected
from hubqueue.mqtt.rules import Rule
from hubqueue.mqtt.trial import try_message
from support.expressions import UNTHOUGHT, parcel, tried
from support.pipelines import Bench

LONG = "x" * 900_000
LIST = list(range(100_000))
DATA: dict[str, Any] = {
    "n": 500_000_000,
    "s": LONG,
    "l": LIST,
    "w": ["a b"] * 100_000,
    "f": "%999999999d",
    "g": "{:>999999999}",
    "one": "x",
    "deep": [[[[[[1]]]]]],
    "m": {str(n): n for n in range(100_000)},
}
CARRIED = (int, float, str, bool, list, dict, bytes)
CALLS = 100_000  # of Python functions or of C's, in one run: some 10 ms
BYTES = 40_000_000  # held at once


class Counted:
    """Calls and bytes while something runs."""

    def __init__(self, run: Any) -> None:
        self.calls = 0
        tracemalloc.start()
        sys.setprofile(self._note)
        try:
            self.outcome = run()
        except ExpressionFailed as error:
            self.outcome = error
        finally:
            sys.setprofile(None)
            self.peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()

    def _note(self, frame: Any, event: str, argument: Any) -> None:
        self.calls += event in ("call", "c_call")


@pytest.mark.parametrize(
    "text",
    [
        "'a'|center(500000000)",
        "'a'|center(data.n)",
        "data.one.ljust(data.n)",
        "data.one.rjust(data.n)",
        "data.one.zfill(data.n)",
        "data.one|indent(data.n)",
        "'%*d'|format(data.n, 1)",
        "data.f|format(1)",
        "data.g.format(1)",
        "'%.999999f'|format(1.5)",
        "'{:.999999f}'.format(1.5)",
        "[1]|batch(200000000, 0)|list",
        "[1]|batch(data.n, 0)",
        "[1]|slice(data.n, 0)",
        "range(data.n)",
        "range(99999)|map('string')|join",
        "(((10**64)**64)**64)**64",
        "10 ** data.n",
        "2 ** 2000",
        "data.n ** data.n",
        "data.one * data.n",
        "data.l * data.n",
        "data.f % 1",
        "data.s|replace('x', data.s)",
        "data.s|replace('', data.s)",
        "data.l|join(data.s)",
        "data.s.join(data.l)",
        "data.s ~ data.s",
        "data.s + data.s",
        "[data.s, data.s]|join",
        "data.l|map('string')|map('center', 900)|list",
        "data.l|sort",
        "data.l|map('string')",
        "data.l|unique",
        "data.w|map('upper')|map('lower')|map('title')|join",
        "data.l|select('in', data.l)",
        "data.l + data.l + data.l",
        "data.m|dictsort",
        "data.m|items|list",
        "data.m|tojson",
        "data.l|tojson",
        "data.s|list",
        "data.s.split('x')",
        "data.s|urlencode",
        "1|round(999999999)",
        "1|round(-999999999)",
        "1.5|round(data.n)",
        "1e308 * 10",
        "data.s|wordcount + data.s|wordcount",
        "data.l|batch(1)|map('join')|list",
    ],
)
def test_what_would_grow_or_last_is_refused(text: str) -> None:
    counted = Counted(lambda: Value(text, ("data",)).of({"data": DATA}))
    assert isinstance(counted.outcome, ExpressionFailed), text
    assert UNTHOUGHT not in str(counted.outcome)
    assert (counted.calls < CALLS, counted.peak < BYTES) == (True, True), (text, counted.calls, counted.peak)


@pytest.mark.parametrize("text", ["data.l|sum", "data.l|max", "data.l == data.k", "99 in data.l", "data.s in data.w"])
def test_many_small_steps_share_one_measure(text: str) -> None:
    """Each alone may pass; a hundred of them in one expression do not take a hundred times as long."""
    again = f"[{', '.join([text] * 60)}]"
    counted = Counted(lambda: Value(again, ("data",)).of({"data": {**DATA, "k": list(LIST)}}))
    assert isinstance(counted.outcome, ExpressionFailed)
    assert counted.calls < CALLS


def test_the_fields_of_one_step_share_one_measure(tmp_path: Path) -> None:
    """And so do the columns and tags of one row."""
    fields = ", ".join(f"f{n}: 'data.l|sum'" for n in range(60))
    bench = Bench(tmp_path, f"- map: {{pick: [], compute: {{{fields}}}}}")
    assert len(bench.one({"l": LIST[:500]})) == 60
    counted = Counted(lambda: bench.refused({"l": LIST[:30_000]}))
    assert "too much work for one record" in counted.outcome
    assert counted.calls < CALLS
    rows = Rows([Column(f"c{n}", "data.l|sum") for n in range(60)], ["int8"] * 60)
    assert isinstance(rows.of("q", parcel({"l": LIST[:500]})), tuple)
    assert isinstance(rows.of("q", parcel({"l": LIST[:30_000]})), Rejected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(" * 3000 + "1" + ")" * 3000, "nested too deeply"),
        ("(" * 60 + "1" + ")" * 60, None),  # brackets that add nothing
        ("[" * 60 + "1" + "]" * 60, "nested too deeply"),
        ("not " * 2000 + "true", "nested too deeply"),
        ("- " * 3000 + "1", "nested too deeply"),
        ("1" + " + 1" * 2000, "nested too deeply"),
        ("data" + ".a" * 2000, "nested too deeply"),
        ("data" + "[0]" * 2000, "nested too deeply"),
        ("data.x" + "|upper" * 1200, "nested too deeply"),
        ("1 if 1 else " * 800 + "1", "nested too deeply"),
        ("data.x" + "()" * 2000, "nested too deeply"),
        ("{1:" * 2000 + "1" + "}" * 2000, "nested too deeply"),
        ("'a'" + " ~ 'a'" * 600, "more than 500 parts"),
        ("[" + "1, " * 600 + "]", "more than 500 parts"),
        ("'" + "a" * 20_000 + "'", "longer than 10000 characters"),
        ("9" * 5000, "too many digits"),
        ("9" * 400, "beyond 64 bits"),
        ("1e999", "too large"),
        ("(" * 3000, "nested too deeply"),
        ("\x00", "not valid"),
    ],
)
def test_what_is_too_large_or_too_deep_is_no_expression(text: str, words: str | None) -> None:
    for make in (Condition, Value, lambda text: Text("{{ " + text + " }}")):
        if words is None:
            make(text)
            continue
        with pytest.raises(Invalid) as refused:
            make(text)
        assert words in refused.value.message
        assert len(refused.value.message) < 600


@pytest.mark.parametrize("depth", range(1, 50, 6))
@pytest.mark.parametrize(
    ("opened", "inner", "closed"),
    [
        ("[", "1", "]"),
        ("{'a': ", "1", "}"),
        ("not (", "1", ")"),
        ("-(", "1", ")"),
        ("(1 < ", "1", ")"),
        ("(1 if 1 else ", "1", ")"),
        ("(1 ~ ", "1", ")"),
        ("max(1, ", "1", ")"),
        ("", "data", ".a"),
        ("", "data.l", "[data.x:]"),
        ("", "data", "|default(1)"),
        ("", "data", ".strip()"),
        ("[1]|map('default', ", "1", ")"),
    ],
)
def test_what_is_taken_can_be_compiled(depth: int, opened: str, inner: str, closed: str) -> None:
    """Python has bounds of its own for nested brackets, and they differ between versions: ours come first."""
    made = tried(lambda: Value(opened * depth + inner + closed * depth, ("data",)))
    if isinstance(made, Invalid):
        assert depth > 12
        assert "nested too deeply" in made.message
    else:
        made.of({"data": {"x": 1, "l": [1]}})


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "for"),
        ("{% set x = 1 %}{{ x }}", "set"),
        ("{% set x %}a{% endset %}", "set"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "macro"),
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as x %}", "import"),
        ("{% from 'x' import y %}", "from"),
        ("{% extends 'x' %}", "extends"),
        ("{% block a %}{% endblock %}", "block"),
        ("{% filter upper %}a{% endfilter %}", "filter"),
        ("{% call a() %}{% endcall %}", "call"),
        ("{% with a = 1 %}{% endwith %}", "with"),
        ("{% autoescape true %}{% endautoescape %}", "autoescape"),
        ("{% if true %}{% for i in [1] %}{% endfor %}{% endif %}", "for"),
    ],
)
def test_a_template_has_no_statements_but_if(template: str, word: str) -> None:
    with pytest.raises(Invalid) as refused:
        Text(template)
    assert f"{{% {word} %}} is not taken here" in refused.value.message
    assert refused.value.hint


def test_a_template_may_decide() -> None:
    text = Text("a/{% if data.t > 5 %}hot{% elif data.t is none %}{{ data.u }}{% else %}cold{% endif %}/z")
    assert [text.render({"data": {"t": t, "u": "?"}}) for t in (9, 1, None)] == ["a/hot/z", "a/cold/z", "a/?/z"]
    assert Text("{% if data.t %}x{% endif %}").render({"data": {}}) == ""
    with pytest.raises(ExpressionFailed, match=r"there is no data\.u"):
        text.render({"data": {}})


@pytest.mark.parametrize("where", ["(" * 3000 + "1" + ")" * 3000, "payload.x == none", "payload|random"])
def test_the_rules_tester_refuses_such_a_rule(where: str) -> None:
    with pytest.raises(Invalid):
        try_message([Rule(topic="t/{x}", queue="q", where=where)], "t/x", b"{}", now_ms=1)


SIGNS = ["{{", "}}", "{%", "%}", "**", "//", "==", *"()[]{}.,:|~+-*/%<>=!'\""]
SPOKEN = [" if ", " else ", " in ", " is ", " not ", " and ", "none", "upper", "for", "set", "range", "data", ".t", "1"]
PIECES = st.sampled_from([*SIGNS, *SPOKEN]) | st.text(st.characters(exclude_characters="_"), max_size=2)


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_an_expression_or_a_mistake_in_words(text: str) -> None:
    for make in (Condition, Value, Text):
        made = tried(lambda make=make: make(text, ("data",)))
        if isinstance(made, Value):
            tried(lambda made=made: made.of({"data": {"t": "x"}}))


KINDS: list[Any] = [None, True, 5, 2.5, math.nan, math.inf, "ab", b"\xff", [1, "a", None], {"a": 1}, -7, "5"]
GIVEN = ("", "data.w", "data.w, data.x")
WORDS = [
    *(f"data.v|{name}({given})" for name in FILTERS for given in GIVEN),
    *(f"data.v.{name}({given})" for name in METHODS for given in GIVEN),
    *(f"data.v is {name}({given})" for name in TESTS if name.isalpha() for given in GIVEN),
    *(f"{name}({given})" for name in FUNCTIONS for given in ("data.v", "data.v, data.w", "data.v, data.w, data.x")),
    *(f"data.v|{name}" for name in ("map('upper')", "map(attribute='a')", "select('number')", "reject('odd')")),
    *(f"data.v|{name}" for name in ("selectattr('a')", "rejectattr('a', 'gt', data.w)", "select", "reject")),
]


def test_every_word_of_the_language_takes_any_data() -> None:
    """Each filter, test, function and method, with values of every kind: a result or plain words, never more."""
    taken = 0
    for text in WORDS:
        made = tried(lambda text=text: Value(text, ("data",)))
        if isinstance(made, Invalid):
            assert "takes other arguments" in made.message
            continue
        taken += 1
        for value in KINDS:
            for other in KINDS if "data.w" in text else KINDS[:1]:
                values = {"data": {"v": value, "w": other, "x": 2}}
                found = tried(lambda made=made, values=values: made.of(values))
                assert isinstance(found, ExpressionFailed) or found is MISSING or type(found) in CARRIED, text
    assert taken > 150
    assert len(INNER) == 5
