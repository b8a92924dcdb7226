"""Which errors are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.model.errortext import MAX_CHARS, first_line, pattern


@pytest.mark.parametrize(
    ("error", "shared"),
    [
        ("no route to 10.0.0.7", "no route to #"),
        ("sensor 12ab-f of 'kitchen' is \"away\"", "sensor # of '…' is \"…\""),
        ("can't reach host after 3 tries", "can't reach host after # tries"),
        ("job 123e4567-e89b-12d3-a456-426614174000 is gone", "job # is gone"),
        ("HTTP 503 from http://10.0.0.1:80/x", "HTTP 503 from #"),
        ("exit code 137", "exit code 137"),
        ("status code: 404 after 12 s", "status code: 404 after # s"),
        ("\n  first\tline \nsecond 5", "first line"),
        ("", ""),
        (None, ""),
    ],
)
def test_alike_errors_share_a_pattern(error: str | None, shared: str) -> None:
    assert pattern(error) == shared


def test_what_went_wrong_stays_apart() -> None:
    assert pattern("HTTP 503 from server") != pattern("HTTP 404 from server")
    assert pattern("no route") != pattern("no reply")


def test_only_the_beginning_counts() -> None:
    assert pattern("x " * MAX_CHARS + "one") == pattern("x " * MAX_CHARS + "two")


@given(st.text(alphabet=st.sampled_from("ab 1'\"`#…\n:/.HTTP status code exit-é"), max_size=80) | st.text(max_size=400))
def test_a_pattern_is_its_own_pattern(error: str) -> None:
    assert pattern(pattern(error)) == pattern(error)
    assert pattern(first_line(error)) == pattern(error)


def test_tracebacks_are_told_apart_by_their_last_line() -> None:
    shown = [
        f'Traceback (most recent call last):\n  File "a.py", line 3\n{last}\n' for last in ("KeyError: 'a'", "OSError")
    ]
    assert [first_line(each) for each in shown] == ["KeyError: 'a'", "OSError"]
    assert pattern(shown[0]) != pattern(shown[1])
