"""The runner on a real hub: all of a batch or nothing, whatever goes wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.config.pipelines import read_pipeline
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Job, NewJob
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.state import State
from hubqueue.model.verbs import Verbs
from hubqueue.pipeline.plan import Pipeline, StepPlan
from hubqueue.pipeline.record import Record
from hubqueue.pipeline.runner import Runner
from hubqueue.pipeline.step import State as StepState
from hubqueue.pipeline.step import Step
from support.proxy import Proxy, Uplink
from support.served import served
from support.waiting import soon, until

SUMS = "- window: {every: 60s, by: [d], time: t, lateness: 0s, values: {v: sum}}"
MINUTE = 60_000
T = 1_790_000_000_000 - 1_790_000_000_000 % MINUTE  # long ago, for the hub


@pytest.fixture
def settings() -> HubSettings:
    return HubSettings(grace_s=0.2, queues={"small": QueueBounds(max_jobs=3)})


@pytest.fixture
async def hub(tmp_path: Path, settings: HubSettings) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "hub.db", settings) as hub:
        yield hub


def plan(
    folder: Path, steps: str = "", to: str = "{queue: out}", *own: Callable[[], Step], batch: int = 50
) -> Pipeline:
    """From queue `in`. own: steps of the test, before the others."""
    file = folder / "pipeline.yaml"
    listed = f"steps:\n{steps}\n" if steps else ""
    file.write_text(f"name: p\nfrom: {{queue: in}}\nbatch: {batch}\n{listed}to: {to}\n")
    read = read_pipeline(file)
    return replace(read, steps=(*(StepPlan(f"own-{i}", make) for i, make in enumerate(own)), *read.steps))


@asynccontextmanager
async def running(hub: Verbs, pipeline: Pipeline, now_ms: Callable[[], int] | None = None) -> AsyncIterator[Runner]:
    runner = Runner(hub, pipeline, now_ms or hub.now_ms)  # type: ignore[attr-defined]
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await soon(task)


async def push(hub: Verbs, *data: Any, queue: str = "in") -> list[str]:
    return await hub.enqueue(queue, [NewJob(name="reading", data=msgspec.msgpack.encode(each)) for each in data])


async def jobs(hub: Hub, queue: str, *states: State) -> list[Job]:
    return (await hub.list_jobs(queue, states or (State.WAITING,), limit=1000)).jobs


async def data(hub: Hub, queue: str = "out") -> list[Any]:
    return [msgspec.msgpack.decode(job.data or b"") for job in await jobs(hub, queue)]


def given(hub: Hub, count: int) -> Callable[[], Any]:
    async def all_given() -> bool:
        return (await hub.counts("out")).waiting == count

    return all_given


def done(hub: Hub, count: int) -> Callable[[], Any]:
    async def all_completed() -> bool:
        return (await hub.counts("in")).completed == count

    return all_completed


async def test_records_go_through_the_steps_and_are_completed(hub: Hub, tmp_path: Path) -> None:
    made = await push(hub, *({"v": number} for number in range(120)))
    steps = "- filter: data.v < 100\n- map: {compute: {w: data.v + 1}}"
    async with running(hub, plan(tmp_path, steps)) as runner:
        await until(done(hub, 120))
        shown = runner.shown()
    assert [each["w"] for each in await data(hub)] == [*range(1, 101)]
    first = (await jobs(hub, "out"))[0]
    assert (first.name, first.created_at_ms) == ("reading", (await hub.get(made[0])).created_at_ms)
    assert (shown.taken, shown.given, shown.refused, shown.trouble) == (120, 100, 0, None)


async def test_what_a_step_refuses_is_a_dead_letter_that_names_the_step(hub: Hub, tmp_path: Path) -> None:
    (bad,) = await push(hub, {"d": "a", "t": T, "v": "hot"})
    (odd,) = await hub.enqueue("in", [NewJob(data=b"\xc1")])
    await push(hub, {"d": "a", "t": T, "v": 1}, {"d": "a", "t": T + MINUTE, "v": 2})
    async with running(hub, plan(tmp_path, SUMS)) as runner:
        await until(done(hub, 2))
        assert runner.shown().refused == 2
    assert [each["v_sum"] for each in await data(hub)] == [1]
    why = {job.id: job.history.error for job in await jobs(hub, "in", State.FAILED)}
    assert (why[bad] or "").startswith("window: v is no number")
    assert "cannot be read" in (why[odd] or "")


async def test_p9_windows_go_on_after_a_restart_and_close_by_the_clock(hub: Hub, tmp_path: Path) -> None:
    pipeline = plan(tmp_path, "- window: {every: 60s, by: [d], time: t, lateness: 0s, values: {v: [sum, p50]}}")
    now = T + 1000
    await push(hub, {"d": "a", "t": T, "v": 1})
    async with running(hub, pipeline, lambda: now) as runner:
        await until(done(hub, 1))
        assert runner.shown().open == 1
    await push(hub, {"d": "a", "t": T + 1, "v": 2})
    async with running(hub, pipeline, lambda: now):
        await until(done(hub, 2))
    assert await data(hub) == []
    now += MINUTE
    async with running(hub, pipeline, lambda: now) as runner:
        await until(lambda: runner.status.given == 1)
        assert runner.shown().open == 0
    (window,) = await data(hub)
    assert (window["count"], window["v_sum"], window["v_p50"]) == (2, 3, 1.5)
    assert await hub.blobs("pipeline:p:window") != []  # where the group is
    assert all(key.startswith("g:") for key, _ in await hub.blobs("pipeline:p:window"))


class Breaks:
    """Counts in its state, and breaks on a record that says so."""

    def run(self, record: Record, state: StepState) -> Iterable[Record]:
        state.put("count", (state.get("count") or 0) + 1)
        if record.data == "break":
            raise ZeroDivisionError("a defect")
        return (record.carrying(state.get("count")),)


async def test_a_step_that_breaks_fails_that_record_alone(hub: Hub, tmp_path: Path) -> None:
    await push(hub, 1, 2)
    (broken,) = await hub.enqueue("in", [NewJob(data=msgspec.msgpack.encode("break"), max_attempts=1)])
    await push(hub, 3, 4)
    async with running(hub, plan(tmp_path, "", "{queue: out}", Breaks)) as runner:
        await until(done(hub, 4))
        await until(lambda: runner.status.failed == 1)
    assert await data(hub) == [1, 2, 3, 4]  # the broken one is not counted, and nobody is counted twice
    (dead,) = await jobs(hub, "in", State.FAILED)
    assert (dead.id, dead.history.error) == (broken, "ZeroDivisionError: a defect")


class Unstorable:
    """Remembers what cannot be stored."""

    def run(self, record: Record, state: StepState) -> Iterable[Record]:
        if record.data == "break":
            state.put("x", object())
        return (record,)


async def test_a_state_that_cannot_be_stored_fails_that_record_alone(hub: Hub, tmp_path: Path) -> None:
    await push(hub, 1, "break", 2)
    async with running(hub, plan(tmp_path, "", "{queue: out}", Unstorable)) as runner:
        await until(done(hub, 2))
        await until(lambda: runner.status.failed >= 1)
    assert await data(hub) == [1, 2]


async def test_a_result_too_large_for_a_job_is_refused(hub: Hub, tmp_path: Path) -> None:
    class Grows:
        def run(self, record: Record, state: StepState) -> Iterable[Record]:
            return (record.carrying("x" * (11_000_000 if record.data == 2 else 1)),)

    await push(hub, 1, 2, 3)
    async with running(hub, plan(tmp_path, "", "{queue: out}", Grows)):
        await until(done(hub, 2))
    (dead,) = await jobs(hub, "in", State.FAILED)
    assert "cannot be kept as a job" in (dead.history.error or "")


async def test_a_full_queue_makes_it_wait_and_loses_nothing(hub: Hub, tmp_path: Path) -> None:
    await push(hub, 0, 0, 0, queue="small")
    await push(hub, *({"d": "a", "t": T + number * MINUTE, "v": number} for number in range(5)))
    async with running(hub, plan(tmp_path, SUMS, "{queue: small}")) as runner:
        await until(lambda: runner.status.trouble is not None)
        assert (await hub.counts("in")).completed == 0
        assert await hub.blobs("pipeline:p:window") == []
        assert (await jobs(hub, "in", State.WAITING, State.ACTIVE))[0].attempts == 0
        while (await hub.counts("in")).completed < 5 or runner.status.given < 4:
            for leased in await hub.lease("small", 10, owner="t"):
                await hub.settle([_complete(leased)])
            await asyncio.sleep(0.01)
        await until(lambda: runner.status.trouble is None)
        assert runner.shown().open == 1
    sums = [msgspec.msgpack.decode(job.data or b"") for job in await jobs(hub, "small", *State)]
    assert [each["v_sum"] for each in sums if each] == [0, 1, 2, 3]


def _complete(leased: Any) -> Settlement:
    return Settlement(leased.job.id, leased.token, Complete())


async def test_a_runner_that_was_believed_dead_changes_nothing(hub: Hub, tmp_path: Path) -> None:
    pipeline = plan(tmp_path, SUMS)
    await push(hub, {"d": "a", "t": T, "v": 1})
    gate = asyncio.Event()

    class Waits:
        """Holds the first batch back before it runs."""

        async def prepare(self, records: Sequence[Record]) -> None:
            await gate.wait()

        async def aclose(self) -> None: ...

        def run(self, record: Record, state: StepState) -> Iterable[Record]:
            return (record,)

    late = replace(pipeline, steps=(StepPlan("own", Waits), *pipeline.steps))
    async with running(hub, late) as first:
        await until(lambda: first._keeper.count == 1)
        async with running(hub, pipeline) as second:  # it takes back what the first one had
            await until(done(hub, 1))
            await push(hub, {"d": "a", "t": T + MINUTE, "v": 2})
            await until(lambda: second.status.given == 1)
        gate.set()
        await until(lambda: first.status.trouble is not None or first.status.released == 1)
    assert [each["v_sum"] for each in await data(hub)] == [1]


@pytest.mark.parametrize(("late", "queue"), [("drop", "late"), ("dead-letter", "in"), ("{queue: late}", "late")])
async def test_late_records_go_where_the_file_says(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, late: str, queue: str
) -> None:
    await push(hub, {"d": "a", "t": T + MINUTE, "v": 2})
    await push(hub, {"d": "a", "t": T, "v": 1})
    steps = SUMS.replace("lateness: 0s", f"lateness: 0s, late: {late}")
    async with running(hub, plan(tmp_path, f"{steps}\n- map: {{pick: [v_sum]}}"), lambda: T + MINUTE) as runner:
        await until(lambda: runner.status.taken == 2)
        assert runner.shown().late == 1
    lines = [each.getMessage() for each in caplog.records if "are dropped" in each.getMessage()]
    assert [line.partition("pipeline=")[2] for line in lines] == (['p group=["a"] count=1'] if late == "drop" else [])
    found = await jobs(hub, queue, State.WAITING, State.FAILED)
    assert [msgspec.msgpack.decode(job.data or b"")["v"] for job in found] == ([] if late == "drop" else [1])


async def test_channels_hear_results_and_several_outputs_get_them_all(hub: Hub, tmp_path: Path) -> None:
    heard: list[bytes] = []
    await hub.hear("live", lambda message: heard.append(message.data))
    await push(hub, 1, 2)
    async with running(hub, plan(tmp_path, "", "[{queue: out}, {channel: live}, {queue: {queue: too, name: 'n'}}]")):
        await until(lambda: len(heard) == 2)
    assert [msgspec.msgpack.decode(each) for each in heard] == await data(hub) == await data(hub, "too") == [1, 2]
    assert {job.name for job in await jobs(hub, "too")} == {"n"}


async def test_a_batch_gathers_so_many_or_what_came_within_its_time(hub: Hub, tmp_path: Path) -> None:
    pipeline = plan(tmp_path, "- batch: {count: 3, within: 60s}")
    start = hub.now_ms()
    now = start
    await push(hub, *range(8))
    async with running(hub, pipeline, lambda: now):
        await until(done(hub, 8))
        assert await data(hub) == [{"count": 3, "records": [0, 1, 2]}, {"count": 3, "records": [3, 4, 5]}]
    now = start + 90_000
    async with running(hub, pipeline, lambda: now) as runner:  # the rest is kept over a restart
        await until(lambda: runner.status.given == 1)
    assert (await data(hub))[2] == {"count": 2, "records": [6, 7]}
    assert [key for key, _ in await hub.blobs("pipeline:p:batch")] == ["head"]


async def test_a_backlog_of_many_short_windows_is_closed_as_fast_as_it_opens(hub: Hub, tmp_path: Path) -> None:
    for number in range(8):  # each opens 1,000 windows and ends those before
        await push(hub, *({"d": device, "t": T + number * 1000, "v": number} for device in range(1000)))
    steps = "- window: {every: 1s, by: [d], time: t, lateness: 0s, max_open: 2500}"
    async with running(hub, plan(tmp_path, steps, batch=1000), lambda: T + MINUTE) as runner:
        await until(done(hub, 8000))
        assert runner.status.refused == 0
        await until(given(hub, 7000))


async def test_a_stop_gives_back_what_was_not_worked_on(hub: Hub, tmp_path: Path) -> None:
    async with running(hub, plan(tmp_path)) as runner:
        await until(lambda: runner._polling is not None)
    await push(hub, 1)
    assert [job.state for job in await jobs(hub, "in", *State)] == [State.WAITING]


async def test_somebody_else_on_the_queue_is_told(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubqueue.pipeline.runner.LOOK_S", 0.0)
    await push(hub, 1)
    await hub.lease("in", 1, owner="somebody")
    await push(hub, 2)
    async with running(hub, plan(tmp_path)) as runner:
        await push(hub, 3)
        await until(lambda: runner.status.taken == 2)
        await push(hub, 4)
        await until(lambda: runner.shown().shared)
    assert "somebody else takes jobs from this queue too" in caplog.text


class Held:
    """Lets a batch run when it is told to."""

    def __init__(self) -> None:
        self.holds = asyncio.Event()
        self.go = asyncio.Event()

    async def prepare(self, records: Sequence[Record]) -> None:
        self.holds.set()
        await self.go.wait()
        self.go.clear()

    async def aclose(self) -> None: ...

    def run(self, record: Record, state: StepState) -> Iterable[Record]:
        return (record,)


@pytest.mark.parametrize(("rounds", "patience_s"), [(5, 30.0), (1, 1.0)], ids=["cut", "too-late"])
async def test_p9_over_the_network_a_lost_answer_counts_nothing_twice(
    tmp_path: Path, rounds: int, patience_s: float
) -> None:
    held = Held()
    pipeline = plan(tmp_path, SUMS, "{queue: out}", lambda: held)
    async with served(tmp_path / "hub.db") as hub, Proxy(hub.port) as proxy:
        link = replace(LinkSettings.from_url(f"tcp://127.0.0.1:{proxy.port}"), backoff_first_s=0.01, backoff_max_s=0.05)
        link = replace(link, request_timeout_s=patience_s)
        async with RemoteHub(link) as remote, running(remote, pipeline, lambda: T + MINUTE) as runner:
            for number in range(rounds):
                await push(hub.hub, {"d": "a", "t": T + number, "v": 1}, {"d": "a", "t": T + number, "v": 2})
                await soon(held.holds.wait())
                held.holds.clear()
                await proxy.set(Uplink.MUTE)
                held.go.set()
                await until(done(hub.hub, 2 * number + 2))  # it is done, and nobody has heard of it
                if patience_s < 30:
                    await until(lambda: runner.status.released == 2)
                await proxy.set(Uplink.PASS)
                proxy.cut()
                await until(lambda wanted=2 * number + 2: runner.status.released == wanted)
            held.go.set()
            await push(hub.hub, {"d": "a", "t": T + MINUTE, "v": 5})
            await until(given(hub.hub, 1))
        assert [(each["v_sum"], each["count"]) for each in await data(hub.hub)] == [(3 * rounds, 2 * rounds)]
        counts = await hub.hub.counts("in")
        assert (counts.completed, counts.failed) == (2 * rounds + 1, 0)


async def test_p9_over_the_network_a_lost_link_loses_nothing(tmp_path: Path) -> None:
    settings = HubSettings(grace_s=0.2, queues={"in": QueueBounds(count_lost=False)})
    async with served(tmp_path / "hub.db", settings=settings) as hub, Proxy(hub.port) as proxy:
        link = replace(LinkSettings.from_url(f"tcp://127.0.0.1:{proxy.port}"), backoff_first_s=0.01, backoff_max_s=0.05)
        async with RemoteHub(link) as remote, running(remote, plan(tmp_path, SUMS, batch=7), lambda: T + MINUTE):
            for number in range(15):
                await push(hub.hub, *({"d": "a", "t": T + number * 1000, "v": v} for v in range(10)))
                proxy.cut_after(down=random.Random(number).randrange(3000))
                await until(done(hub.hub, 10 * number + 10))
            await push(hub.hub, {"d": "a", "t": T + MINUTE, "v": 5})
            await until(given(hub.hub, 1))
        assert [(each["v_sum"], each["count"]) for each in await data(hub.hub)] == [(15 * 45, 150)]
        assert (await hub.hub.counts("in")).failed == 0
