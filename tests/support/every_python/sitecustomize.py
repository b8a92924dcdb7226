"""What every Python process of the tests begins with: a job file it opens refuses moves that no table knows.

tests/conftest.py puts this folder on the path of all processes, where Python finds the file by its name, and imports
it itself. The trigger is made on the connection that writes, when the file is open: nothing of it is in the file. A
move that `model.state.Move` does not name fails its statement, and a line of it makes the test fail that it is found
in: what maintenance does, and a hub that is a process of its own, answer to no test.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

FOUND: Final = "FORBIDDEN_MOVES"  # the environment names the file that they are written to
OPENING: Final = "hubqueue.store.opening"

# `changed` has eight bits for each state a job may be in, one of them for each it may get
TRIGGERS: Final = (
    """
    CREATE TEMP TRIGGER only_moves AFTER UPDATE OF state ON main.job
    WHEN OLD.state <> NEW.state AND NOT ({changed} >> (OLD.state * 8 + NEW.state)) & 1
    BEGIN SELECT forbidden(OLD.state, NEW.state); END
    """,
    """
    CREATE TEMP TRIGGER only_beginnings AFTER INSERT ON main.job
    WHEN NOT ({begun} >> NEW.state) & 1
    BEGIN SELECT forbidden(NULL, NEW.state); END
    """,
)


def watch(db: sqlite3.Connection) -> None:
    """From now on this connection makes no move that the table does not name."""
    from hubqueue.model.state import Move, State

    changed = begun = 0
    for move in Move:
        targets = sum(1 << state for state in State if state in move.targets)
        begun |= targets if None in move.sources else 0
        for source in State:
            changed |= targets << (source * 8) if source in move.sources else 0
    db.create_function("forbidden", 2, _forbidden)
    for trigger in TRIGGERS:
        db.execute(trigger.format(changed=changed, begun=begun))


def found() -> list[str]:
    """The forbidden moves of all processes since the last call."""
    path = Path(os.environ[FOUND])
    told = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return told


def _forbidden(source: int | None, target: int) -> None:
    from hubqueue.model.state import LABELS, State

    before = "nothing" if source is None else LABELS[State(source)]
    told = f"no move leads from {before} to {LABELS[State(target)]}"
    if FOUND in os.environ:
        with Path(os.environ[FOUND]).open("a") as file:
            file.write(f"{told}\n")
    print(told, file=sys.stderr, flush=True)
    raise AssertionError(told)  # SQLite gives up the statement, and the store its group


def _watched(opening: ModuleType) -> None:
    load = opening._load

    def load_watched(db: sqlite3.Connection, *rest: Any) -> Any:
        watch(db)
        return load(db, *rest)

    opening._load = load_watched  # type: ignore[attr-defined]


class _WhenImported(MetaPathFinder):
    """Changes that one module when it is imported, however late: most processes open no file."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != OPENING:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_change(module: ModuleType) -> None:
                run(module)
                _watched(module)

            spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec


if not any(type(finder).__name__ == _WhenImported.__name__ for finder in sys.meta_path):  # Python found it before
    assert OPENING not in sys.modules, "a job file may be open already"
    sys.meta_path.insert(0, _WhenImported())
