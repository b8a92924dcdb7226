"""A call of run_action that somebody has snoozed waits for its time, whoever comes back or ends before."""

from __future__ import annotations

from typing import Any

import pytest
from automations import until_job
from custom_components.hubqueue.const import DOMAIN
from homeassistant.core import HomeAssistant
from lamps import Lamps
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until
from targets import run, two_lamps

from conftest import Call

ONE: dict[str, Any] = {"target": {"entity_id": "light.one"}, "keep_trying": 86_400, "group": "g"}
TWO: dict[str, Any] = {"target": {"entity_id": "light.two"}, "keep_trying": 86_400}


@pytest.fixture
async def lamps(hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Lamps:
    return await two_lamps(hass, monkeypatch)


async def snoozed(hass: HomeAssistant, call: Call, id: str) -> float:
    """Snooze it for longer than any back-off here; when it is due."""
    await hass.services.async_call(DOMAIN, "snooze", {"id": id, "delay": 7200}, blocking=True)
    return float((await call("GetJob", id=id))["job"]["runAt"])


async def until_tried(entry: MockConfigEntry) -> None:
    """Nothing is about to be tried any more."""
    await until(lambda: not entry.runtime_data.calls._comebacks._trying, "tried")


async def test_an_entity_that_is_back_does_not_end_a_snooze(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, lamps: Lamps
) -> None:
    id, other = await run(hass, **TWO), await run(hass, **TWO)
    for each in (id, other):
        await until_job(call, each, state="delayed", attempts=1)
    run_at = await snoozed(hass, call, id)
    await lamps.be("off", "two")
    await until_job(call, other, state="completed", attempts=1)
    await until_tried(loaded)
    await until_job(call, id, state="delayed", attempts=1, runAt=run_at)
    assert lamps.calls("two") == ["turn_on"]


async def test_a_start_does_not_end_a_snooze(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, lamps: Lamps
) -> None:
    """Neither does it leave a call waiting that is behind an earlier one of its group."""
    id, first = await run(hass, **TWO), await run(hass, **TWO, group="g")
    for each in (id, first):
        await until_job(call, each, state="delayed", attempts=1)
    behind, late = await run(hass, **ONE), await run(hass, **ONE)
    for each in (behind, late):
        await until_job(call, each, state="delayed", attempts=0)
    run_at, late_at = await snoozed(hass, call, id), await snoozed(hass, call, late)
    assert await hass.config_entries.async_unload(loaded.entry_id)
    await lamps.be("off", "two")
    assert await hass.config_entries.async_setup(loaded.entry_id)
    for each in (first, behind):
        await until_job(call, each, state="completed")
    await until_tried(loaded)
    await until_job(call, id, state="delayed", runAt=run_at)
    await until_job(call, late, state="delayed", runAt=late_at)


async def test_an_earlier_call_that_has_ended_does_not_end_a_snooze(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, lamps: Lamps
) -> None:
    first = await run(hass, **TWO, group="g")
    await until_job(call, first, state="delayed", attempts=1)
    behind, late = await run(hass, **ONE), await run(hass, **ONE)
    for each in (behind, late):
        await until_job(call, each, state="delayed", attempts=0)
    run_at = await snoozed(hass, call, late)
    await lamps.be("off", "two")
    for each in (first, behind):
        await until_job(call, each, state="completed")
    await until_tried(loaded)
    await until_job(call, late, state="delayed", attempts=0, runAt=run_at)
    assert lamps.calls("one") == ["turn_on"]
