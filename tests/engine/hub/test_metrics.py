"""What went through a hub: totals since it was opened, and minutes that survive a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub.metrics import MINUTE_MS, Metrics
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Fail, Settlement
from hubqueue.store.metrics import KEPT_MINUTES
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tally

from .conftest import Bench


async def test_everything_that_goes_through_is_counted_once(bench: Bench) -> None:
    await bench.add("a", "b", "c", max_attempts=1)
    await bench.add("d", options=Options(remove_on_complete=True))
    leased = await bench.take(3)
    await bench.hub.settle(
        [
            Settlement(leased[0].job.id, leased[0].token, Complete()),
            Settlement(leased[1].job.id, leased[1].token, Fail("no")),
        ]
    )
    await bench.end(leased[2], Complete(remove=True))
    assert bench.hub.metrics.totals == [4, 3, 2, 1]
    assert (await bench.hub.run(lambda tx: bench.hub.metrics.completed_of(tx, "q"))).total == 2
    assert (await bench.hub.run(lambda tx: bench.hub.metrics.failed_of(tx, "q"))).total == 1


async def test_a_verb_that_is_refused_counts_nothing(bench: Bench) -> None:
    with pytest.raises(Exception, match="maximum size"):
        await bench.add("a", "b", options=Options(group="g", group_max_size=1))
    assert bench.hub.metrics.totals == [0, 0, 0, 0]


async def test_minutes_survive_a_restart_and_go_with_their_queue(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    for total in (1, 2):
        async with await LocalHub.open(path, HubSettings()) as hub:
            await hub.enqueue("q", [NewJob(name="n")])
            (leased,) = await hub.lease("q", owner="w")
            await hub.settle([Settlement(leased.job.id, leased.token, Complete())])
            series = await hub.run(lambda tx, hub=hub: hub.metrics.completed_of(tx, "q"))  # type: ignore[misc]
            assert series.total == total
    async with await LocalHub.open(path, HubSettings()) as hub:
        await hub.obliterate("q")
        await hub.enqueue("q", [NewJob(name="n")])
        assert (await hub.run(lambda tx: hub.metrics.completed_of(tx, "q"))).total == 0


async def test_minutes_without_jobs_are_zeros_and_old_ones_go(bench: Bench) -> None:
    await bench.add("a")
    row = bench.hub.store.queues.by_name["q"]
    now = bench.hub.now_ms()
    for minutes, count in ((KEPT_MINUTES + 5, 7), (3, 5), (0, 2)):
        bench.hub.metrics.count({(row, Tally.COMPLETED): count}, now - minutes * MINUTE_MS)
    await bench.hub.write_metrics()
    series = await bench.hub.run(lambda tx: bench.hub.metrics.completed_of(tx, "q"))
    assert series.counts in ([2, 0, 0, 5], [0, 2, 0, 0, 5])  # the minute may have turned
    assert series.total == 7


def test_rates_are_means_over_ten_whole_seconds() -> None:
    metrics, row = Metrics(), QueueRow(1, "q")
    for second in range(20):
        metrics.count({(row, Tally.PUSHED): 30}, second * 1000)
    assert metrics.rates(20_000)[Tally.PUSHED] == 30
    assert metrics.rates(25_000)[Tally.PUSHED] == 15
    assert metrics.rates(99_000)[Tally.PUSHED] == 0
