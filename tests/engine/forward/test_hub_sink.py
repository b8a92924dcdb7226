"""The hub sink against real servers on the other side: bunqueue from npm, and our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec
import pytest

from hubqueue.client.address import LinkSettings, Tls
from hubqueue.errors import HubqueueError, LinkDown
from hubqueue.forward.outbound import OutboundJob, forward_id, sortable
from hubqueue.forward.sink import Batch
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from support import central, certificates
from support.waiting import soon

encode = msgspec.msgpack.encode


def parcel(seq: int, data: bytes | None = None, *, priority: int = 0, name: str = "reading") -> OutboundJob:
    return OutboundJob(
        forward_id("edge", "readings", seq), name, encode({"n": seq}) if data is None else data, 0, priority
    )


def batch(*parcels: OutboundJob) -> Batch:
    return Batch("readings", parcels)


@pytest.fixture(params=["hubqueue", "bunqueue"])
def kind(request: pytest.FixtureRequest) -> central.Kind:
    """What the other side is."""
    return cast("central.Kind", request.param)


@pytest.fixture
async def there(kind: central.Kind, tmp_path: Path) -> AsyncIterator[LinkSettings]:
    async with central.serve(kind, tmp_path, token="secret") as link:
        yield link


async def sink_of(link: LinkSettings) -> HubSink:
    sink = HubSink(link)
    await sink.connect()
    return sink


async def test_the_jobs_arrive_in_order_with_name_priority_and_data(kind: central.Kind, there: LinkSettings) -> None:
    sink = await sink_of(there)
    odd = encode({"name": "kept", "n": [1.5, None, True, "ä"], "raw": b"\x00\xff"})
    jobs = [parcel(98), parcel(99), parcel(100), parcel(101, odd, priority=7, name="urgent")]
    assert await sink.write(batch(*jobs)) == [None] * 4
    await sink.close()
    arrived = await central.hand_out(there, "readings")
    ids = [forward_id("edge", "readings", seq) for seq in (101, 98, 99, 100)]
    assert [job.id for job in arrived] == ([sortable(id) for id in ids] if kind == "bunqueue" else ids)
    assert (arrived[0].name, arrived[0].priority) == ("urgent", 7)
    assert bytes(arrived[0].data) == odd or kind == "bunqueue"  # bunqueue encodes again
    assert msgspec.msgpack.decode(arrived[0].data) == msgspec.msgpack.decode(odd)
    assert [msgspec.msgpack.decode(job.data) for job in arrived[1:]] == [{"n": 98}, {"n": 99}, {"n": 100}]


async def test_tags_and_key_arrive_at_a_hub_and_stop_no_job(kind: central.Kind, there: LinkSettings) -> None:
    sink = await sink_of(there)
    full = tuple(f"t{number}" for number in range(100))
    jobs = [
        msgspec.structs.replace(parcel(1), tags=("a", "header:n=1"), key="pump"),
        msgspec.structs.replace(parcel(2), tags=(*full, "queue:full")),  # as one that overflowed here
        msgspec.structs.replace(parcel(3), tags=("queue:" + "q" * 256, "b")),
        msgspec.structs.replace(parcel(4, priority=-1), key="pump"),  # its priority was changed here
        parcel(5),
    ]
    assert await sink.write(batch(*jobs)) == [None] * 5
    await sink.close()
    found = {}
    for seq in range(1, 6):
        id = forward_id("edge", "readings", seq)
        job = (await central.ask(there, "GetJob", id=sortable(id) if kind == "bunqueue" else id))["job"]
        found[seq] = (tuple(job.get("tags") or ()), job.get("groupId"))
    nothing: tuple[tuple[str, ...], None] = ((), None)
    assert found == (
        dict.fromkeys(range(1, 6), nothing)
        if kind == "bunqueue"
        else {1: (("a", "header:n=1"), "pump"), 2: (full, None), 3: (("b",), None), 4: nothing, 5: nothing}
    )


async def test_a_batch_that_is_sent_again_is_known(there: LinkSettings) -> None:
    sink = await sink_of(there)
    jobs = [parcel(seq) for seq in range(1, 51)]
    assert await sink.write(batch(*jobs)) == [None] * 50
    assert await sink.write(batch(*jobs)) == [None] * 50
    await sink.close()
    assert (await central.counts(there, "readings"))["waiting"] == 50


async def test_a_job_that_is_refused_is_named_and_the_rest_arrives(there: LinkSettings) -> None:
    sink = await sink_of(there)
    jobs = [parcel(seq) for seq in range(1, 11)]
    jobs[3] = parcel(4, encode("x" * (10 * 1024 * 1024 + 1)))
    jobs[8] = parcel(9, name="x" * 257)
    results = await sink.write(batch(*jobs))
    await sink.close()
    assert [index for index, result in enumerate(results) if result is not None] == [3, 8]
    assert results[3] == Rejected("payload_too_large", "Job data too large (max 10MB)")
    assert results[8] == Rejected("invalid", "Job name must be a non-empty string of at most 256 characters")
    arrived = await central.hand_out(there, "readings")
    assert [int(job.id.rpartition(":")[2]) for job in arrived] == [1, 2, 3, 5, 6, 7, 8, 10]


async def test_a_job_without_data_and_one_with_null_stay_apart(there: LinkSettings) -> None:
    sink = await sink_of(there)
    absent = msgspec.structs.replace(parcel(1), data=None)
    assert await sink.write(batch(absent, parcel(2, b"\xc0"))) == [None, None]
    await sink.close()
    first, second = await central.hand_out(there, "readings")
    assert bytes(first.data) in (b"", b"\xd4\x00\x00")
    assert bytes(second.data) == b"\xc0"


@pytest.mark.parametrize("token", ["wrong", None])
async def test_a_wrong_token_is_the_links_trouble(there: LinkSettings, token: str | None) -> None:
    sink = HubSink(LinkSettings(there.host, there.port, token))
    with pytest.raises(HubqueueError) as failure:
        await sink.connect()
    meaning = verdict(failure.value)
    assert isinstance(meaning, Down)
    assert meaning.reason is Reason.AUTH


async def test_the_other_side_is_reached_over_tls_with_a_private_ca(kind: central.Kind, tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    async with central.serve(kind, tmp_path, files=files) as link:
        sink = await sink_of(link)
        assert await sink.write(batch(parcel(1))) == [None]
        await sink.close()
        assert (await central.counts(link, "readings"))["waiting"] == 1


async def test_a_certificate_of_another_ca_is_the_links_trouble(kind: central.Kind, tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    async with central.serve(kind, tmp_path, files=files) as link:
        stranger = HubSink(replace(link, tls=Tls(str(files.other_ca))))
        with pytest.raises(LinkDown) as failure:
            await stranger.connect()
        meaning = verdict(failure.value)
        assert isinstance(meaning, Down)
        assert meaning.reason is Reason.TLS


async def test_a_sink_tells_when_its_server_is_gone(kind: central.Kind, tmp_path: Path) -> None:
    async with central.serve(kind, tmp_path) as link:
        sink = await sink_of(link)
        lost = asyncio.create_task(sink.lost())
    with pytest.raises(LinkDown):
        await soon(lost)
    with pytest.raises(LinkDown):
        await sink.write(batch(parcel(1)))
    await sink.close()


async def test_a_frame_never_holds_more_data_than_the_receiver_takes(there: LinkSettings) -> None:
    sink = await sink_of(there)
    jobs = [parcel(seq, encode("x" * size)) for seq, size in enumerate([9_000_000, 3_000_000, 3_000_000, 9_000_000], 1)]
    assert await sink.write(batch(*jobs)) == [None] * 4
    await sink.close()
    assert len(await central.hand_out(there, "readings")) == 4
