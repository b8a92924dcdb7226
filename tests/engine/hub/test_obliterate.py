"""Deleting a whole queue: by force with what is in it, without force only when nothing is."""

from __future__ import annotations

import pytest

from hubqueue.errors import NotFound, WrongState
from hubqueue.model.outcome import Complete, Reject

from .conftest import Bench


async def test_a_queue_that_holds_something_goes_only_by_force(bench: Bench) -> None:
    async def refused() -> str:
        with pytest.raises((WrongState, NotFound)) as error:
            await bench.hub.obliterate("q", force=False)
        return error.value.message

    assert await refused() == "There is no queue q"
    await bench.add("waits")
    assert await refused() == "The queue q holds 1 job"
    (leased,) = await bench.take()
    assert await refused() == "The queue q holds 1 job"
    await bench.end(leased, Reject("no"))
    await bench.add("later", delay_ms=60_000)
    assert await refused() == "The queue q holds 2 jobs"
    await bench.hub.purge("q")
    await bench.hub.drain("q")
    await bench.add("done")
    (leased,) = await bench.take()
    await bench.end(leased, Complete())
    await bench.hub.obliterate("q", force=False)
    assert await bench.hub.queues() == []
