"""A client and a real hub with a bad link between them: nothing twice, nothing lost, and back by itself."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hubqueue
from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import LinkDown, NotAuthenticated
from hubqueue.hub.settings import HubSettings
from hubqueue.model import payload
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Output, Settlement
from hubqueue.model.verbs import Event
from hubqueue.work.running import RunningJob
from hubqueue.work.worker import Worker
from support import certificates
from support.proxy import Proxy, Uplink
from support.served import served
from support.waiting import in_time, soon, until


def over(proxy: Proxy, **changes: Any) -> LinkSettings:
    quick = {"backoff_first_s": 0.01, "backoff_max_s": 0.05, "ping_after_s": 0.1, "dead_after_s": 0.4}
    return replace(LinkSettings(port=proxy.port), **{**quick, **changes})


async def test_a_job_whose_answer_was_lost_is_there_once(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy, RemoteHub(over(proxy)) as far:
        await proxy.set(Uplink.MUTE)
        adding = asyncio.create_task(far.enqueue("q", [NewJob(data=b"\x01")]))
        await until(lambda: has(there.hub, "q", 1))
        proxy.cut()
        await proxy.set(Uplink.PASS)
        (id,) = await adding
        assert (await there.hub.counts("q")).waiting == 1
        assert (await there.hub.get(id)).data == b"\x01"


async def test_a_batch_whose_answer_was_lost_is_there_once_even_if_it_has_run(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy, RemoteHub(over(proxy)) as far:
        ran: list[bytes] = []

        async def handler(job: RunningJob) -> None:
            ran.append(job.job.data or b"")

        async with Worker(there.hub, "q", handler, concurrency=10):
            await proxy.set(Uplink.MUTE)
            adding = asyncio.create_task(far.enqueue("q", [NewJob(data=bytes([n])) for n in range(10)]))
            await until(lambda: len(ran) == 10)
            proxy.cut()
            await proxy.set(Uplink.PASS)
            ids = await adding
            assert len(set(ids)) == 10
            await until(lambda: completed(there.hub, "q", 10))
        assert sorted(ran) == [bytes([n]) for n in range(10)]


async def test_no_job_is_lost_or_doubled_over_many_cuts(tmp_path: Path) -> None:
    chance = random.Random(7)
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy, RemoteHub(over(proxy)) as far:

        async def producer(first: int) -> list[str]:
            ids: list[str] = []
            for n in range(first, first + 100):
                if n % 10 == 0:  # anywhere: in a request, in an answer, in the handshake
                    proxy.cut_after(up=chance.randrange(1, 400), down=chance.randrange(1, 200))
                ids += await far.enqueue("q", [NewJob(data=payload.encode(n))])
            return ids

        ids = [id for some in await asyncio.gather(*(producer(n) for n in range(0, 500, 100))) for id in some]
        assert proxy.accepted > 10
        assert len(set(ids)) == 500
        assert (await there.hub.counts("q")).waiting == 500
        jobs = [job for page in [await there.hub.list_jobs("q", limit=1000)] for job in page.jobs]
        assert sorted(payload.decode(job.data) for job in jobs) == list(range(500))


async def test_a_half_open_link_is_found_and_left(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy, RemoteHub(over(proxy)) as far:
        await proxy.set(Uplink.SILENT)
        adding = asyncio.create_task(far.enqueue("q", [NewJob()]))
        async with in_time():
            await until(lambda: not far.link.state.up)
        await proxy.set(Uplink.PASS)
        await adding
        assert (await there.hub.counts("q")).waiting == 1


async def test_a_result_ready_while_the_link_is_down_is_stored_when_it_is_back(tmp_path: Path) -> None:
    runs, down = 0, asyncio.Event()
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy, RemoteHub(over(proxy)) as far:

        async def handler(job: RunningJob) -> str:
            nonlocal runs
            runs += 1
            await proxy.set(Uplink.REFUSE)
            proxy.cut()
            await until(lambda: not far.link.state.up)
            down.set()
            return "done"

        (id,) = await there.hub.enqueue("q", [NewJob()])
        async with Worker(far, "q", handler):
            await soon(down.wait())
            await proxy.set(Uplink.PASS)
            job = await there.hub.wait(id, 30_000)
        assert job is not None
        assert (payload.decode(job.result), job.attempts, job.lost_count, runs) == ("done", 0, 0, 1)


async def test_a_completion_whose_answer_was_lost_counts_once(tmp_path: Path) -> None:
    runs = 0
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy, RemoteHub(over(proxy)) as far:

        async def handler(job: RunningJob) -> int:
            nonlocal runs
            runs += 1
            await proxy.set(Uplink.MUTE)
            return runs

        (id,) = await there.hub.enqueue("q", [NewJob()])
        async with Worker(far, "q", handler) as worker:
            job = await there.hub.wait(id, 10_000)
            proxy.cut()
            await proxy.set(Uplink.PASS)
            await until(lambda: worker.running == 0)
        assert job is not None
        assert (payload.decode(job.result), job.attempts, runs) == (1, 0, 1)


@pytest.mark.parametrize("remove", [True, False])
async def test_a_settle_whose_answer_was_lost_is_done_once(tmp_path: Path, remove: bool) -> None:
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy, RemoteHub(over(proxy)) as far:
        await there.hub.enqueue("q", [NewJob()])
        (leased,) = await far.lease("q", owner="me")
        await proxy.set(Uplink.MUTE)
        end = Settlement(leased.job.id, leased.token, Complete(remove=remove))
        settling = asyncio.create_task(far.settle([end], outputs=[Output("next", NewJob())]))
        await until(lambda: has(there.hub, "next", 1))
        proxy.cut()
        await proxy.set(Uplink.PASS)
        (made,) = await settling
        assert (await there.hub.get(made)).queue == "next"
        assert (await there.hub.counts("next")).waiting == 1
        assert (await there.hub.counts("q")).completed == (0 if remove else 1)


async def test_a_worker_cut_off_for_longer_than_its_lease_ends_its_handler(tmp_path: Path) -> None:
    cancelled = asyncio.Event()
    settings = HubSettings(grace_s=0.2)
    async with (
        served(tmp_path / "hub.db", settings=settings) as there,
        Proxy(there.port) as proxy,
        RemoteHub(over(proxy)) as far,
    ):

        async def stuck(job: RunningJob) -> str:
            await proxy.set(Uplink.REFUSE)
            proxy.cut()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return "never"

        async def other(job: RunningJob) -> str:
            return "by another"

        (id,) = await there.hub.enqueue("q", [NewJob()])
        run = asyncio.create_task(Worker(far, "q", stuck, lease_ms=1000).run())
        async with in_time():
            await until(lambda: not far.link.state.up)
            async with Worker(there.hub, "q", other):
                job = await there.hub.wait(id, 10_000)
            await cancelled.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert job is not None
        assert (payload.decode(job.result), job.attempts, job.lost_count) == ("by another", 0, 1)


async def test_workers_and_subscribers_outlive_a_restart_of_the_hub(tmp_path: Path) -> None:
    heard: list[Event] = []
    path = tmp_path / "hub.db"
    async with served(path) as there:
        port = there.port
        (before,) = await there.hub.enqueue("q", [NewJob(data=b"\x01")])
        far = await RemoteHub(replace(LinkSettings(port=port), backoff_first_s=0.01, backoff_max_s=0.05)).open()

        async def handler(job: RunningJob) -> int:
            return int(job.data)

        worker = Worker(far, "q", handler)
        run = asyncio.create_task(worker.run())
        await far.subscribe("q", heard.append)
        assert (await there.hub.wait(before, 10_000)) is not None
    async with served(path, port=port) as there:
        await until(lambda: far.link.state.up and there.server.connections == 2)
        (after,) = await there.hub.enqueue("q", [NewJob(data=b"\x02")])
        job = await there.hub.wait(after, 10_000)
        assert job is not None
        assert payload.decode(job.result) == 2
        await until(lambda: any(event.job_id == after and event.kind == "completed" for event in heard))
        await worker.stop()
        await run
        await far.close()


async def test_jobs_of_a_closing_client_go_back_at_once_uncounted(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def handler(job: RunningJob) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with served(tmp_path / "hub.db") as there:
        (id,) = await there.hub.enqueue("q", [NewJob()])
        async with hubqueue.Client(there.url) as far, far.worker("q", handler, grace=0), in_time():
            await begun.wait()
        job = await there.hub.get(id)
        assert (job.state, job.attempts, job.lost_count) == (0, 0, 0)


async def test_tls_and_a_token_open_the_door(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    async with served(tmp_path / "hub.db", certificates=files, tokens=("secret",)) as there:
        async with hubqueue.Client(there.url, token="secret", ca_file=str(files.ca)) as far:
            job = await far.queue("q").add("send", 1)
            assert (await job.get()).data == 1
        with pytest.raises(LinkDown, match="not trusted"):
            await hubqueue.Client(there.url, token="secret", ca_file=str(files.other_ca)).open()
        with pytest.raises(NotAuthenticated):
            await hubqueue.Client(there.url, token="wrong", ca_file=str(files.ca)).open()
        with pytest.raises(NotAuthenticated):
            await hubqueue.Client(there.url, ca_file=str(files.ca)).open()


async def has(hub: Any, queue: str, count: int) -> bool:
    return bool((await hub.counts(queue)).waiting == count)


async def completed(hub: Any, queue: str, count: int) -> bool:
    return bool((await hub.counts(queue)).completed == count)
