"""The part of docs/states.md that is made from the table of moves. `script/states` writes it; a test compares it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hubqueue.model.state import LABELS, Move, State

PAGE: Final = Path(__file__).parents[2] / "docs" / "states.md"
MADE: Final = re.compile(r"(?<=<!-- made by script/states -->\n).*?(?=<!-- end of it -->)", re.DOTALL)


def renewed(page: str) -> str:
    """The page with that part as the table has it now."""
    made, count = MADE.subn(lambda _: f"\n{_diagram()}\n{_table()}\n", page)
    assert count == 1, "docs/states.md has lost the place that script/states fills"
    return made


def _diagram() -> str:
    arrows = [
        f"    {_mark(source)} --> {_mark(target)}: {', '.join(events)}\n"
        for source in (None, *State)
        for target in (*State, None)
        if (events := [move.event for move in Move if source in move.sources and target in move.targets])
    ]
    return f"```mermaid\nstateDiagram-v2\n{''.join(arrows)}```\n"


def _table() -> str:
    rows = [f"| {move.event} | {move.means} | {_words(move.sources)} | {_words(move.targets)} |\n" for move in Move]
    return f"| move | what happens to the job | from | to |\n|---|---|---|---|\n{''.join(rows)}"


def _mark(state: State | None) -> str:
    return "[*]" if state is None else LABELS[state]


def _words(states: frozenset[State | None]) -> str:
    if len(states) == len(State) and None not in states:
        return "any state"
    return ", ".join([LABELS[state] for state in State if state in states] + ["-"] * (None in states))


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
