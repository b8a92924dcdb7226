"""The client against a real bunqueue server: what a forwarder and a plain producer need of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import Invalid, NotAuthenticated, NotFound, UnknownCommand
from hubqueue.model import payload
from hubqueue.model.job import Dedup, NewJob, Options
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.retry import Backoff
from support.bunqueue import Bunqueue


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[RemoteHub]:
    async with Bunqueue(tmp_path) as server, RemoteHub(LinkSettings(port=server.port)) as hub:
        yield hub


async def test_it_says_who_it_is(far: RemoteHub) -> None:
    assert (far.link.peer.server, far.link.peer.hub_id) == ("bunqueue", None)
    assert "settle" not in far.link.peer.capabilities


async def test_jobs_are_added_and_read_with_their_options(far: RemoteHub) -> None:
    options = Options(
        backoff=Backoff("fixed", 500), timeout_ms=60_000, tags=("a",), durable=True, dedup=Dedup("key", 5000)
    )
    new = NewJob(
        name="send", data=payload.encode({"n": 1}), priority=7, delay_ms=2**33, max_attempts=5, options=options
    )
    (id,) = await far.enqueue("q", [new])
    job = await far.get(id)
    assert (job.name, payload.decode(job.data), job.priority, job.max_attempts) == ("send", {"n": 1}, 7, 5)
    assert job.run_at_ms - job.created_at_ms == 2**33
    assert (job.options.timeout_ms, job.options.tags, job.options.durable) == (60_000, ("a",), True)
    assert job.options.dedup is not None
    assert job.options.dedup.key == "key"


async def test_a_batch_under_ids_of_its_own_is_there_once(far: RemoteHub) -> None:
    jobs = [NewJob(data=payload.encode(n), custom_id=f"fwd:hub:q:{n}") for n in range(10)]
    assert await far.enqueue("q", jobs, durable=True) == [f"fwd:hub:q:{n}" for n in range(10)]
    await far.enqueue("q", jobs, durable=True)
    assert (await far.counts("q")).waiting == 10
    page = await far.list_jobs("q")
    assert [payload.decode(job.data) for job in page.jobs] == list(range(10))


async def test_jobs_are_leased(far: RemoteHub) -> None:
    ids = await far.enqueue("q", [NewJob(), NewJob()])
    leased = await far.lease("q", 5, owner="me", wait_ms=1000)
    assert sorted(one.job.id for one in leased) == sorted(ids)
    assert all(one.token for one in leased)


async def test_its_errors_are_known_by_their_texts(far: RemoteHub) -> None:
    with pytest.raises(NotFound):
        await far.get("nothing")
    with pytest.raises(Invalid):
        await far.enqueue("no such name", [NewJob()])
    with pytest.raises(UnknownCommand):
        await far.settle([Settlement("1", "t", Complete())])


async def test_it_is_steered(far: RemoteHub) -> None:
    await far.pause("q")
    (info,) = [info for info in await far.queues() if info.name == "q"]
    assert info.paused
    await far.resume("q")
    (id,) = await far.enqueue("q", [NewJob()])
    await far.change_priority(id, 3)
    assert (await far.get(id)).priority == 3
    assert await far.drain("q") == 1


async def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    async with Bunqueue(tmp_path, tokens="secret") as server:
        async with RemoteHub(LinkSettings(port=server.port, token="secret")) as far:
            assert await far.queues() == []
        with pytest.raises(NotAuthenticated):
            await RemoteHub(LinkSettings(port=server.port, token="wrong")).open()
        with pytest.raises(NotAuthenticated):
            await RemoteHub(LinkSettings(port=server.port)).open()
