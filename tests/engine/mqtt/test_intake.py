"""The verb that takes a batch for many queues: one transaction, whatever is full."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hubqueue.errors import QueueFull
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.ingest import UNROUTABLE, Placed, intake
from hubqueue.ingest.outcome import Taken
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Output
from hubqueue.model.state import State

SMALL = HubSettings(queues={"small": QueueBounds(max_jobs=1), "answers": QueueBounds(max_jobs=1)})


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "hub.db", SMALL) as opened:
        yield opened


def arrival(queue: str, number: int, **more: object) -> Taken:
    return Taken(queue, NewJob(data=msgspec.msgpack.encode(number)), **more)  # type: ignore[arg-type]


async def numbers(hub: Hub, queue: str) -> list[int]:
    return [msgspec.msgpack.decode(job.data or b"") for job in (await hub.list_jobs(queue)).jobs]


async def test_jobs_of_many_queues_are_stored_in_order_at_once(hub: Hub) -> None:
    batch = [arrival("ab"[number % 2], number) for number in range(10)]
    assert await hub.run(lambda tx: intake(tx, batch, [])) == Placed(enqueued=10)
    assert await numbers(hub, "a") == [0, 2, 4, 6, 8]
    assert await numbers(hub, "b") == [1, 3, 5, 7, 9]


async def test_an_answer_that_has_no_room_does_not_cost_its_job(hub: Hub) -> None:
    def follow(id: str) -> Output:
        return Output("answers", NewJob(data=msgspec.msgpack.encode(id)))

    batch = [arrival("q", number, follow=follow) for number in range(3)]
    assert await hub.run(lambda tx: intake(tx, batch, [])) == Placed(enqueued=3, unanswered=2)
    assert await numbers(hub, "q") == [0, 1, 2]
    assert len(await numbers(hub, "answers")) == 1


async def test_a_job_that_is_not_valid_is_kept_with_the_dead_and_stops_nobody(hub: Hub) -> None:
    own_form = NewJob(custom_id=f"{hub.hub_id}-1")
    batch = [arrival("q", 1), Taken("q", own_form), arrival("q", 2)]
    assert await hub.run(lambda tx: intake(tx, batch, [])) == Placed(enqueued=2, dead=1)
    assert await numbers(hub, "q") == [1, 2]
    (dead,) = (await hub.list_jobs(UNROUTABLE, [State.FAILED])).jobs
    assert dead.history.reason == "invalid"


async def test_a_hub_that_takes_nothing_refuses_the_whole_batch(hub: Hub) -> None:
    hub.over_cap = True
    with pytest.raises(QueueFull):
        await hub.run(lambda tx: intake(tx, [arrival("q", 1), arrival("small", 2)], []))
    hub.over_cap = False
    assert await numbers(hub, "q") == []
