"""P1: what is sent again under own ids is one job, also when the first one has ended meanwhile. A real hub and link."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import KeyReused
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Settlement
from support.proxy import Proxy, Uplink
from support.served import served


@pytest.mark.parametrize("count", [1, 2])
async def test_p1_own_ids_whose_answer_was_lost_are_not_enqueued_again(tmp_path: Path, count: int) -> None:
    jobs = [NewJob(custom_id=f"mine {number}") for number in range(count)]
    async with served(tmp_path / "hub.db") as at, Proxy(at.port) as proxy:
        link = replace(LinkSettings.from_url(f"tcp://127.0.0.1:{proxy.port}"), backoff_first_s=0.01)
        async with RemoteHub(link) as remote:
            await proxy.set(Uplink.MUTE)
            adding = asyncio.create_task(remote.enqueue("q", jobs))
            leased = await at.hub.lease("q", count, owner="w", wait_ms=60_000)
            await at.hub.settle([Settlement(one.job.id, one.token, Complete()) for one in leased])
            await proxy.set(Uplink.PASS)
            proxy.cut()
            assert await adding == [job.custom_id for job in jobs]
            assert (await at.hub.counts("q")).completed == count
            assert await remote.enqueue("q", jobs) == [job.custom_id for job in jobs]  # another time it is other jobs
            assert (await at.hub.counts("q")).waiting == count


async def test_a_key_stands_for_one_request(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as at, RemoteHub(LinkSettings.from_url(at.url)) as remote:
        ask = partial(remote.link.request, "PUSH")
        for _ in range(2):
            assert msgspec.msgpack.decode(await ask({"queue": "q", "jobId": "mine", "once": "key"}))["id"] == "mine"
        with pytest.raises(KeyReused):
            await ask({"queue": "q", "jobId": "other", "once": "key"})
        assert (await at.hub.counts("q")).waiting == 1
