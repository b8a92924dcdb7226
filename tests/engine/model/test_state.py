"""The states: their words and numbers, and that the documentation shows the table of moves as it is."""

from __future__ import annotations

from hubqueue.model.state import BY_LABEL, LABELS, State, shown
from support.states_page import PAGE, renewed


def test_the_documented_states_are_those_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page) == page, "run script/states"


def test_every_state_has_one_label() -> None:
    assert {BY_LABEL[LABELS[state]] for state in State} == set(State)


def test_stored_numbers_never_change() -> None:
    assert [(state.name, state.value) for state in State] == [
        ("WAITING", 0),
        ("DELAYED", 1),
        ("ACTIVE", 2),
        ("WAITING_CHILDREN", 3),
        ("COMPLETED", 4),
        ("FAILED", 5),
    ]


def test_a_waiting_job_with_a_priority_is_shown_as_prioritized() -> None:
    assert [shown(State.WAITING, priority) for priority in (-1, 0, 1)] == ["waiting", "waiting", "prioritized"]
    assert shown(State.ACTIVE, 1) == "active"
