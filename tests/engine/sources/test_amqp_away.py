"""An AMQP source whose broker is away: it says which one, and its tries leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from pathlib import Path

from hubqueue.hub.hub import Hub
from hubqueue.ingest.into import Into
from hubqueue.sources.amqp import AmqpFeed
from hubqueue.sources.settings import AmqpSource
from support.ports import free_port
from support.waiting import until


async def test_a_broker_that_is_away_is_named_and_its_tries_leave_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    away = AmqpSource(name="orders", url=f"amqp://shop:pass-word@127.0.0.1:{port}/", queue="o", into=Into(queue="in"))
    async with await Hub.open(tmp_path / "hub.db") as hub:
        feed = AmqpFeed(hub, away)
        gc.disable()  # what the tries leave is collected below, in a thread, as the hub's own threads may do it
        try:
            feed.start()
            await until(lambda: feed.status.error is not None)
            await feed.close()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                await asyncio.to_thread(gc.collect)
        finally:
            gc.enable()
    assert [str(warning.message) for warning in caught if "Connection" in str(warning.message)] == []
    error = feed.status.error or ""
    assert f"127.0.0.1:{port}" in error
    assert "pass-word" not in error
