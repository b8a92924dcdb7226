"""A sink of somebody else's making: what docs/forwarding.md says about it holds, and its defects stop nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.errors import PayloadTooLarge
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Batch
from hubqueue.forward.status import Event, Forwarded, LinkChanged, Refused
from hubqueue.forward.verdict import Down, Reason, Rejected, SinkDown
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from support.waiting import in_time


class LineSink:
    """Appends the data of each job to a file. `troubles` are raised first, one at each call."""

    wants_floor = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connect_troubles: list[Exception] = []
        self.write_troubles: list[Exception] = []
        self.close_troubles: list[Exception] = []
        self.forgets = 0
        self.connected_at_s: list[float] = []

    @property
    def target(self) -> str:
        return str(self.path)

    async def connect(self) -> None:
        self.connected_at_s.append(asyncio.get_running_loop().time())
        if self.connect_troubles:
            raise self.connect_troubles.pop()

    async def write(self, batch: Batch) -> list[Rejected | None]:
        if self.write_troubles:
            raise self.write_troubles.pop()
        lines = [parcel.data or b"" for parcel in batch.parcels]
        if any(len(line) > 100 for line in lines):
            raise PayloadTooLarge("a line is too long")
        with self.path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        forgotten, self.forgets = self.forgets, 0
        return [None] * (len(batch.parcels) - forgotten)

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        if self.close_troubles:
            raise self.close_troubles.pop()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        await hub.enqueue("readings", [NewJob(data=b"%d" % number) for number in range(10)])
        yield hub


@pytest.fixture
def sink(tmp_path: Path) -> LineSink:
    return LineSink(tmp_path / "lines")


async def run(hub: Hub, sink: LineSink, jobs: int = 10) -> list[Event]:
    """Forward until so many jobs are through."""
    settings = ForwardSettings(backoff_s=0.01, backoff_cap_s=0.05)
    forwarder = Forwarder(hub, "readings", sink, settings, hub_id_of=hub.hub_id_of)
    events: list[Event] = []
    through = asyncio.Event()

    def receive(event: Event) -> None:
        events.append(event)
        ended = sum(len(each.ids) if isinstance(each, Forwarded) else isinstance(each, Refused) for each in events)
        if ended >= jobs:
            through.set()

    forwarder.listen(receive)
    async with in_time(), forwarder:
        await through.wait()
    return events


def lines(sink: LineSink) -> list[int]:
    return [int(line) for line in sink.path.read_bytes().split()]


async def test_a_sink_needs_no_more_than_the_protocol(hub: Hub, sink: LineSink) -> None:
    await run(hub, sink)
    assert lines(sink) == list(range(10))
    assert (await hub.counts("readings")).completed == 10


async def test_a_wait_that_the_other_side_asks_for_is_kept(hub: Hub, sink: LineSink) -> None:
    sink.write_troubles = [SinkDown(Down(Reason.QUOTA, "429 Too Many Requests", retry_after_s=0.6))]
    events = await run(hub, sink)
    first, second = sink.connected_at_s
    assert second - first >= 0.6
    downs = [event.down for event in events if isinstance(event, LinkChanged) and event.down is not None]
    assert [(down.reason, down.alert) for down in downs] == [(Reason.QUOTA, True)]
    assert lines(sink) == list(range(10))


async def test_an_error_for_a_whole_batch_is_narrowed_to_the_job_that_causes_it(hub: Hub, sink: LineSink) -> None:
    (odd,) = await hub.enqueue("readings", [NewJob(data=b"9" * 101)])
    await hub.enqueue("readings", [NewJob(data=b"10")])
    events = await run(hub, sink, 12)
    assert [event.id for event in events if isinstance(event, Refused)] == [odd]
    assert lines(sink) == list(range(11))


async def test_a_sink_that_answers_for_too_few_jobs_has_delivered_none(hub: Hub, sink: LineSink) -> None:
    sink.forgets = 1
    events = await run(hub, sink)
    downs = [event.down for event in events if isinstance(event, LinkChanged) and event.down is not None]
    assert [down.error for down in downs] == ["the sink was given 10 jobs and answers for 9"]
    counts = await hub.counts("readings")
    assert (counts.completed, counts.failed, counts.active) == (10, 0, 0)


async def test_defects_of_a_sink_are_waited_out(hub: Hub, sink: LineSink, caplog: pytest.LogCaptureFixture) -> None:
    sink.connect_troubles = [RuntimeError("cannot connect"), OSError("no route")]
    sink.write_troubles = [KeyError("a defect"), ConnectionResetError("reset")]
    sink.close_troubles = [RuntimeError("cannot close")]
    with caplog.at_level(logging.ERROR, "hubqueue.forward"):
        await run(hub, sink)
    assert lines(sink) == list(range(10))
    assert (await hub.counts("readings")).failed == 0
    assert "is started again" in caplog.text
