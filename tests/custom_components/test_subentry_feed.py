"""Entities and events become jobs: which, with what in them, and when the hub is not there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from custom_components.hubqueue import outbox
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.diagnostics import async_get_config_entry_diagnostics
from custom_components.hubqueue.repairs import async_create_fix_flow
from flows import add_subentry, change_subentry, try_subentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_async, until_state

from conftest import Call, hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port

PLAIN: dict[str, Any] = {"filter": {}, "job": {}}


def given(**more: Any) -> dict[str, Any]:
    return {"name": "Readings", "queue": "readings", "target": {"entity_id": ["sensor.t"]}, **PLAIN, **more}


async def jobs(call: Call, count: int, queue: str = "readings") -> list[dict[str, Any]]:
    """So many jobs wait, oldest first."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = (await call("GetJobs", queue=queue, limit=1000))["jobs"]
        return len(found) == count

    await until_async(there, f"{count} jobs in {queue}, there are {len(found)}")
    return found


async def test_a_change_becomes_a_job_with_its_own_time(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await add_subentry(hass, loaded, "feed", given(job={"attributes": ["unit_of_measurement"]}))
    hass.states.async_set("sensor.t", "21.5", {"unit_of_measurement": "°C", "other": 1})
    hass.states.async_set("sensor.u", "1")
    (job,) = await jobs(call, 1)
    state = hass.states.get("sensor.t")
    assert state is not None
    assert job["name"] == "sensor.t"
    assert job["data"] == {
        "entity_id": "sensor.t",
        "state": "21.5",
        "at": state.last_updated.isoformat(),
        "attributes": {"unit_of_measurement": "°C"},
    }
    assert job["createdAt"] == round(state.last_updated.timestamp() * 1000)


async def test_what_the_filter_holds_back_is_not_sent(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    condition = "{{ to_state.state | float(0) > 20 and entity_id == 'sensor.t' }}"
    await add_subentry(hass, loaded, "feed", given(filter={"condition": condition}))
    for state in ("19", "unavailable", "21", "20", "22"):
        hass.states.async_set("sensor.t", state)
    hass.states.async_set("sensor.t", "22", {"new": "attribute"})
    hass.states.async_set("sensor.t", "23")
    hass.states.async_remove("sensor.t")
    assert [job["data"]["state"] for job in await jobs(call, 3)] == ["21", "22", "23"]


async def test_attributes_and_unavailable_can_be_sent_too(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    wanted = {"attribute_changes": True, "unavailable": True}
    await add_subentry(hass, loaded, "feed", given(filter=wanted, job={"attributes": ["all"], "job_name": "reading"}))
    hass.states.async_set("sensor.t", "unavailable")
    hass.states.async_set("sensor.t", "1", {"a": 1})
    hass.states.async_set("sensor.t", "1", {"a": 2, "when": datetime(2026, 1, 1)})
    found = await jobs(call, 3)
    assert [job["data"]["attributes"].get("a") for job in found] == [None, 1, 2]
    assert found[2]["data"]["attributes"]["when"] == "2026-01-01T00:00:00"
    assert {job["name"] for job in found} == {"reading"}


async def test_a_template_that_fails_is_said_once(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    await add_subentry(hass, loaded, "feed", given(filter={"condition": "{{ to_state.state | float > 1 }}"}))
    for state in ("x", "y", "2"):
        hass.states.async_set("sensor.t", state)
    assert [job["data"]["state"] for job in await jobs(call, 1)] == ["2"]
    assert caplog.text.count("no job was made") == 1


async def test_of_a_burst_the_first_and_the_newest_are_sent(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await add_subentry(hass, loaded, "feed", given(filter={"throttle": {"hours": 1}}))
    for state in range(10):
        hass.states.async_set("sensor.t", str(state))
    await hass.async_block_till_done()
    assert [job["data"]["state"] for job in await jobs(call, 1)] == ["0"]
    assert await hass.config_entries.async_reload(loaded.entry_id)  # it goes on listening, and holding back
    await hass.async_block_till_done()
    await jobs(call, 1)
    (subentry_id,) = loaded.subentries
    await change_subentry(hass, loaded, subentry_id, given())  # what is held back goes with its last moment
    assert [job["data"]["state"] for job in await jobs(call, 2)] == ["0", "9"]


async def test_the_newest_of_a_burst_is_sent_when_the_time_is_over(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await add_subentry(hass, loaded, "feed", given(filter={"throttle": {"seconds": 0.05}}))
    for state in range(10):
        hass.states.async_set("sensor.t", str(state))
    await hass.async_block_till_done()
    assert [job["data"]["state"] for job in await jobs(call, 2)][-1] == "9"


async def test_only_the_latest_of_each_entity_waits(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    target = {"entity_id": ["sensor.t", "sensor.u"]}
    job = {"latest": True, "priority": 7, "keep_trying": {"days": 2}, "ttl": {"days": 1}}
    subentry_id = await add_subentry(hass, loaded, "feed", given(target=target, job=job))
    for state in ("1", "2", "3"):
        hass.states.async_set("sensor.t", state)
        hass.states.async_set("sensor.u", state)
    sent = loaded.runtime_data.keeping.feeds.by_id[subentry_id].tally
    await until(lambda: sent.sent == 6, "all sent")
    found = await jobs(call, 2)
    assert {(job["data"]["entity_id"], job["data"]["state"]) for job in found} == {("sensor.t", "3"), ("sensor.u", "3")}
    assert {(job["priority"], job["ttl"], job["keepTrying"]) for job in found} == {(7, 86_400_000, 2 * 86_400_000)}


async def test_an_area_brings_its_entities_also_those_that_come_later(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    area = ar.async_get(hass).async_create("Cellar")
    registry = er.async_get(hass)
    first = registry.async_get_or_create("sensor", "test", "1").entity_id
    registry.async_update_entity(first, area_id=area.id)
    await add_subentry(hass, loaded, "feed", given(target={"area_id": [area.id]}))
    hass.states.async_set(first, "1")
    await hass.async_block_till_done()
    second = registry.async_get_or_create("sensor", "test", "2").entity_id
    registry.async_update_entity(second, area_id=area.id)
    await hass.async_block_till_done()
    hass.states.async_set(second, "1")
    assert [job["name"] for job in await jobs(call, 2)] == [first, second]


async def test_a_feed_does_not_feed_on_itself(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    registry = er.async_get(hass)
    other = registry.async_get_or_create("sensor", "test", "1").entity_id
    await add_subentry(hass, loaded, "feed", given(target={"label_id": ["all"]}))
    for entity_id in (other, "sensor.readings_sent"):
        registry.async_update_entity(entity_id, labels={"all"})
    await hass.async_block_till_done()
    hass.states.async_set(other, "1")
    await until_state(hass, "sensor.readings_sent", "1")  # this change would be the next job
    hass.states.async_set(other, "2")
    await until_state(hass, "sensor.readings_sent", "2")
    assert [job["name"] for job in await jobs(call, 2)] == [other, other]

    changed = given(target={"entity_id": ["sensor.readings_lost"]})  # who names one gets it
    (subentry_id,) = loaded.subentries
    await change_subentry(hass, loaded, subentry_id, changed)
    hass.states.async_set("sensor.readings_lost", "7")

    async def named() -> bool:
        return any(job["name"] == "sensor.readings_lost" for job in (await call("GetJobs", queue="readings"))["jobs"])

    await until_async(named, "a job of the entity that was named")


async def test_events_become_jobs(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    made = {"name": "Buttons", "queue": "readings", "event_types": ["pressed"], **PLAIN}
    made["filter"] = {"condition": "{{ event.data.button == 1 }}"}
    await add_subentry(hass, loaded, "feed", made)
    hass.bus.async_fire("pressed", {"button": 1})
    hass.bus.async_fire("pressed", {"button": 2})
    hass.bus.async_fire("other", {"button": 1})
    (job,) = await jobs(call, 1)
    assert (job["name"], job["data"]["event_type"], job["data"]["data"]) == ("pressed", "pressed", {"button": 1})


async def test_jobs_wait_in_home_assistant_while_the_hub_restarts(hass: HomeAssistant, tmp_path: Path) -> None:
    with hub_process(tmp_path, http_port=free_port()) as hub:
        entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        subentry_id = await add_subentry(hass, entry, "feed", given())
        hub.kill()
        await until_state(hass, "binary_sensor.home_connection", "off")
        for state in range(500):
            hass.states.async_set("sensor.t", str(state))
        await hass.async_block_till_done()
        await until_state(hass, "sensor.readings_buffered", "500")
        hub.start()
        await until_state(hass, "sensor.readings_buffered", "0")
        await until_state(hass, "sensor.readings_sent", "500")
        found = await entry.runtime_data.client.call("GetJobs", queue="readings", limit=1000)
        assert [job["data"]["state"] for job in found["jobs"]] == [str(state) for state in range(500)]
        assert entry.runtime_data.keeping.outbox.errors() == {}
        assert entry.runtime_data.keeping.feeds.by_id[subentry_id].tally.lost == 0
        await hass.config_entries.async_unload(entry.entry_id)


async def test_the_oldest_go_when_there_is_no_room_and_a_repair_says_so(
    hass: HomeAssistant, hub: HubProcess, call: Call, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST_ENTRIES", 3)
    subentry_id = await add_subentry(hass, loaded, "feed", given())
    kept = loaded.runtime_data.keeping.feeds.by_id[subentry_id].tally
    for state in range(10):  # in one go: nothing can be sent in between
        hass.states.async_set("sensor.t", str(state))
    await until(lambda: kept.sent == 3, "three sent")
    assert [job["data"]["state"] for job in await jobs(call, 3)] == ["7", "8", "9"]
    assert kept.dropped == 7
    issue_id = f"overflow_{loaded.entry_id}_{subentry_id}"
    await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is not None, issue_id)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["count"] == "7"
    diagnostics = await async_get_config_entry_diagnostics(hass, loaded)
    assert diagnostics["feeds"][0]["dropped"] == 7
    assert await hass.config_entries.async_reload(loaded.entry_id)  # the count is kept
    flow = await async_create_fix_flow(hass, issue_id, issue.data)
    flow.hass, flow.flow_id, flow.handler = hass, "x", DOMAIN
    assert (await flow.async_step_init())["type"] == "form"
    assert (await flow.async_step_confirm({}))["type"] == "create_entry"
    await until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is None, "no issue")


async def test_one_job_that_the_hub_never_takes_stops_nobody(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    subentry_id = await add_subentry(hass, loaded, "feed", given(job={"attributes": ["all"]}))
    kept = loaded.runtime_data.keeping.feeds.by_id[subentry_id].tally
    hass.states.async_set("sensor.t", "1")
    hass.states.async_set("sensor.t", "2", {"large": "x" * (outbox.LARGEST_READING + 1)})
    bad = b'{"customId": "once:1", "name": "", "data": 1}'  # a name that no hub takes
    loaded.runtime_data.keeping.outbox.offer("readings", subentry_id, bad)
    hass.states.async_set("sensor.t", "3")
    await until(lambda: kept.sent == 2 and kept.refused == 2, "two sent, two refused")
    assert [job["data"]["state"] for job in await jobs(call, 2)] == ["1", "3"]


async def test_a_feed_is_changed_and_goes_with_its_device(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    subentry_id = await add_subentry(hass, loaded, "feed", given())
    devices = dr.async_get(hass)
    mine = dr.async_entries_for_config_entry(devices, loaded.entry_id)
    (device,) = [each for each in mine if subentry_id in str(each.identifiers)]
    assert device.config_subentry_id == subentry_id
    changed = await change_subentry(hass, loaded, subentry_id, given(name="Others", queue="others"))
    assert changed["reason"] == "reconfigure_successful"
    assert loaded.subentries[subentry_id].title == "Others"
    hass.states.async_set("sensor.t", "1")
    await jobs(call, 1, "others")
    hass.config_entries.async_remove_subentry(loaded, subentry_id)
    await hass.async_block_till_done()
    assert devices.async_get(device.id) is None
    assert not loaded.runtime_data.keeping.feeds.by_id
    hass.states.async_set("sensor.t", "2")
    await hass.async_block_till_done()
    await jobs(call, 1, "others")


async def test_what_is_missing_is_said(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    nothing = await try_subentry(hass, loaded, "feed", {"name": "x", "queue": "a b", **PLAIN})
    assert nothing["errors"] == {"base": "nothing_chosen", "queue": "invalid_queue"}
    subentry_id = await add_subentry(hass, loaded, "feed", given())
    nothing = await change_subentry(hass, loaded, subentry_id, {"name": "x", "queue": "a", **PLAIN})
    assert nothing["errors"] == {"base": "nothing_chosen"}


async def test_a_hub_without_room_is_asked_again(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    subentry_id = await add_subentry(hass, loaded, "feed", given())
    kept = loaded.runtime_data.keeping.outbox
    await call("PUSH", queue="readings", data=0, groupId="g", groupMaxSize=1)
    full = b'{"customId": "once:1", "data": 1, "groupId": "g", "groupMaxSize": 1}'
    kept.offer("readings", subentry_id, full)
    kept.offer("others", subentry_id, b'{"customId": "once:2", "data": 2}')
    await until(lambda: kept.errors() == {"readings": "queue_full"}, "refused")
    await jobs(call, 1, "others")  # a queue that is full stops no other
    await call("Drain", queue="readings")
    await until(lambda: kept.tallies[subentry_id].sent == 2, "sent")
    assert [job["data"] for job in await jobs(call, 1)] == [1]
    assert caplog.text.count("jobs wait in Home Assistant queue=readings code=queue_full") == 1
