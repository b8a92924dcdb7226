"""What a test sees of what Home Assistant keeps for a hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from custom_components.hubqueue.client import HubClient
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.errors import LinkDownError
from custom_components.hubqueue.keeping import KEEPINGS, Keeping
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until


def keeping_of(hass: HomeAssistant, entry: MockConfigEntry) -> Keeping:
    return hass.data[KEEPINGS][entry.entry_id]


def file_of(hass: HomeAssistant, entry: MockConfigEntry) -> Path:
    return Path(hass.config.path(".storage", f"hubqueue.{entry.entry_id}.outbox"))


async def enqueue(hass: HomeAssistant, name: str = "enqueue", /, **fields: Any) -> dict[str, Any]:
    new = {} if name == "get_job" else {"create": True}
    answer = await hass.services.async_call(DOMAIN, name, {**new, **fields}, blocking=True, return_response=True)
    assert answer is not None
    return dict(answer)


async def listed(entry: MockConfigEntry, queue: str) -> list[dict[str, Any]]:
    found = (await entry.runtime_data.client.call("GetJobs", queue=queue, limit=1000))["jobs"]
    return sorted(found, key=lambda job: job["createdAt"])


async def until_sent(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Nothing waits, and the file is gone."""
    kept = keeping_of(hass, entry).outbox
    await until(lambda: kept.waiting == 0 and not file_of(hass, entry).exists(), "all sent, and noted")


async def load_anew(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """As Home Assistant does when it starts, with what is on the disk now."""
    await hass.data[KEEPINGS].pop(entry.entry_id).async_close()
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()


def lose_the_answer(client: HubClient, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[None]]) -> None:
    """The hub takes the next jobs, `then` something happens, and its answer is lost as by a link that breaks."""
    sent = client.call

    async def call(self: HubClient, cmd: str, *given: Any, **fields: Any) -> Any:
        answer = await sent(cmd, *given, **fields)
        if cmd == "PUSHB":
            monkeypatch.undo()
            await then()
            raise LinkDownError("The link went down")
        return answer

    monkeypatch.setattr(HubClient, "call", call)
