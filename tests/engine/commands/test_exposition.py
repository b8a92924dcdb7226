"""The Prometheus command: its text is what the official parser reads, and says what the hub holds."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from hubqueue.commands.exposition import _text
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from support.context import context_of


async def test_the_figures_are_those_of_the_hub(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("a", [NewJob(), NewJob(priority=3), NewJob(delay_ms=60_000)])
        await hub.enqueue("b.quoted", [NewJob()])
        await hub.lease("a", owner="w")
        context = context_of(hub)
        found = {
            (sample.name, sample.labels.get("queue")): sample.value
            for family in text_string_to_metric_families(_text(context, await hub.queues()))
            for sample in family.samples
        }
    assert found["bunqueue_jobs_waiting", None] == 2
    assert found["bunqueue_jobs_delayed", None] == 1
    assert found["bunqueue_jobs_active", None] == 1
    assert found["bunqueue_jobs_pushed_total", None] == 4
    assert found["bunqueue_queue_jobs_waiting", "b.quoted"] == 1
    assert found["bunqueue_storage_bytes", None] > 0
