"""P1: a real power cut loses no acknowledged durable job, and of the others only the last moment.

Real file systems on loop devices; `disk.Powered.cut` stops them with everything that was not synced unwritten.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from support import central
from support.child import Child
from support.disk import Powered
from support.promised import TICKS
from support.torture import sized
from support.waiting import until

LEAVINGS = sized(ci=3, full=30)
CUTS = sized(ci=8, full=100)  # of each file system
LIFE = (1, 4 * TICKS)  # ticks of the load once everything has been promised, before the cut
SLACK = 2 * TICKS  # what a sync may take, and the cut itself


class Promises:
    """What the hub answered, over all cuts."""

    def __init__(self) -> None:
        self.number_of: dict[str, int] = {}  # of every id that was ever announced
        self.durable: set[int] = set()
        self.completed: set[int] = set()
        self.plain: dict[int, int] = {}  # and the tick it was promised in
        self.tick = 0
        self.lost = 0
        self.oldest_loss = 0

    def hear(self, event: list[Any]) -> None:
        if event[0] == "tick":
            self.tick = event[1]
            return
        if event[0] == "completed":
            self.completed.update(event[2])
            return
        _, durable, tick, ns, ids = event
        for n, id in zip(ns, ids, strict=True):
            assert self.number_of.setdefault(id, n) == n, f"{id} was given out twice"
            if durable:
                self.durable.add(n)
            else:
                self.plain[n] = tick

    def all_kinds(self, durable: bool) -> bool:
        """Whether something of each kind has been promised."""
        return bool(self.plain) and bool(self.durable) == bool(self.completed) == durable

    def check(self, found: list[tuple[int, str, bool]]) -> None:
        there = {n: done for n, _, done in found}
        assert len(there) == len(found)
        for n, id, _ in found:
            assert self.number_of.get(id, n) == n, f"{id} names another job now"
        assert self.durable <= there.keys(), f"{len(self.durable - there.keys())} durable jobs are lost"
        undone = {n for n in self.completed if not there[n]}
        assert not undone, f"{len(undone)} durable completions are lost"
        lost = [self.tick - tick for n, tick in self.plain.items() if n not in there]
        self.lost += len(lost)
        self.oldest_loss = max([self.oldest_loss, *lost])
        assert self.oldest_loss <= TICKS + SLACK
        # the next life begins with new queues
        self.durable, self.completed, self.plain, self.tick = set(), set(), {}, 0


@pytest.mark.slow
@pytest.mark.timeout(60 + CUTS * 60)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
async def test_a_power_cut_loses_no_durable_job_and_only_the_last_moment_of_the_others(
    kind: str, tmp_path: Path
) -> None:
    disk = Powered(tmp_path, kind)
    promises = Promises()
    answered = 0
    for life in range(CUTS + 1):
        with disk.on() as folder:
            async with Child("support.promised", folder / "hub.db") as child:
                durable = life % 2 == 0
                child.say({"first": life * 10_000_000, "durable": durable})
                promises.check((await child.hear())["found"])
                reading = asyncio.create_task(child.rest(promises.hear))
                await until(lambda: promises.all_kinds(durable))  # noqa: B023  it is awaited here
                end = promises.tick + random.randint(*LIFE)
                await until(lambda: promises.tick >= end)  # noqa: B023
                await asyncio.to_thread(disk.cut)
                child.kill()
                await reading
        answered += len(promises.durable) + len(promises.plain)
    print(
        f"{kind}: {CUTS} cuts, {answered} jobs acknowledged; of those with default durability {promises.lost} lost, "
        f"the oldest {promises.oldest_loss} ticks before its cut (a sync each {TICKS})"
    )


async def more_there(there: LinkSettings, count: int) -> bool:
    """Whether so many jobs wait at the centre."""
    return (await central.counts(there, "readings"))["waiting"] >= count


@pytest.mark.slow
@pytest.mark.timeout(60 + CUTS * 60)
async def test_what_the_centre_has_is_in_the_file_of_the_edge_after_a_power_cut(tmp_path: Path) -> None:
    """Engine-rules 55: a job that left would otherwise be made again under a new number, and count twice."""
    disk = Powered(tmp_path, "xfs")
    arrived: set[int] = set()
    async with central.serve("hubqueue", tmp_path) as there:
        for life in range(LEAVINGS + 1):
            with disk.on() as folder:
                async with Child("support.leaving", folder / "hub.db") as child:
                    # before this life sends its own
                    arrived |= {
                        msgspec.msgpack.decode(job.data)["n"] for job in await central.hand_out(there, "readings")
                    }
                    child.say({"first": life * 1_000_000, "to": f"tcp://127.0.0.1:{there.port}"})
                    found = (await child.hear())["found"]
                    assert len(set(found)) == len(found)
                    assert arrived <= set(found), f"{len(arrived - set(found))} jobs left before they were on the disk"

                    await until(partial(more_there, there, random.randint(50, 150)))
                    await asyncio.to_thread(disk.cut)
                    child.kill()
    assert len(arrived) >= 50 * LEAVINGS
