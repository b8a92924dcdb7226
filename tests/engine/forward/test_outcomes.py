"""docs/forwarding.md against the code: its tables of outcomes are those of verdict, HTTP, PostgreSQL and suspects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hubqueue import errors
from hubqueue.errors import HubqueueError
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sinks.http.answer import Reply, failure
from hubqueue.forward.sinks.postgres.trouble import OF_STATE
from hubqueue.forward.suspects import ANSWERED, BROKE_OFF, FIRST_TRIES, UNSEEN
from hubqueue.forward.verdict import HINTS, HINTS_OF_HUBS, OF_CODE, Down, Reason, Rejected, hint, verdict

DOCS = (Path(__file__).parents[3] / "docs" / "forwarding.md").read_text(encoding="utf-8")
WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}


def rows(head: str) -> list[list[str]]:
    """The cells of the table with this first line."""
    (body,) = re.findall(re.escape(head) + r"\n\|[-|]+\|\n((?:\|.*\n)+)", DOCS)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]


def shown(meaning: Down | Rejected | None) -> tuple[bool, str]:
    """(whether it raises an alert, what the table calls it)."""
    if meaning is None:
        return False, ""
    if isinstance(meaning, Rejected):
        return False, "dead-letter queue"
    return meaning.alert, f"`{meaning.reason.value}`"


def test_each_code_of_an_error_means_what_the_table_says() -> None:
    told: dict[str, tuple[bool, str]] = {}
    for codes, meaning, name in rows("| error code | meaning | shown as |"):
        for code in re.findall(r"`(\w+)`", codes):
            told[code] = ("alert" in meaning, name)
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, HubqueueError)]
    of_code = {each.code: each for each in classes}
    assert set(told) == set(OF_CODE)
    for code, row in told.items():
        assert shown(verdict(of_code[code]())) == row, code
    for code in set(of_code) - set(told):
        assert shown(verdict(of_code[code]())) == (True, "`unknown`"), code


def test_each_answer_of_an_http_server_means_what_the_table_says() -> None:
    table = rows("| answer | meaning | shown as |")
    for status in range(200, 600):
        told = next((row for row in table if str(status) in re.findall(r"\d{3}", row[0])), None)
        told = told or next((row for row in table if f"{status // 100}xx" in row[0]), None)
        told = told or next(row for row in table if row[0] == "any other")
        error = failure(Reply(status, {}), "http://there", 0)
        found: Any = None if error is None else verdict(error)
        assert shown(found) == ("alert" in told[1], told[2]), status


def test_each_code_of_postgresql_means_what_the_table_says() -> None:
    table = rows("| SQLSTATE | meaning | shown as |")
    told = {state: row for row in table for state in re.findall(r"\b(?:[0-9A-Z]{2}[0-9A-Z]{3}|[0-9A-Z]{2})\b", row[0])}
    for state, meaning in OF_STATE.items():
        row = told.get(state) or told[state[:2]]
        if isinstance(meaning, Reason):
            assert f"`{meaning.value}`" in row[2], state
            assert ("alert" in row[1]) is (meaning is not Reason.UNREACHABLE), state
        else:
            assert row[2] == "dead-letter queue", state
    assert {state for state in told if len(state) == 5} <= set(OF_STATE)


def test_what_may_be_a_jobs_own_trouble_is_what_the_table_says() -> None:
    table = rows("| trouble while one job is under way alone | may become that job's |")
    told = {name: row[1].split()[0] for row in table for name in re.findall(r"`(\w+)`", row[0])}
    assert told == {
        reason.value: "yes" if reason in BROKE_OFF else "only" if reason in ANSWERED else "never" for reason in Reason
    }


def test_the_numbers_of_the_guide_are_those_of_the_code() -> None:
    assert f"is tried {WORDS[FIRST_TRIES]} times at the head" in DOCS
    assert f"({WORDS[UNSEEN]} at most)" in DOCS
    assert f"`unknown_cap` times ({ForwardSettings().unknown_cap})" in DOCS


def test_only_a_hub_is_called_one() -> None:
    assert set(HINTS) == set(Reason)
    for reason in Reason:
        assert "hub" not in hint(reason, hub=False)
        assert hint(reason, hub=True) == HINTS_OF_HUBS.get(reason, HINTS[reason])
