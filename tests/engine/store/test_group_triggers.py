"""The triggers that count groups come with the first grouped job: a file without groups does not pay for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.errors import Internal
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob, Options
from hubqueue.store import groups
from hubqueue.store.tx import Tx


def grouped(group: str) -> NewJob:
    return NewJob(options=Options(group=group))


async def triggers(hub: Hub) -> int:
    return await hub.run(lambda tx: int(tx.execute(groups.HAS_TRIGGERS).fetchone()[0]))


async def waiting(hub: Hub, group: str) -> int:
    def verb(tx: Tx) -> int:
        row = tx.queues.find("q")
        assert row is not None
        found = groups.get(tx, row, group)
        return 0 if found is None else found.waiting

    return await hub.run(verb)


async def test_plain_jobs_bring_no_triggers_and_the_first_grouped_one_does(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob()])
        assert await triggers(hub) == 0
        await hub.enqueue("q", [grouped("a")])
        assert await triggers(hub) == 3
        assert await waiting(hub, "a") == 1
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [grouped("a"), grouped("b")])
        assert (await waiting(hub, "a"), await waiting(hub, "b")) == (2, 1)


async def test_a_group_whose_transaction_failed_gets_its_triggers_the_next_time(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob()])

        def fails(tx: Tx) -> None:
            row = tx.queues.find("q")
            assert row is not None
            groups.begin(tx, row)
            raise ZeroDivisionError

        with pytest.raises(Internal):
            await hub.run(fails)
        assert await triggers(hub) == 0
        await hub.enqueue("q", [grouped("a")])
        assert (await triggers(hub), await waiting(hub, "a")) == (3, 1)
