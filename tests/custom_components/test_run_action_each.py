"""run_action for several entities: each is done once, now or when it can be reached."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from automations import promote, until_at_hub, until_job
from custom_components.hubqueue import attempt, comebacks, entity_services
from custom_components.hubqueue.const import ACTIONS_QUEUE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.setup import async_setup_component
from lamps import Lamps
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_state
from targets import failed, progress, run, two_lamps

from conftest import Call
from support.hub_process import HubProcess


@pytest.fixture
async def lamps(hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch) -> Lamps:
    return await two_lamps(hass, monkeypatch)


async def test_one_that_is_away_does_not_hold_the_others_back(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on")
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    assert lamps.calls("one") == ["turn_on"]
    assert await progress(call, id) == {"light.one": "done", "light.two": "light.two is not available"}
    job = (await call("GetJob", id=id))["job"]
    assert job["progress"] == 50
    await lamps.be("off", "one")  # somebody wants it dark again: what is done is not done again
    await lamps.be("off", "two")
    await promote(call, id)
    job = await until_job(call, id, state="completed", attempts=1)
    assert job["returnvalue"] == {"done": ["light.one", "light.two"]}
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on"])


async def test_one_that_fails_is_tried_again_alone(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("off", "two")
    lamps.errors["one"] = RuntimeError("no route")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    assert await failed(call, id) == "light.one: no route (done: light.two)"
    lamps.errors.clear()
    await promote(call, id)
    await until_job(call, id, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on", "turn_on"], ["turn_on"])


async def test_those_that_are_there_are_told_at_once(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("off", "two")
    lamps.go.clear()
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until(lambda: len(lamps.told) == 2, "both")
    lamps.go.set()
    await until_job(call, id, state="completed", attempts=0)


async def test_the_state_and_success_are_of_each(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("off", "two")
    lamps.works = False
    success = "is_state(entity_id.replace('light', 'sensor'), '1')"
    hass.states.async_set("sensor.two", "1")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, success=success, success_within=0)
    assert await failed(call, id) == f"light.one: not so: {success} (done: light.two)"
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on", success_within=0)
    assert await failed(call, id) == "light.one is off, not on; light.two is off, not on"
    await lamps.be("on", "one")
    await promote(call, id)
    assert await failed(call, id, 2) == "light.two is off, not on (done: light.one)"


async def test_what_is_done_is_noted_while_others_are_waited_for(
    hass: HomeAssistant, call: Call, lamps: Lamps, loaded: MockConfigEntry
) -> None:
    """And not done again when the run was broken off."""
    await lamps.be("off", "two")
    lamps.errors["two"] = RuntimeError("no route")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, success="is_state(entity_id, 'on')")
    await until_job(call, id, state="delayed")
    lamps.told.clear()
    lamps.errors.clear()
    lamps.works = False
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on", success_within=3600)
    await until(lambda: len(lamps.told) == 2, "told")
    await lamps.be("on", "one")

    async def noted() -> bool:
        return (await progress(call, id)).get("light.one") == "done"

    await until_at_hub(noted, "noted")
    assert (await progress(call, id))["light.two"] == "light.two is being done"
    await until_job(call, id, state="active")
    await lamps.be("off", "one")
    lamps.works = True
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await until_job(call, id, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on", "turn_on"])


async def test_a_note_that_is_not_ours_is_none(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    await lamps.be("unavailable", "one")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until_job(call, id, state="delayed", attempts=1)
    data = (await call("GetJob", id=id))["job"]["data"]
    forged = json.dumps({"done": {"light.one": er.async_get(hass).async_get("light.one").id}, "id": id})  # type: ignore[union-attr]
    await lamps.be("off", "one")
    for attempts, bad in enumerate(({"noted": forged}, {"noted": 7}, {"noted_signature": None}, {"noted": "{}"}), 1):
        await call("Update", id=id, data={**data, **bad, "progress": {"light.one": "done"}})
        await promote(call, id)
        await until_job(call, id, state="delayed", attempts=attempts + 1)
        assert lamps.calls("one") == ["turn_on"] * attempts
    other = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until_job(call, other, state="delayed", attempts=1)
    theirs = (await call("GetJob", id=other))["job"]["data"]
    note = {key: theirs[key] for key in ("noted", "noted_signature")}
    await call("Update", id=id, data={**data, **note})  # of another job
    await promote(call, id)
    await until_job(call, id, state="delayed", attempts=6)
    assert lamps.calls("one") == ["turn_on"] * 6


async def test_a_newer_call_ends_what_waits_of_an_older_one(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    lamps.go.clear()
    both = {"entity_id": ["light.one", "light.two"]}
    first = await run(hass, both, supersede="yard")
    await until(lambda: len(lamps.told) == 1, "the first runs")
    second = await run(hass, both, "light.turn_off", supersede="yard")
    lamps.go.set()
    job = await until_job(call, first, state="completed")
    assert job["returnvalue"] == {"superseded": True, "done": ["light.one"]}
    assert await failed(call, second) == "light.two is not available (done: light.one)"
    await lamps.be("on", "two")
    await promote(call, second)
    await until_job(call, second, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on", "turn_off"], ["turn_off"])


async def test_a_dead_letter_says_who_was_done(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, keep_trying=2)
    job = await until_job(call, id, state="failed", reason="ttl_expired")
    assert job["failedReason"] == "light.two is not available (done: light.one)"
    await lamps.be("off", "two")
    await call("RetryDlq", queue=ACTIONS_QUEUE, jobId=id)
    await until_job(call, id, state="completed")
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on"])


async def test_an_action_for_all_at_once_is_called_once(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """As Home Assistant's batched actions are."""
    batches: list[list[str]] = []

    async def paint(entities: list[Any], _: Any) -> None:
        batches.append(sorted(each.entity_id for each in entities))

    hass.data[DATA_INSTANCES]["light"].async_register_batched_entity_service("paint", {}, paint)
    await lamps.be("off", "two")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, "light.paint")
    await until_job(call, id, state="completed")
    assert batches == [["light.one", "light.two"]]
    await lamps.be("unavailable", "two")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, "light.paint")
    assert await failed(call, id) == "light.two is not available (done: light.one)"


async def test_one_that_comes_back_is_done_at_once(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """Its back-off is ten minutes here."""
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on")
    await until_job(call, id, state="delayed", attempts=1)
    await lamps.be("off", "two")
    await until_job(call, id, state="completed", attempts=1)


async def test_one_that_has_come_back_while_home_assistant_was_away_is_done_at_once_too(
    hass: HomeAssistant, call: Call, lamps: Lamps, loaded: MockConfigEntry
) -> None:
    """Jobs of others in the queue wait on."""
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until_job(call, id, state="delayed", attempts=1)
    other = (await call("PUSH", queue=ACTIONS_QUEUE, name="other", delay=600_000))["id"]
    assert await hass.config_entries.async_unload(loaded.entry_id)
    await lamps.be("off", "two")
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await until_job(call, id, state="completed", attempts=1)
    await until_job(call, other, state="delayed", attempts=0)


async def test_one_that_comes_back_while_another_is_tried_is_done_at_once_too(
    hass: HomeAssistant, call: Call, lamps: Lamps
) -> None:
    lamps.go.clear()
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    await until(lambda: lamps.calls("one") == ["turn_on"], "one is told")
    await lamps.be("off", "two")
    lamps.go.set()
    await until_job(call, id, state="completed", attempts=1)
    assert (lamps.calls("one"), lamps.calls("two")) == (["turn_on"], ["turn_on"])


async def test_one_that_comes_back_while_the_hub_is_away_is_done_when_the_hub_is_there(
    hass: HomeAssistant, own: HubProcess, home: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await hass.config_entries.async_setup(home.entry_id)
    lamps = await two_lamps(hass, monkeypatch)
    monkeypatch.setattr(comebacks, "SETTLE_S", 0.01)
    client = home.runtime_data.client
    id = await run(hass, {"entity_id": "light.two"})
    await until_job(client.call, id, state="delayed", attempts=1)
    own.kill()
    await until(lambda: not client.connected, "away")
    await lamps.be("off", "two")
    await asyncio.sleep(10 * comebacks.SETTLE_S)
    own.start()
    await until(lambda: client.connected, "there")
    await until_job(client.call, id, state="completed", attempts=1)


async def test_calls_that_are_remembered_are_bounded(
    hass: HomeAssistant, call: Call, lamps: Lamps, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comebacks, "MOST", 2)
    ids = [await run(hass, {"entity_id": "light.two"}) for _ in range(3)]
    for id in ids:
        await until_job(call, id, state="delayed")
    waiting = loaded.runtime_data.calls._comebacks._waiting
    await until(lambda: len(waiting) == 2, "two are remembered")
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert not waiting
    await lamps.be("off", "two")


async def test_one_that_hangs_does_not_hold_the_others_back(
    hass: HomeAssistant, call: Call, lamps: Lamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "CALL_S", 0.2)
    await lamps.be("off", "two")
    lamps.hang = {"two"}
    lamps.go.clear()
    id = await run(hass, {"entity_id": ["light.one", "light.two"]})
    assert await failed(call, id) == "light.two: it did not end within 0.2 s (done: light.one)"
    lamps.go.set()


async def test_one_that_goes_away_without_a_word_has_not_done_it(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    """Integrations that catch every error do so. A button that restarts its device has worked."""
    await lamps.be("off", "two")
    lamps.breaks = {"two": "light.two", "button": "button.restart"}
    press = [{"action": "test.lamp", "data": {"lamp": "button", "service": "press"}}]
    there = "{{ not is_state('test.button', 'unavailable') }}"
    hass.states.async_set("test.button", "on")
    button = {"name": "restart", "press": press, "availability": there}
    assert await async_setup_component(hass, "button", {})
    made = MockConfigEntry(domain="template", title="restart", options={"template_type": "button", **button})
    made.add_to_hass(hass)
    assert await hass.config_entries.async_setup(made.entry_id)
    await until_state(hass, "button.restart", "unknown")
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, success_within=0)
    assert await failed(call, id) == "light.two is not available (done: light.one)"
    id = await run(hass, {"entity_id": "button.restart"}, "button.press", success_within=0)
    await until_job(call, id, state="completed", attempts=0)
    await until_state(hass, "button.restart", "unavailable")
    assert lamps.calls("button") == ["press"]


NAMES = ("one", "two", "three", "four", "five")


@pytest.mark.parametrize("seed", range(3))
async def test_whoever_is_away_or_fails_each_is_done_once(
    hass: HomeAssistant, loaded: MockConfigEntry, seed: int
) -> None:
    """Lamps that come, go and fail by chance, named in any way, are told until they have done it, and not again."""
    chance = random.Random(seed)
    lamps = Lamps(hass)
    await lamps.make(*NAMES)
    areas = {name: ar.async_get(hass).async_create(name).id for name in NAMES}
    for name, area in areas.items():
        er.async_get(hass).async_update_entity(f"light.{name}", area_id=area)
    for _ in range(25):
        lamps.told.clear()
        meant = chance.sample(NAMES, chance.randint(1, len(NAMES)))
        by_area = [name for name in meant if chance.random() < 0.5]
        target = {
            "area_id": [areas[name] for name in by_area],
            "entity_id": [f"light.{name}" for name in meant if name not in by_area or chance.random() < 0.3],
        }
        call = {"action": "light.turn_on", "data": {}, "target": target, "success_within_s": 0}
        done: dict[str, str] = {}
        did: set[str] = set()
        while len(did) < len(meant):
            for name in NAMES:
                await lamps.be(chance.choice(("unavailable", "off", "on")), name)
            lamps.errors = {name: RuntimeError("no route") for name in NAMES if chance.random() < 0.3}
            before = len(lamps.told)
            tried = attempt.Attempt(hass, call | {"ids": {}, "user_id": None}, done)
            there = {name for name in meant if not hass.states.is_state(f"light.{name}", "unavailable")}
            await tried.run()
            now = there - did
            assert sorted(each.lamp for each in lamps.told[before:]) == sorted(now)
            did |= now - set(lamps.errors)
            done = tried.done
            assert set(done) == {f"light.{name}" for name in did}
            assert set(tried.waits) == {f"light.{name}" for name in set(meant) - did}


async def test_a_home_assistant_that_is_not_known_does_all_at_once(
    hass: HomeAssistant, call: Call, lamps: Lamps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entity_services, "ONE_BY_ONE", None)
    entity_services.look_for_them()
    assert "this version of Home Assistant is not known" in caplog.text
    id = await run(hass, {"entity_id": ["light.one", "light.two"]}, state="on")
    assert await failed(call, id) == "light.two is not available"
    await lamps.be("off", "two")
    await promote(call, id)
    await until_job(call, id, state="completed")


def test_what_is_told_is_bounded() -> None:
    assert attempt._some([str(n) for n in range(30)], ", ").endswith("19 and 10 more")
