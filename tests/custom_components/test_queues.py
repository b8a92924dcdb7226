"""A name that nobody knows makes no queue, and one that somebody knows is taken, whoever that is."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from automations import automate
from custom_components.hubqueue import async_remove_config_entry_device
from custom_components.hubqueue.actions import ACTIONS
from custom_components.hubqueue.const import ACTIONS_QUEUE, ATTR_QUEUE, DOMAIN
from custom_components.hubqueue.queues import pattern_of
from flows import add_subentry
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator
from seen import until_async, until_state
from test_llm import ask

from conftest import Call, hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port

# What each action that is for a queue takes besides.
MORE: dict[str, dict[str, Any]] = {
    "enqueue": {},
    "enqueue_many": {"jobs": [{"data": 1}]},
    "run_action": {"action": "test.note"},
    "worker": {"sequence": []},
    "list_jobs": {},
    "retry": {},
    "purge": {"what": "waiting"},
    "pause": {},
    "resume": {},
    "try_now": {},
    "delete_queue": {"force": True},
}
MAKING = ("enqueue", "enqueue_many", "run_action")


async def act(hass: HomeAssistant, action: str, /, **fields: Any) -> Any:
    answers = hass.services.supports_response(DOMAIN, action).value == "only"
    return await hass.services.async_call(DOMAIN, action, fields, blocking=True, return_response=answers)


def devices(hass: HomeAssistant, entry: MockConfigEntry) -> list[dr.DeviceEntry]:
    return dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)


async def queues(call: Call) -> list[str]:
    found: list[str] = (await call("ListQueues"))["queues"]
    return sorted(found)


def test_every_action_for_a_queue_is_here() -> None:
    of_queues = {name for name, action in ACTIONS.items() if ATTR_QUEUE in {str(key) for key in action.fields}}
    assert MORE.keys() == {*of_queues, "worker", "run_action"}


@pytest.mark.parametrize("action", MORE)
async def test_a_typo_makes_no_queue(hass: HomeAssistant, call: Call, loaded: MockConfigEntry, action: str) -> None:
    await call("PUSH", queue="lights", data=1)
    await until_state(hass, "sensor.lights_waiting", "1")
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, action, queue="ligths", **MORE[action])
    said = str(refused.value)
    assert said.startswith("There is no queue ligths. Did you mean lights?")
    assert ("create: true" in said) is (action in MAKING)
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, action, queue="something.else", **MORE[action])
    assert str(refused.value).startswith("There is no queue something.else")
    assert "Did you mean" not in str(refused.value)
    assert await queues(call) == ["lights"]
    assert (await call("GetJobCounts", queue="lights"))["counts"]["waiting"] == 1


@pytest.mark.parametrize("action", MAKING)
async def test_a_new_queue_is_made_on_purpose(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, action: str
) -> None:
    await act(hass, action, queue="brand.new", create=True, **MORE[action])
    assert await queues(call) == ["brand.new"]
    await act(hass, action, queue="brand.new", **MORE[action])


async def test_one_that_somebody_made_a_moment_ago_is_known(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    loaded.runtime_data.client.on_summaries = None  # it hears nothing of it
    await call("PUSH", queue="fresh", data=1)
    await act(hass, "enqueue", queue="fresh")
    assert (await call("GetJobCounts", queue="fresh"))["counts"]["waiting"] == 2


async def test_those_that_are_not_shown_are_known_too(hass: HomeAssistant, call: Call, entry: MockConfigEntry) -> None:
    hass.config_entries.async_update_entry(entry, options={"queues": ["mail"], "dead_letters": 1})
    for queue in ("mail", "hidden"):
        await call("PUSH", queue=queue, data=1)
    assert await hass.config_entries.async_setup(entry.entry_id)
    asked: list[str] = []
    client = entry.runtime_data.client
    connection, real = client._connection, client._connection.call

    async def noted(cmd: str, *args: Any, **fields: Any) -> Any:
        asked.append(cmd)
        return await real(cmd, *args, **fields)

    connection.call = noted
    await act(hass, "enqueue", queue="hidden")
    assert asked == ["PUSHB"]  # the usual way costs no question
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_automation_names_the_queue_that_it_works(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await automate(
        hass,
        """
        - id: take
          alias: Take
          triggers: [{trigger: hubqueue.job_received, options: {queue: parcels}}]
          actions: [{delay: 0}]
        """,
    )
    await act(hass, "pause", queue="parcels")
    await act(hass, "enqueue", queue="parcels")
    assert await queues(call) == ["parcels"]
    await call("Obliterate", queue="parcels")
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.take"}, blocking=True)

    async def refused() -> bool:
        try:
            await act(hass, "pause", queue="parcels")
        except ServiceValidationError:
            return True
        await call("Obliterate", queue="parcels")
        return False

    await until_async(refused, "nobody names it any more")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("feed", {"name": "F", "event_types": ["go"], "filter": {}, "job": {}}),
        ("worker", {"name": "W", "sequence": [{"delay": 1}], "concurrency": 1}),
        ("uplink", {"to": "tcp://127.0.0.1:9", "schedule": {}, "more": {"test": False}}),
    ],
)
async def test_what_is_set_up_here_names_its_queue(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, kind: str, given: dict[str, Any]
) -> None:
    await add_subentry(hass, loaded, kind, {"queue": "readings", **given})
    await act(hass, "enqueue", queue="readings")
    with pytest.raises(ServiceValidationError, match="Did you mean readings"):
        await act(hass, "enqueue", queue="reading")


async def test_the_queue_of_a_forwarder_is_known(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("ForwarderPut", name="up", queue="outbound", to="tcp://127.0.0.1:9")
    await loaded.runtime_data.coordinator.async_refresh()
    await act(hass, "enqueue", queue="outbound")


async def test_a_forwarder_that_is_not_there_is_named_too(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await call("ForwarderPut", name="central", queue="outbound", to="tcp://127.0.0.1:9")
    await act(hass, "forward", forwarder="central", operation="status")
    with pytest.raises(ServiceValidationError, match=r"no forwarder centrl\. Did you mean central"):
        await act(hass, "forward", forwarder="centrl", operation="stop")
    with pytest.raises(ServiceValidationError, match=r"no forwarder nothing\.like\.it"):
        await act(hass, "forward", forwarder="nothing.like.it", operation="status")


async def test_one_typo_among_several_is_named_and_the_others_are_done(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    id = (await call("PUSH", queue="lights", data=1, delay=600_000))["id"]
    with pytest.raises(ServiceValidationError, match="Did you mean lights"):
        await act(hass, "try_now", queue=["lights", "ligths"])
    assert (await call("GetJob", id=id))["job"]["state"] == "waiting"
    with pytest.raises(ServiceValidationError, match="Did you mean lights"):
        await act(hass, "try_now", queue=["ligths"])
    await call("ForwarderPut", name="central", queue="outbound", to="tcp://127.0.0.1:9")
    await call("PUSH", queue="outbound", data=1)
    other = (await call("PUSH", queue="lights", data=1, delay=600_000))["id"]
    with pytest.raises(ServiceValidationError, match=r"no forwarder centrl\. Did you mean central"):
        await act(hass, "try_now", queue="lights", forwarder=["centrl", "central"])
    assert (await call("GetJob", id=other))["job"]["state"] == "waiting"
    with pytest.raises(ServiceValidationError, match=r"no forwarder centrl\. Did you mean central"):
        await act(hass, "try_now", forwarder=["centrl"])


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("get_job", {}),
        ("cancel", {}),
        ("complete", {"token": "1.x"}),
        ("fail", {"token": "1.x"}),
        ("release", {"token": "1.x"}),
    ],
)
async def test_a_job_that_is_not_there_is_named(
    hass: HomeAssistant, loaded: MockConfigEntry, action: str, more: dict[str, Any]
) -> None:
    with pytest.raises(ServiceValidationError, match="There is no job nothing"):
        await act(hass, action, id="nothing", **more)


async def test_the_queue_of_actions_is_always_known(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    assert await queues(call) == []
    await act(hass, "worker", queue=ACTIONS_QUEUE, sequence=[])
    await act(hass, "run_action", action="test.note")


async def test_while_home_assistant_starts_nothing_is_refused(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    hass.set_state(CoreState.starting)
    await act(hass, "enqueue", queue="early")
    hass.set_state(CoreState.running)
    assert await queues(call) == ["early"]


async def test_while_the_hub_is_away_what_is_known_counts(hass: HomeAssistant, tmp_path: Path) -> None:
    with hub_process(tmp_path, http_port=free_port()) as hub:
        entry = await entry_of(hass, hub)
        await act(hass, "enqueue", queue="lights", create=True)
        await until_state(hass, "sensor.lights_waiting", "1")
        hub.kill()
        await until_state(hass, "sensor.lights_waiting", "unavailable")
        for action in ("pause", "enqueue"):
            with pytest.raises(ServiceValidationError, match="Did you mean lights"):
                await act(hass, action, queue="ligths")
        await act(hass, "enqueue", queue="fresh", create=True)
        await act(hass, "enqueue", queue="fresh")  # both wait here
        with pytest.raises(HomeAssistantError) as away:
            await act(hass, "pause", queue="lights")
        assert not isinstance(away.value, ServiceValidationError)
        await hass.config_entries.async_unload(entry.entry_id)


async def test_an_assistant_makes_no_queue_either(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    await call("PUSH", queue="lights", data=1)
    for tool in ("queue_status", "list_dead_letters", "retry_dead_letters"):
        with pytest.raises(ServiceValidationError, match="Did you mean lights"):
            await ask(hass, tool, queue="ligths")
    assert await queues(call) == ["lights"]


async def test_a_queue_is_deleted_when_nothing_is_in_it(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    for n in range(2):
        await call("PUSH", queue="ligths", data=n, maxAttempts=1)
    await call("PUSH", queue="lights", data=1)
    await until_state(hass, "sensor.ligths_waiting", "2")
    pulled = await call("PULL", queue="ligths", owner="test")
    await call("FAIL", id=pulled["job"]["id"], token=pulled["token"], error="no")
    await call("Pause", queue="ligths")
    with pytest.raises(ServiceValidationError, match=r"The queue ligths is not empty\. .*: 2\."):
        await act(hass, "delete_queue", queue="ligths")
    assert (await call("GetJobCounts", queue="ligths"))["counts"]["failed"] == 1
    await act(hass, "delete_queue", queue="ligths", force=True)
    await until_state(hass, "sensor.ligths_waiting", None)
    assert await queues(call) == ["lights"]
    assert "ligths" not in {each.name for each in devices(hass, loaded)}
    with pytest.raises(ServiceValidationError, match="Did you mean lights"):
        await act(hass, "delete_queue", queue="ligths")


@pytest.mark.parametrize("force", [False, True])
async def test_one_that_is_only_named_is_not_there_to_be_deleted(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, force: bool
) -> None:
    with pytest.raises(ServiceValidationError, match=f"There is no queue {ACTIONS_QUEUE}"):
        await act(hass, "delete_queue", queue=ACTIONS_QUEUE, force=force)


async def test_a_device_is_deleted_with_its_queue_or_says_why_it_stays(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, call: Call, loaded: MockConfigEntry
) -> None:
    assert await async_setup_component(hass, "config", {})
    socket = await hass_ws_client(hass)
    await add_subentry(
        hass, loaded, "worker", {"name": "W", "queue": "say", "sequence": [{"delay": 1}], "concurrency": 1}
    )
    await call("ForwarderPut", name="up", queue="out", to="tcp://127.0.0.1:9")
    done = await call("PUSH", queue="mail", data=1)
    await call("PUSH", queue="busy", data=1)
    pulled = await call("PULL", queue="mail", owner="test")
    await call("ACK", id=done["id"], token=pulled["token"])
    await loaded.runtime_data.coordinator.async_refresh()
    await until_state(hass, "sensor.busy_waiting", "1")

    async def delete(name: str) -> dict[str, Any]:
        (device,) = [each for each in devices(hass, loaded) if each.name == name]
        message = {"type": "config/device_registry/remove_config_entry", "device_id": device.id}
        await socket.send_json_auto_id({**message, "config_entry_id": loaded.entry_id})
        answer: dict[str, Any] = await socket.receive_json()
        return answer

    for name, why in {
        "busy": "The queue busy is not empty",
        "Uplink up": "The forwarder up is still at the hub",
        "Home": "This device belongs to the hub",
        "W": "This device belongs to the hub",
    }.items():
        answer = await delete(name)
        assert not answer["success"]
        assert answer["error"]["message"].startswith(why), answer
    assert (await delete("mail"))["success"]
    await until_state(hass, "sensor.mail_waiting", None)
    assert await queues(call) == ["busy"]
    assert "mail" not in {each.name for each in devices(hass, loaded)}


async def test_a_device_whose_queue_cannot_be_deleted_now_stays(hass: HomeAssistant, tmp_path: Path) -> None:
    with hub_process(tmp_path, http_port=free_port()) as hub:
        entry = await entry_of(hass, hub)
        await act(hass, "enqueue", queue="lights", create=True)
        await until_state(hass, "sensor.lights_waiting", "1")
        (device,) = [each for each in devices(hass, entry) if each.name == "lights"]
        hub.kill()
        await until_state(hass, "sensor.lights_waiting", "unavailable")
        with pytest.raises(HomeAssistantError) as away:
            await async_remove_config_entry_device(hass, entry, device)
        assert away.value.translation_key == "link_down"
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("patterns", [["a*"], ["a", "b?"], ["*"], ["a.b"], ["x*y*z", "?"], ["[ab]"], ["a\\"]])
def test_patterns_are_those_of_names_of_jobs(patterns: list[str]) -> None:
    pattern = pattern_of(patterns)
    assert pattern is not None
    plain = [each.replace("[", "[[]") for each in patterns]
    for name in ("a", "ab", "b", "b1", "b12", "a.b", "axb", "xyz", "x.y.z", "[ab]", "a\\", ""):
        assert bool(pattern.fullmatch(name)) is any(fnmatchcase(name, each) for each in plain), name


def test_no_pattern_is_all() -> None:
    assert pattern_of([]) is None
    assert pattern_of([" "]) is None


async def entry_of(hass: HomeAssistant, hub: HubProcess) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, title="Home", unique_id=hub.hub_id, data={"url": url_of(hub)})
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    return entry
