"""Automations of a test, as a person would write them, and what becomes of jobs at the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import yaml
from custom_components.hubqueue.errors import HubError
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.setup import async_setup_component

from conftest import Call
from support.waiting import PATIENCE_S, in_time


class Actions:
    """Actions `test.note`, `test.bad`, `test.wait` and what they were called with."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.noted: list[dict[str, Any]] = []
        self.waiting = 0
        self.bad = True
        self.go = asyncio.Event()
        for name, handler in (("note", self._note), ("bad", self._fail), ("wait", self._wait)):
            hass.services.async_register("test", name, handler, supports_response=SupportsResponse.OPTIONAL)

    async def _note(self, call: ServiceCall) -> ServiceResponse:
        self.noted.append(dict(call.data))
        return {"noted": len(self.noted)}

    async def _fail(self, call: ServiceCall) -> ServiceResponse:
        if self.bad:
            raise RuntimeError("it went wrong")
        return await self._note(call)

    async def _wait(self, call: ServiceCall) -> ServiceResponse:
        self.waiting += 1
        await self.go.wait()
        return await self._note(call)


async def automate(hass: HomeAssistant, text: str) -> None:
    """Set automations up, as in automations.yaml. Not until all is done: what they run may wait for the test."""
    assert await async_setup_component(hass, "automation", {"automation": yaml.safe_load(text)})


async def until_at_hub(look: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until the hub says so."""
    try:
        async with in_time():
            while not await look():  # noqa: ASYNC110  the hub is asked, it does not tell
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not seen within {PATIENCE_S:g} s: {what}") from None


async def until_job(call: Call, id: str, **wanted: Any) -> dict[str, Any]:
    """The job, once it is as wanted."""
    job: dict[str, Any] = {}
    try:
        async with in_time():
            while not job or any(job.get(key) != value for key, value in wanted.items()):
                await asyncio.sleep(0.01)
                job = (await call("GetJob", id=id))["job"]
    except TimeoutError:
        seen = {key: job.get(key) for key in (*wanted, "state", "failedReason", "attempts")}
        raise AssertionError(f"the job never was {wanted}, it is {seen}") from None
    return job


async def promote(call: Call, id: str) -> None:
    """Do not wait for the end of a delay, where it is not over anyway."""
    with suppress(HubError):
        await call("Promote", id=id)


@callback
def heard(hass: HomeAssistant, event_type: str) -> list[dict[str, Any]]:
    """Data of the events of a type from now on."""
    events: list[dict[str, Any]] = []
    hass.bus.async_listen(event_type, callback(lambda event: events.append(dict(event.data))))
    return events
