"""Everybody runs beside everybody, but a suspect runs alone."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from hubqueue.hub.isolation import Isolation
from support.waiting import soon


async def settle_down() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_jobs_without_suspicion_run_beside_each_other() -> None:
    turns = Isolation()
    await soon(asyncio.gather(*(turns.begin(alone=False) for _ in range(100))))


async def test_a_suspect_waits_for_the_others_and_they_for_it() -> None:
    turns = Isolation()
    await turns.begin(alone=False)
    suspect = asyncio.create_task(turns.begin(alone=True))
    after = asyncio.create_task(turns.begin(alone=False))
    await settle_down()
    assert not suspect.done()
    assert not after.done(), "nobody overtakes a waiting suspect"
    turns.end()
    await settle_down()
    assert suspect.done()
    assert not after.done()
    turns.end()
    await soon(after)


async def test_a_suspect_that_gives_up_waiting_holds_nobody_up() -> None:
    turns = Isolation()
    await turns.begin(alone=False)
    suspect = asyncio.create_task(turns.begin(alone=True))
    after = asyncio.create_task(turns.begin(alone=False))
    await settle_down()
    suspect.cancel()
    await soon(after)


async def test_a_turn_that_comes_in_the_moment_of_giving_up_is_handed_on() -> None:
    turns = Isolation()
    await turns.begin(alone=True)
    unlucky = asyncio.create_task(turns.begin(alone=True))
    after = asyncio.create_task(turns.begin(alone=True))
    await settle_down()
    turns.end()  # gives the turn to `unlucky`, which has not run yet
    unlucky.cancel()
    await soon(after)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), max_size=30))
def test_no_suspect_ever_runs_beside_another_job(jobs: list[tuple[bool, bool, int]]) -> None:
    async def scenario() -> None:
        turns = Isolation()
        running: list[bool] = []

        async def job(alone: bool, steps: int) -> None:
            await turns.begin(alone=alone)
            running.append(alone)
            assert len(running) == 1 or not any(running)
            for _ in range(steps):
                await asyncio.sleep(0)
            running.remove(alone)
            turns.end()

        tasks = []
        for alone, cancelled, steps in jobs:
            tasks.append(asyncio.create_task(job(alone, steps)))
            await asyncio.sleep(0)
            if cancelled and not any(running):
                other = asyncio.create_task(turns.begin(alone=alone))
                await asyncio.sleep(0)
                if other.done():
                    turns.end()
                else:
                    other.cancel()
        await soon(asyncio.gather(*tasks))
        await soon(turns.begin(alone=True))

    asyncio.run(scenario())
