"""What commands print: times, spans and stored data as people and scripts read them."""

from __future__ import annotations

import json
import math

import msgspec
import pytest

from hubqueue.cli.dlq import told
from hubqueue.cli.output import escape
from hubqueue.cli.show import one_line
from hubqueue.cli.times import ago, clock, span
from hubqueue.model.verbs import Retried


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.004, "4 ms"),
        (3.21, "3.2 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (185, "3 min"),
        (7800, "2 h 10 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_span_has_at_most_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("queue", "done", "text"),
    [
        ("q", Retried(1), "1 job waits again."),
        (
            "q",
            Retried(1200, kept=1, why="its id is taken"),
            "1,200 jobs wait again, 1 stays dead.\nThe first: its id is taken",
        ),
        ("_unroutable", Retried(12, kept=3, why="no rule"), "12 routed, 3 still unroutable.\nThe first: no rule"),
        ("_unroutable", Retried(12, 2), "12 routed, 2 left out by rules, 0 still unroutable."),
    ],
)
def test_what_became_of_dead_letters_is_told_in_numbers(queue: str, done: Retried, text: str) -> None:
    assert told(queue, done) == text


def test_a_time_is_ago_or_to_come() -> None:
    assert ago(1000, 4000) == "3.0 s ago"
    assert ago(4000, 1000) == "in 3.0 s"
    assert ago(None) == clock(None) == "-"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": [1, None, True, 2.5]}, {"a": [1, None, True, 2.5]}),
        (b"\x00\xff", {"$bytes": "AP8="}),
        ([math.nan, -math.inf], ["NaN", "-Infinity"]),
        (2**60, "1152921504606846976"),
        ({2: "x", None: "y", True: "z"}, {"2": "x", "null": "y", "true": "z"}),
        (msgspec.msgpack.Ext(5, b"\x01"), {"$ext": 5, "$bytes": "AQ=="}),
    ],
)
def test_stored_data_is_shown_in_the_words_of_every_door(value: object, shown: object) -> None:
    assert json.loads(one_line(msgspec.msgpack.encode(value), width=1000)) == shown


def test_data_that_is_no_messagepack_or_too_deep_is_shown_too() -> None:
    assert json.loads(one_line(b"\xa2\xff\xfe")) == {"$bytes": "ov/+"}
    assert one_line(b"\x91" * 200 + b"\x01", width=1000).count("[") == 64


def test_text_from_outside_is_neither_markup_nor_control_codes() -> None:
    assert escape("[red]x[/]") == r"\[red]x\[/]"
    assert "\x1b" not in escape("\x1b[2J")


def test_a_cell_is_short() -> None:
    assert len(one_line(msgspec.msgpack.encode("x" * 1000))) == 60
