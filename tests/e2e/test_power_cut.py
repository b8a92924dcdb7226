"""P1: a real power cut loses no acknowledged durable job, and of the others only the last moment.

Real file systems on loop devices; `disk.Powered.cut` stops them with everything that was not synced unwritten.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from support.child import Child
from support.disk import Powered
from support.promised import SYNC_INTERVAL_S
from support.torture import sized

CUTS = sized(ci=10, full=100)  # of each file system
LIFE_S = (0.2, 1.2)  # of the load, before the cut
SLACK_S = 0.3  # what a sync may take, and a busy machine may delay its timer


class Promises:
    """What the hub answered, over all cuts."""

    def __init__(self) -> None:
        self.number_of: dict[str, int] = {}  # of every id that was ever announced
        self.durable: set[int] = set()
        self.completed: set[int] = set()
        self.plain_at_s: dict[int, float] = {}
        self.lost = 0
        self.oldest_loss_s = 0.0

    def hear(self, event: list[Any]) -> None:
        if event[0] == "completed":
            self.completed.update(event[2])
            return
        _, durable, at_s, ns, ids = event
        for n, id in zip(ns, ids, strict=True):
            assert self.number_of.setdefault(id, n) == n, f"{id} was given out twice"
            if durable:
                self.durable.add(n)
            else:
                self.plain_at_s[n] = at_s

    def check(self, found: list[tuple[int, str, bool]], cut_s: float) -> None:
        there = {n: done for n, _, done in found}
        assert len(there) == len(found)
        for n, id, _ in found:
            assert self.number_of.get(id, n) == n, f"{id} names another job now"
        assert self.durable <= there.keys(), f"{len(self.durable - there.keys())} durable jobs are lost"
        undone = {n for n in self.completed if not there[n]}
        assert not undone, f"{len(undone)} durable completions are lost"
        lost_s = [cut_s - at_s for n, at_s in self.plain_at_s.items() if n not in there]
        self.lost += len(lost_s)
        self.oldest_loss_s = max([self.oldest_loss_s, *lost_s])
        assert self.oldest_loss_s <= SYNC_INTERVAL_S + SLACK_S
        # the next life begins with new queues
        self.durable, self.completed, self.plain_at_s = set(), set(), {}


@pytest.mark.slow
@pytest.mark.timeout(60 + CUTS * 20)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
async def test_a_power_cut_loses_no_durable_job_and_only_the_last_moment_of_the_others(
    kind: str, tmp_path: Path
) -> None:
    disk = Powered(tmp_path, kind)
    promises = Promises()
    answered, cut_s = 0, 0.0
    for life in range(CUTS + 1):
        with disk.on() as folder:
            async with Child("support.promised", folder / "hub.db") as child:
                durable = life % 2 == 0
                child.say({"first": life * 10_000_000, "durable": durable})
                promises.check((await child.hear())["found"], cut_s)
                reading = asyncio.create_task(child.rest())
                await asyncio.sleep(random.uniform(*LIFE_S))
                cut_s = await asyncio.to_thread(disk.cut)
                child.kill()
                for event in await reading:
                    promises.hear(event)
        answered += len(promises.durable) + len(promises.plain_at_s)
        assert promises.plain_at_s
        assert bool(promises.durable) == bool(promises.completed) == durable
    print(
        f"{kind}: {CUTS} cuts, {answered} jobs acknowledged; of those with default durability {promises.lost} lost, "
        f"the oldest {promises.oldest_loss_s * 1000:.0f} ms before its cut (interval {SYNC_INTERVAL_S * 1000:.0f} ms)"
    )
