"""The hub sink against real servers on the other side: bunqueue from npm, and our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hubqueue.client.address import LinkSettings, Tls
from hubqueue.errors import HubqueueError, LinkDown
from hubqueue.forward.sink import Batch
from hubqueue.forward.sinks.hub import HubSink, forward_id
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from hubqueue.model.job import Job, Leased
from hubqueue.model.state import State
from support import central, certificates
from support.bunqueue import Bunqueue

encode = msgspec.msgpack.encode


def leased(seq: int, data: bytes | None = None, *, priority: int = 0, name: str = "reading") -> Leased:
    job = Job(
        id=f"edge-{seq}",
        queue="readings",
        seq=seq,
        state=State.ACTIVE,
        flags=0,
        priority=priority,
        name=name,
        data=encode({"n": seq}) if data is None else data,
        run_at_ms=0,
        created_at_ms=0,
        attempts=0,
        max_attempts=3,
    )
    return Leased(job, "token")


def batch(*jobs: Leased) -> Batch:
    return Batch("readings", jobs)


@pytest.fixture
async def bunqueue(tmp_path: Path) -> AsyncIterator[LinkSettings]:
    async with Bunqueue(tmp_path, tokens="secret") as server:
        yield LinkSettings("127.0.0.1", server.port, "secret")


async def sink_of(link: LinkSettings) -> HubSink:
    sink = HubSink(link, lambda seq: "edge")
    await sink.connect()
    return sink


async def test_bunqueue_gets_the_jobs_in_order_with_name_priority_and_data(bunqueue: LinkSettings) -> None:
    sink = await sink_of(bunqueue)
    odd = encode({"name": "kept", "n": [1.5, None, True, "ä"], "raw": b"\x00\xff"})
    jobs = [leased(98), leased(99), leased(100), leased(101, odd, priority=7, name="urgent")]
    assert await sink.write(batch(*jobs)) == [None] * 4
    await sink.close()
    arrived = await central.hand_out(bunqueue, "readings")
    assert [job.id for job in arrived] == [forward_id("edge", "readings", n, sortable=True) for n in (101, 98, 99, 100)]
    assert (arrived[0].name, arrived[0].priority) == ("urgent", 7)
    assert msgspec.msgpack.decode(arrived[0].data)["name"] == "kept"
    assert [msgspec.msgpack.decode(job.data) for job in arrived[1:]] == [{"n": 98}, {"n": 99}, {"n": 100}]


async def test_bunqueue_knows_a_batch_that_is_sent_again(bunqueue: LinkSettings) -> None:
    sink = await sink_of(bunqueue)
    jobs = [leased(seq) for seq in range(1, 51)]
    assert await sink.write(batch(*jobs)) == [None] * 50
    assert await sink.write(batch(*jobs)) == [None] * 50
    await sink.close()
    assert (await central.counts(bunqueue, "readings"))["waiting"] == 50


async def test_a_job_that_bunqueue_refuses_is_named_and_the_rest_arrives(bunqueue: LinkSettings) -> None:
    sink = await sink_of(bunqueue)
    jobs = [leased(seq) for seq in range(1, 11)]
    jobs[3] = leased(4, encode("x" * (10 * 1024 * 1024 + 1)))
    jobs[8] = leased(9, encode(2**63))
    results = await sink.write(batch(*jobs))
    await sink.close()
    assert [index for index, result in enumerate(results) if result is not None] == [3, 8]
    assert results[3] == Rejected("payload_too_large", "Job data too large (max 10MB)")
    assert results[8] == Rejected("invalid", "Job data must be JSON serializable")
    assert [job.id[-2:] for job in await central.hand_out(bunqueue, "readings")] == (
        ["01", "02", "03", "05", "06", "07", "08", "10"]
    )


async def test_a_job_without_data_and_one_with_null_stay_apart(bunqueue: LinkSettings) -> None:
    sink = await sink_of(bunqueue)
    absent = Leased(msgspec.structs.replace(leased(1).job, data=None), "token")
    assert await sink.write(batch(absent, leased(2, b"\xc0"))) == [None, None]
    await sink.close()
    first, second = await central.hand_out(bunqueue, "readings")
    assert bytes(first.data) in (b"", b"\xd4\x00\x00")
    assert bytes(second.data) == b"\xc0"


@pytest.mark.parametrize("token", ["wrong", None])
async def test_a_wrong_token_is_the_links_trouble(bunqueue: LinkSettings, token: str | None) -> None:
    sink = HubSink(LinkSettings(bunqueue.host, bunqueue.port, token), lambda seq: "edge")
    with pytest.raises(HubqueueError) as failure:
        await sink.connect()
    meaning = verdict(failure.value)
    assert isinstance(meaning, Down)
    assert meaning.reason is Reason.AUTH


async def test_bunqueue_is_reached_over_tls_with_a_private_ca(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    async with Bunqueue(tmp_path, cert=files.cert, key=files.key) as server:
        link = LinkSettings("127.0.0.1", server.port, tls=Tls(str(files.ca)))
        sink = await sink_of(link)
        assert await sink.write(batch(leased(1))) == [None]
        await sink.close()
        assert (await central.counts(link, "readings"))["waiting"] == 1
        stranger = HubSink(LinkSettings("127.0.0.1", server.port, tls=Tls(str(files.other_ca))), lambda seq: "edge")
        with pytest.raises(LinkDown) as failure:
            await stranger.connect()
        meaning = verdict(failure.value)
        assert isinstance(meaning, Down)
        assert meaning.reason is Reason.TLS


async def test_a_sink_tells_when_its_server_is_gone(tmp_path: Path) -> None:
    async with Bunqueue(tmp_path) as server:
        sink = await sink_of(LinkSettings("127.0.0.1", server.port))
        lost = asyncio.create_task(sink.lost())
    with pytest.raises(LinkDown):
        await asyncio.wait_for(lost, 10)
    with pytest.raises(LinkDown):
        await sink.write(batch(leased(1)))
    await sink.close()


async def test_a_frame_never_holds_more_data_than_the_receiver_takes(bunqueue: LinkSettings) -> None:
    sink = await sink_of(bunqueue)
    jobs = [leased(seq, encode("x" * size)) for seq, size in enumerate([9_000_000, 3_000_000, 3_000_000, 9_000_000], 1)]
    assert await sink.write(batch(*jobs)) == [None] * 4
    await sink.close()
    assert len(await central.hand_out(bunqueue, "readings")) == 4
