"""`queue.forward(...)` from an embedded hub and from a client, to a real hub."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import hubqueue
from hubqueue.api.access import Access
from hubqueue.api.forwarding import ForwardError
from hubqueue.errors import Invalid
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.status import Forwarded, LinkChanged
from support import certificates
from support.served import served
from support.waiting import PATIENCE_S, in_time, until


async def test_jobs_arrive_once_in_order_and_are_told(hub: Access, tmp_path: Path) -> None:
    told: list[str] = []
    all_told = asyncio.Event()

    def forwarded(event: Forwarded) -> None:
        told.extend(event.ids)
        if len(told) == 50:
            all_told.set()

    async with served(tmp_path / "central.db") as central:
        queue = hub.queue("readings")
        jobs = await queue.add_many([("reading", n) for n in range(50)])
        forwarding = queue.forward(central.url, queue="site-7")
        forwarding.on("forwarded", forwarded)
        async with forwarding, in_time():
            await all_told.wait()
        assert told == [job.id for job in jobs]
        async with hubqueue.Client(central.url) as there:
            assert [view.data async for view in there.queue("site-7").jobs()] == list(range(50))
        assert (await queue.counts()).completed == 50


async def test_tls_and_a_token_are_passed_on(hub: Access, tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    arrived = asyncio.Event()
    async with served(tmp_path / "central.db", certificates=files, tokens=("secret",)) as central:
        queue = hub.queue("readings")
        await queue.add("reading", 1)
        to = f"127.0.0.1:{central.port}"
        forwarding = queue.forward(to, tls=True, token="secret", ca_file=str(files.ca), durable=False)
        forwarding.on("forwarded", lambda event: arrived.set())
        async with forwarding, in_time():
            await arrived.wait()
        assert (await central.hub.counts("readings")).waiting == 1


async def test_a_link_that_is_down_is_told_as_an_error_and_costs_no_attempt(hub: Access, tmp_path: Path) -> None:
    errors: list[ForwardError] = []
    changes: list[LinkState] = []
    async with served(tmp_path / "central.db") as central:
        url = central.url
    queue = hub.queue("readings")
    job = await queue.add("reading", 1)
    forwarding = queue.forward(url)
    forwarding.on("error", errors.append)
    forwarding.on("link", lambda event: changes.append(event.state))
    async with forwarding:
        await until(lambda: bool(errors))
        status = await forwarding.status()
        assert (status.link, status.waiting) == (LinkState.DOWN, 1)
        async with served(tmp_path / "central.db", port=int(url.rpartition(":")[2])) as central:
            await job.result(timeout=PATIENCE_S)
            assert (await central.hub.counts("readings")).waiting == 1
    assert isinstance(errors[0], LinkChanged)
    assert LinkState.UP in changes
    assert (await job.get()).attempts_made == 0


async def test_a_target_that_cannot_be_is_refused(hub: Access) -> None:
    with pytest.raises(Invalid):
        hub.queue("readings").forward("http://central")
    with pytest.raises(Invalid):
        hub.queue("readings").forward("tcp://central", concurrency=0)
