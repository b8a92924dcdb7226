"""The table of outcomes, row by row. That Home Assistant ends runs in these ways is in test_trigger_job_received.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import homeassistant
import pytest
from custom_components.hubqueue.outcome import BUSY_S, REFUSED_S, Complete, Fail, Outcome, Release, decide

KNOWN = Fail("the lamp is broken", final=True)
STOPPED = Fail("stopped with an error, or by a condition among the actions")
FAILED = Fail("an action failed")
NOT_RENDERED = Fail("the variables or conditions of the automation could not be rendered")

# why it ended, traced, leaving -> outcome; with and without a reason that is known
ROWS: list[tuple[str | None, bool, bool, Outcome, Outcome]] = [
    ("finished", True, False, Complete({"a": 1}), Complete({"a": 1})),
    ("finished", True, True, Release(), Release()),
    ("failed_conditions", True, False, Release(REFUSED_S, growing=True), Release(REFUSED_S, growing=True)),
    ("failed_single", True, False, Release(BUSY_S, growing=True), Release(BUSY_S, growing=True)),
    ("failed_max_runs", True, False, Release(BUSY_S, growing=True), Release(BUSY_S, growing=True)),
    ("cancelled", True, False, Release(), Release()),
    ("cancelled", True, True, Release(), Release()),
    ("aborted", True, False, STOPPED, KNOWN),
    ("error", True, False, FAILED, KNOWN),
    ("error", True, True, FAILED, KNOWN),
    ("disallowed_recursion_detected", True, False, Fail("the actions call themselves without end"), KNOWN),
    (None, True, False, NOT_RENDERED, KNOWN),
    (None, True, True, Release(), Release()),
    (None, False, False, Complete(), Complete()),
    (None, False, True, Release(), Release()),
    ("something new", True, False, Fail("the run ended with something new"), KNOWN),
]


@pytest.mark.parametrize(("execution", "traced", "leaving", "unexplained", "explained"), ROWS)
def test_how_a_run_ended_decides(
    execution: str | None, traced: bool, leaving: bool, unexplained: Outcome, explained: Outcome
) -> None:
    result: Any = {"a": 1}
    assert decide(result, execution, traced=traced, leaving=leaving) == unexplained
    assert decide(result, execution, traced=traced, leaving=leaving, failed=KNOWN) == explained


def test_there_is_a_row_for_every_way_in_which_home_assistant_ends_a_run() -> None:
    folder = Path(homeassistant.__file__).parent
    sources = [folder / "helpers" / "script.py", *(folder / "components" / "automation").glob("*.py")]
    ways = {way for source in sources for way in re.findall(r"script_execution_set\(\s*\"(\w+)\"", source.read_text())}
    assert "finished" in ways
    assert ways - {"not_triggered"} <= {execution for execution, *_ in ROWS}
