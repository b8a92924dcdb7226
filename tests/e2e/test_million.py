"""A million jobs in the file: every list and every overview answers within 100 ms, and no step holds the hub long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob
from support.million import JOBS, QUEUES, fill
from support.served import Served, served
from support.wire import WireClient

WITHIN_S: Final = 0.1
TRIES: Final = 3  # the best counts: the machine has other things to do
ALL: Final = QueueBounds(keep_completed=JOBS, keep_completed_ms=None, max_dead=JOBS)
SETTINGS: Final = HubSettings(bounds=ALL)

QUESTIONS: Final[dict[str, dict[str, Any]]] = {
    "one job": {"cmd": "GetJob", "id": "$id"},
    "newest of all": {"cmd": "FindJobs"},
    "newest of one": {"cmd": "FindJobs", "queue": "big", "limit": 200},
    "oldest dead": {"cmd": "FindJobs", "queue": "big", "states": ["failed"], "ascending": True},
    "by name": {"cmd": "FindJobs", "queue": "big", "name": "send"},
    "by text in all": {"cmd": "FindJobs", "text": "nowhere"},
    "by text in errors": {"cmd": "FindJobs", "queue": "big", "text": "503"},
    "by a reason there is not": {"cmd": "FindJobs", "reason": "unheard"},
    "prioritized": {"cmd": "FindJobs", "queue": "big", "states": ["prioritized"]},
    "in the middle": {"cmd": "FindJobs", "queue": "big", "cursor": "500000"},
    "reasons": {"cmd": "DeadReasons"},
    "reasons of one": {"cmd": "DeadReasons", "queue": "big"},
    "overview": {"cmd": "Overview"},
    "history": {"cmd": "History", "span": "24h"},
    "list": {"cmd": "GetJobs", "queue": "big"},
    "list, newest first": {"cmd": "GetJobs", "queue": "big", "state": "waiting", "asc": False},
    "list, prioritized": {"cmd": "GetJobs", "queue": "big", "state": "prioritized", "limit": 50},
    "list by offset": {"cmd": "GetJobs", "queue": "big", "state": "completed", "offset": 100_000, "limit": 50},
    "counts": {"cmd": "GetJobCounts", "queue": "big"},
    "counts per priority": {"cmd": "GetCountsPerPriority", "queue": "big"},
    "queue names": {"cmd": "ListQueues"},
    "dead letters": {"cmd": "Dlq", "queue": "big", "count": 100},
    "dashboard": {"cmd": "DashboardOverview"},
    "dashboard of queues": {"cmd": "DashboardQueues"},
    "dashboard of one": {"cmd": "DashboardQueue", "queue": "big", "includeJobs": True},
    "stats": {"cmd": "Stats"},
}


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("million") / "hub.db"

    async def make() -> None:
        async with await Hub.open(path, SETTINGS) as hub:
            for name in QUEUES:
                await hub.enqueue(name, [NewJob()])
            await hub.upkeep.stop()
            await hub.run(lambda tx: fill(tx, hub.now_ms()))
            await hub.sync()

    asyncio.run(make())
    return path


@pytest.fixture
async def busy(million: Path) -> AsyncIterator[Served]:
    async with served(million, settings=SETTINGS) as hub:
        yield hub


async def test_every_list_answers_within_100_ms(busy: Served) -> None:
    client = await WireClient.open(busy.port)
    newest = (await client.good("FindJobs", limit=1))["jobs"][0]["id"]
    took = {}
    for name, question in QUESTIONS.items():
        fields = {key: newest if value == "$id" else value for key, value in question.items()}
        times = []
        for _ in range(TRIES):
            start = time.perf_counter()
            await client.good(**fields)
            times.append(time.perf_counter() - start)
        took[name] = min(times)
    await client.close()
    print("took", {name: f"{1000 * s:.1f} ms" for name, s in took.items()})
    assert {name: s for name, s in took.items() if s > WITHIN_S} == {}


async def test_a_search_through_everything_finds_every_job_once_and_holds_nobody(busy: Served) -> None:
    client, other = await WireClient.open(busy.port), await WireClient.open(busy.port)
    longest = 0.0
    searching = True

    async def others_work() -> None:
        nonlocal longest
        while searching:
            start = time.perf_counter()
            await other.good("Ping")
            longest = max(longest, time.perf_counter() - start)

    working = asyncio.create_task(others_work())
    found, scanned, cursor = 0, 0, None
    while True:
        page = await client.good("FindJobs", states=["active"], text="KITCHEN", limit=200, cursor=cursor)
        found, scanned, cursor = found + len(page["jobs"]), scanned + page["scanned"], page["cursor"]
        if cursor is None:
            break
    searching = False
    await working
    await client.close()
    await other.close()
    assert found == JOBS // 100
    assert scanned >= found
    assert longest < WITHIN_S
