"""P7, P10: a hub that is killed at any await, or at any change of its disk, loses nothing that it said ok to.

What SQLite does within one statement is one step. Each kill is tried in a process of its own: see `campaign`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from simulation.campaign import in_a_process
from simulation.process import Process
from simulation.world import World

AT_ONCE: Final = 2  # processes beside each other


@dataclass
class Left:
    """What a hub that was killed had accepted, and what the next one found; in its backup too, if there is one."""

    accepted: list[str] = field(default_factory=list)
    before_backup: int = 0
    lived: bool = False
    found: set[str] = field(default_factory=set)
    in_backup: set[str] | None = None


def killed(folder: Path, kill: Callable[[Process], None]) -> Left:
    """A hub's life, whose process is prepared by `kill`, and what is left of it."""
    left, before, after = Left(), folder / "before", folder / "after"
    before.mkdir()
    world = World(1)
    process = world.process("hub", before)
    kill(process)
    ended = asyncio.Event()
    process.when_killed.append(ended.set)
    assert process.disk is not None
    process.when_killed.append(lambda: process.disk.copy_to(before, after))  # type: ignore[union-attr]
    task = process.start(lambda: life(world, process, before / "hub.db", left))

    async def end() -> None:
        dead = asyncio.ensure_future(ended.wait())
        await asyncio.wait([task, dead], return_when=asyncio.FIRST_COMPLETED)

    world.loop.run_until_complete(end())
    if process.alive:
        task.result()
        left.lived = True
        return left
    left.found = reopened(after / "hub.db")
    if (after / "backup.db").exists():
        left.in_backup = reopened(after / "backup.db")
    return left


async def life(world: World, process: Process, path: Path, left: Left) -> None:
    assert process.disk is not None
    hub = await Hub.open(path, system=world.system, disk=process.disk)
    for number in range(3):
        left.accepted += await hub.enqueue("q", [NewJob(data=b"\x01")], durable=number == 1)
        left.before_backup = len(left.accepted)
    await hub.backup(path.with_name("backup.db"))
    left.accepted += await hub.enqueue("q", [NewJob(data=b"\x02")])
    await hub.close()


def reopened(path: Path) -> set[str]:
    """The jobs that another hub finds there; it takes new ones."""
    world = World(2)

    async def found() -> set[str]:
        async with await Hub.open(path, system=world.system, disk=world.disk) as hub:
            new = await hub.enqueue("q", [NewJob()])
            return {job.id for job in (await hub.list_jobs("q")).jobs} - set(new)

    return world.run(found())


def at_each(kill: Callable[[Process, int], None]) -> Iterable[Left]:
    """Killed at the first, the second and so on, until one lives."""
    waited: list[Callable[[], Left]] = []
    number, lived = 0, False
    while waited or not lived:
        while not lived and len(waited) < AT_ONCE:
            number += 1
            waited.append(in_a_process(lambda folder, at=number: killed(folder, lambda process: kill(process, at))))  # type: ignore[misc]
        left = waited.pop(0)()
        lived |= left.lived
        if not left.lived:
            yield left


def at_step(process: Process, number: int) -> None:
    process.dies_at_step = number


def at_change(process: Process, number: int) -> None:
    assert process.disk is not None
    process.disk.last = number


@pytest.mark.parametrize(("kill", "least"), [(at_step, 20), (at_change, 20)])
def test_a_hub_that_is_killed_anywhere_has_all_that_it_accepted(
    kill: Callable[[Process, int], None], least: int
) -> None:
    kills = 0
    for left in at_each(kill):
        kills += 1
        assert left.found >= set(left.accepted), kills
        assert len(left.found) <= len(left.accepted) + 1, kills  # what was under way may be there, once
        assert left.in_backup is not None or len(left.accepted) <= left.before_backup, kills
        if left.in_backup is not None:
            assert left.in_backup >= set(left.accepted[: left.before_backup]), kills
    assert kills > least
