"""Whose calls are done: those of this Home Assistant, each once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from automations import until_job
from custom_components.hubqueue import seal
from custom_components.hubqueue.const import ACTIONS_QUEUE
from custom_components.hubqueue.seal import async_seal
from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store
from lamps import Garden, run
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until

from conftest import Call

QUEUE = ACTIONS_QUEUE


async def test_a_call_that_was_not_put_there_by_us_is_not_done(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    id = await run(hass)
    await until_job(call, id, state="completed")
    data = (await call("GetJob", id=id))["job"]["data"]
    forged = {**data, "sealed": data["sealed"].replace("turn_on", "turn_off")}
    for bad in (forged, data):  # changed, or repeated under another id
        other = (await call("PUSH", queue=QUEUE, name="light.turn_on", data=bad, maxAttempts=5))["id"]
        job = await until_job(call, other, state="failed")
        assert job["failedReason"] == "this call was not put here by Home Assistant"
    assert len(lamp.told) == 1


async def test_a_call_that_is_put_there_again_is_not_done_again(
    hass: HomeAssistant, call: Call, lamp: Garden, loaded: MockConfigEntry
) -> None:
    """By somebody who may read and enqueue. Whoever may run jobs again can have it done again."""
    done = await until_job(call, await run(hass), state="completed")
    kept = await async_seal(hass)
    sealed = kept.open(done["data"], done["id"])
    assert sealed is not None
    data = kept.close(sealed, "a")  # the hub remembers ids as ours are for a while
    for options in ({}, {"keepTrying": 60_000}, {"ttl": 60_000}, {"timestamp": 1}):
        await call("PUSH", queue=QUEUE, jobId="a", name="light.turn_on", data=data, **options)
        await until_job(call, "a", state="completed", returnvalue={"done": ["light.garden"]})
        assert await hass.config_entries.async_reload(loaded.entry_id)
        await call("Obliterate", queue=QUEUE)
    assert lamp.calls("garden") == ["turn_on"] * 2
    id = await run(hass)
    await until_job(call, id, state="completed")
    await call("RetryCompleted", queue=QUEUE, id=id)
    await until(lambda: len(lamp.told) == 4, "done again")


async def test_calls_that_are_done_are_remembered_within_bounds(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "REMEMBERED", 2)
    kept = await async_seal(hass)
    for id in ("a", "b", "a", "c"):
        kept.remember(id, None)
    assert list(kept.ended) == ["a", "c"]


async def test_a_call_of_another_home_is_left_to_it(hass: HomeAssistant, call: Call, lamp: Garden) -> None:
    await run(hass)
    await until(lambda: len(lamp.told) == 1, "ours is done")
    for data in ({"home": "other", "sealed": "{}", "signature": ""}, "nonsense", None):
        id = (await call("PUSH", queue=QUEUE, name="light.turn_on", data=data, maxAttempts=1))["id"]
        await until_job(call, id, state="delayed", attempts=0)
    assert len(lamp.told) == 1


async def test_two_hubs_that_begin_at_once_have_one_secret(
    hass: HomeAssistant, hass_storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Store.async_load

    async def from_a_disk(store: Store[Any]) -> Any:
        found = await load(store)
        await asyncio.sleep(0)
        return found

    monkeypatch.setattr(Store, "async_load", from_a_disk)
    seals = await asyncio.gather(*(async_seal(hass) for _ in range(2)))
    data = seals[0].close({"action": "light.turn_on"}, "j1")
    hass.data.pop(seal.STORE)
    again = await async_seal(hass)
    assert again.open(data, "j1") is not None
    assert again.open(seals[1].close({"action": "light.turn_on"}, "j2"), "j2") is not None


async def test_the_secret_outlives_a_restart(
    hass: HomeAssistant, call: Call, lamp: Garden, hass_storage: dict[str, Any]
) -> None:
    await lamp.be("unavailable")
    id = await run(hass)
    await until_job(call, id, state="delayed")
    assert hass_storage["hubqueue.actions"]["data"]["secret"]
    hass.data.pop(seal.STORE)
    secret = await async_seal(hass)
    data = (await call("GetJob", id=id))["job"]["data"]
    assert secret.is_ours(data)
    opened = secret.open(data, id)
    assert opened is not None
    assert opened["action"] == "light.turn_on"
