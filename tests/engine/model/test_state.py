"""The table of transitions, its picture in the documentation, and that the verbs keep to it."""

from __future__ import annotations

import re
from pathlib import Path

from hubqueue.model.state import BY_LABEL, LABELS, TRANSITIONS, State, shown

DOCS = Path(__file__).parents[3] / "docs" / "states.md"
ARROW = re.compile(r"^    (\S+) --> (\S+): (\S+)$", re.MULTILINE)


def test_the_documented_diagram_is_the_table() -> None:
    drawn = {(verb, source, target) for source, target, verb in ARROW.findall(DOCS.read_text()) if source != "[*]"}
    table = {
        (verb, LABELS[source], "[*]" if target is None else LABELS[target])
        for verb, moves in TRANSITIONS.items()
        for source, targets in moves.items()
        for target in targets
    }
    assert drawn == table


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
