"""The ways to work jobs: an automation, the action `worker` with actions or a script, a worker of the dialog."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from custom_components.hubqueue.const import DOMAIN
from flows import add_subentry
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from conftest import Call

type Steps = list[dict[str, Any]]
type Work = Callable[[Steps], Awaitable[None]]

WAYS = ("trigger", "sequence", "script", "subentry")


def ways(hass: HomeAssistant, loaded: MockConfigEntry, way: str, **options: Any) -> Work:
    """Begin to work the queue "jobs" with these steps."""

    async def trigger(steps: Steps) -> None:
        taking = {"trigger": "hubqueue.job_received", "options": {"queue": "jobs", **options}}
        named = {"variables": {"job": "{{ trigger.job }}"}}
        config = {"id": "take", "alias": "Take", "triggers": [taking], "actions": [named, *steps]}
        assert await async_setup_component(hass, "automation", {"automation": [config]})

    async def worker(**what: Any) -> None:
        call = {"queue": "jobs", "max_jobs": 1000, **what, **options}
        hass.async_create_task(hass.services.async_call(DOMAIN, "worker", call, blocking=True))

    async def sequence(steps: Steps) -> None:
        await worker(sequence=steps)

    async def script(steps: Steps) -> None:
        assert await async_setup_component(hass, "script", {"script": {"work": {"sequence": steps}}})
        await worker(script="script.work")

    async def subentry(steps: Steps) -> None:
        given = {"name": "Worker", "queue": "jobs", "sequence": steps, "concurrency": 1, **options}
        await add_subentry(hass, loaded, "worker", given)

    return {"trigger": trigger, "sequence": sequence, "script": script, "subentry": subentry}[way]


async def reasons(hass: HomeAssistant, call: Call, work: Work, kinds: dict[str, Steps]) -> dict[str, str | None]:
    """How a job of each kind ends: the error of a dead letter, None: completed."""
    pushed = [{"name": name, "maxAttempts": 1} for name in kinds]
    ids = (await call("PUSHB", queue="jobs", jobs=pushed))["ids"]
    choices = [{"conditions": "{{ job.name == '" + name + "' }}", "sequence": steps} for name, steps in kinds.items()]
    await work([{"choose": choices, "default": [{"stop": "no such kind", "error": True}]}])
    ended: dict[str, str | None] = {}
    for name, id in zip(kinds, ids, strict=True):
        job: dict[str, Any] = {}
        while job.get("state") not in ("completed", "failed"):
            job = (await call("WaitJob", id=id, timeout=5000)) and (await call("GetJob", id=id))["job"]
        ended[name] = job["failedReason"] if job["state"] == "failed" else None
    await hass.async_block_till_done()
    return ended
