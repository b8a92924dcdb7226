"""No test writes a job file past the table of moves, in this process or in another: see support/every_python."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path

import pytest

from hubqueue import store
from hubqueue.errors import Internal
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from hubqueue.model.state import LABELS, Move, State, WrongMove
from support.every_python import sitecustomize
from support.hub_process import clean_environment

NAMED = {(source, target) for move in Move for source in move.sources for target in move.targets}
COPY = """
    INSERT INTO job (seq, queue, state, ord, run_at_ms, created_at_ms, max_attempts, name)
    SELECT seq + 1, queue, ?, ord, run_at_ms, created_at_ms, max_attempts, name FROM job
"""
STRAY = """
import asyncio, sys
from pathlib import Path
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob

async def main():
    async with await Hub.open(Path(sys.argv[1])) as hub:
        await hub.enqueue("q", [NewJob(name="n")])
        await hub.run(lambda tx: tx.execute("UPDATE job SET state = 4"))

asyncio.run(main())
"""


def _set(hub: Hub, state: State) -> Awaitable[object]:
    return hub.run(lambda tx: tx.execute("UPDATE job SET state = ?", (state,)))


async def _hub_with(path: Path, state: State) -> Hub:
    """One job, in this state in the file alone: the hub knows nothing of it, and does nothing with it."""
    hub = await Hub.open(path)
    await hub.enqueue("q", [NewJob(name="n")])
    if state is State.COMPLETED:
        await _set(hub, State.ACTIVE)
    if state is not State.WAITING:
        await _set(hub, state)
    return hub


def _states(hub: Hub) -> list[tuple[int]]:
    return hub.store._db.execute("SELECT state FROM job").fetchall()


@pytest.mark.parametrize("target", State)
@pytest.mark.parametrize("source", State)
async def test_a_change_that_no_move_names_is_refused_in_tests(source: State, target: State, tmp_path: Path) -> None:
    async with await _hub_with(tmp_path / "a.db", source) as hub:
        if source == target or (source, target) in NAMED:
            await _set(hub, target)
            assert _states(hub) == [(target,)]
        else:
            with pytest.raises(Internal):
                await _set(hub, target)
            assert sitecustomize.found() == [f"no move leads from {LABELS[source]} to {LABELS[target]}"]
            assert _states(hub) == [(source,)]


@pytest.mark.parametrize("state", State)
async def test_a_beginning_that_no_move_names_is_refused_in_tests(state: State, tmp_path: Path) -> None:
    async with await _hub_with(tmp_path / "a.db", State.WAITING) as hub:
        copy = hub.run(lambda tx: tx.execute(COPY, (state,)))
        if (None, state) in NAMED:
            await copy
        else:
            with pytest.raises(Internal):
                await copy
            assert sitecustomize.found() == [f"no move leads from nothing to {LABELS[state]}"]


def test_a_hub_in_a_process_of_its_own_is_watched_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STRAY, str(tmp_path / "a.db")]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert sitecustomize.found() == ["no move leads from waiting to completed"], done.stderr


def test_a_verb_that_leaves_the_table_is_told_so() -> None:
    with pytest.raises(WrongMove, match="lease leads no job from completed to active"):
        Move.LEASE.to(State.COMPLETED, State.ACTIVE)
    with pytest.raises(WrongMove, match="cancel leads no job from active to nothing"):
        Move.CANCEL.to(State.ACTIVE, None)


def test_no_statement_sets_a_state_by_its_number() -> None:
    by_number = re.compile(r"\bSET\b[^'\"]*?\bstate\s*=\s*\d")
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(store.__path__[0]).glob("*.py")}
    statements = {name: re.findall(r"UPDATE job\b.*?WHERE", source, re.DOTALL) for name, source in sources.items()}
    assert sum(map(len, statements.values())) > 10
    assert {name for name, found in statements.items() if any(map(by_number.search, found))} == set()
    assert by_number.search("UPDATE job SET ord = ?, state = 0 WHERE")
