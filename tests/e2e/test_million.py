"""A million jobs in the file: every list and every overview is little work, and no step holds the hub long."""

from __future__ import annotations

import asyncio
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
from support.steps import Steps
from support.wire import WireClient

MAX_STEPS: Final = 400_000  # 20 ms of a slow core
SEARCH_STEPS: Final = 50_000  # of one page
# a step or two for each waiting job with a priority (rule 21 knows no other way): 100 ms, in two transactions
WHOLE: Final = dict.fromkeys(("counts per priority", "dashboard of one"), 2_200_000)
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
    "by tags there are not": {"cmd": "FindJobs", "tags": ["unheard", "never"]},
    "by a tag in a queue": {"cmd": "GetJobs", "queue": "big", "tags": ["unheard"], "limit": 10_000},
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
            await hub.maintenance.stop()
            await hub.run(lambda tx: fill(tx, hub.now_ms()))
            await hub.sync()

    asyncio.run(make())
    return path


@pytest.fixture
async def busy(million: Path) -> AsyncIterator[Served]:
    async with served(million, settings=SETTINGS) as hub:
        yield hub


async def test_every_list_is_little_work(busy: Served) -> None:
    client = await WireClient.open(busy.port)
    newest = (await client.good("FindJobs", limit=1))["jobs"][0]["id"]
    made = {}
    with Steps(busy.hub) as steps:
        for name, question in QUESTIONS.items():
            fields = {key: newest if value == "$id" else value for key, value in question.items()}
            steps.clear()
            await client.good(**fields)
            made[name] = steps.total
    await client.close()
    assert {name: count for name, count in made.items() if count > WHOLE.get(name, MAX_STEPS)} == {}, made


async def test_a_search_through_everything_finds_every_job_once_and_holds_nobody(busy: Served) -> None:
    client = await WireClient.open(busy.port)
    found, scanned, cursor = 0, 0, None
    with Steps(busy.hub) as steps:
        while True:
            page = await client.good("FindJobs", states=["active"], text="KITCHEN", limit=200, cursor=cursor)
            found, scanned, cursor = found + len(page["jobs"]), scanned + page["scanned"], page["cursor"]
            if cursor is None:
                break
    await client.close()
    assert found == JOBS // 100
    assert scanned >= found
    assert steps.most <= SEARCH_STEPS
