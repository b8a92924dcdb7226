"""Options of the wrong type, size or shape are refused as they are said, near and far: nothing that could not be read
again is stored."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

import hubqueue
from hubqueue.client.local import LocalHub
from hubqueue.errors import Invalid
from hubqueue.hub.verbs import schedule
from hubqueue.model.retry import Backoff
from hubqueue.model.schedule import Schedule
from support.served import served

HALF: Final = "\ud800"  # half a character, which no text of SQLite or MessagePack holds
WRONG_OF_JOBS: Final[list[dict[str, Any]]] = [
    {"dedup": hubqueue.dedup(5)},  # type: ignore[arg-type]
    {"dedup": hubqueue.dedup("")},
    {"dedup": hubqueue.dedup("k", extend="yes")},  # type: ignore[arg-type]
    {"dedup": hubqueue.dedup("k", replace=1)},  # type: ignore[arg-type]
    {"dedup": hubqueue.dedup(HALF)},
    {"backoff": Backoff("weird", 1)},  # type: ignore[arg-type]
    {"backoff": hubqueue.fixed(1, jitter=math.nan)},
    {"backoff": "5s"},
    {"tags": [HALF]},
    {"group": HALF},
    {"id": HALF},
    {"depends_on": [HALF]},
    {"parent": ("", "")},
    {"parent": ("no queue", "x")},
    {"parent": ("q", "")},
    {"parent": ("q", HALF)},
    {"lifo": 1},
    {"priority": 1.0},
    {"attempts": True},
]
WRONG_OF_SCHEDULES: Final[list[dict[str, Any]]] = [
    {"limit": 0},
    {"limit": -1},
    {"limit": True},
    {"limit": 1.5},
    {"limit": 2**70},
    {"key": 5},
    {"key": HALF},
    {"every": None, "cron": 5},
    {"every": None, "cron": "* " * 4000},
    {"timezone": b"UTC"},
    {"timezone": ""},
    {"timezone": HALF},
    {"immediately": 1},
    {"overlap": "no"},
    {"skip_missed": None},
    {"worker_only": 0},
    {"group": "g", "priority": -1},
    {"id": "x"},
]


@pytest.fixture(params=["embedded", "tcp"])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[hubqueue.Queue]:
    if request.param == "embedded":
        async with hubqueue.open(tmp_path / "hub.db") as near:
            yield near.queue("q")
    else:
        async with served(tmp_path / "hub.db") as there, hubqueue.Client(there.url) as far:
            yield far.queue("q")


@pytest.mark.parametrize("wrong", WRONG_OF_JOBS, ids=ascii)
async def test_a_job_with_a_wrong_option_is_refused(queue: hubqueue.Queue, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await queue.add("n", {}, **wrong)
    assert (await queue.counts()).waiting == 0


@pytest.mark.parametrize("wrong", WRONG_OF_SCHEDULES, ids=ascii)
async def test_a_schedule_with_a_wrong_setting_is_refused(queue: hubqueue.Queue, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await queue.upsert_schedule(**{"key": "s", "every": 3600, **wrong})
    with pytest.raises(hubqueue.errors.NotFound):
        await queue.delete_schedule("s")


async def test_every_setting_of_a_schedule_comes_in(tmp_path: Path) -> None:
    said: dict[str, Any] = {"overlap": True, "skip_missed": False, "worker_only": True, "immediately": True, "limit": 3}
    found: list[Schedule] = []
    async with served(tmp_path / "far.db") as there, hubqueue.Client(there.url) as far:
        await far.queue("q").upsert_schedule("s", cron="0 6 1 1 *", timezone="Europe/Berlin", **said)
        found += await there.hub.run(schedule.every)
    async with hubqueue.open(tmp_path / "near.db") as near:
        await near.queue("q").upsert_schedule("s", cron="0 6 1 1 *", timezone="Europe/Berlin", **said)
    async with await LocalHub.open(tmp_path / "near.db") as hub:
        found += await hub.run(schedule.every)
    for each in found:
        assert {name: getattr(each, name) for name in said} == said, each
    assert len(found) == 2
