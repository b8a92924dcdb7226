"""What commands print: times, spans and stored data as people and scripts read them."""

from __future__ import annotations

import math

import msgspec
import pytest

from hubqueue.cli import show
from hubqueue.cli.dlq import told
from hubqueue.cli.output import escape
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
        (math.nan, "nan"),
        (2**60, "1152921504606846976"),
        ({1: "x"}, {"1": "x"}),
        (msgspec.msgpack.Ext(5, b"\x01"), "$ext:5:AQ=="),
    ],
)
def test_stored_data_is_shown_as_far_as_json_can(value: object, shown: object) -> None:
    assert show.plain(msgspec.msgpack.encode(value)) == shown


def test_data_that_is_no_messagepack_is_shown_too() -> None:
    assert show.plain(b"\xc1") == {"$msgpack": "wQ=="}
    assert show.plain(b"\xa2\xff\xfe") == {"$msgpack": "ov/+"}
    assert show.plain(b"\x91" * 100_000) == {"$msgpack": show.plain(b"\x91" * 100_000)["$msgpack"]}


def test_deep_data_is_cut() -> None:
    text = msgspec.json.encode(show.plain(b"\x91" * 200 + b"\x01")).decode()
    assert "$deep" in text


def test_text_from_outside_is_neither_markup_nor_control_codes() -> None:
    assert escape("[red]x[/]") == r"\[red]x\[/]"
    assert "\x1b" not in escape("\x1b[2J")


def test_a_cell_is_short() -> None:
    assert len(show.one_line(msgspec.msgpack.encode("x" * 1000))) == 60
