"""Which service calls are watched: those of a job's run, while it runs and an entry is loaded; nobody else's."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pytest
from automations import Actions, automate, heard, until_job
from custom_components.hubqueue import watched_calls
from custom_components.hubqueue.outcome import Complete, Fail, Outcome
from custom_components.hubqueue.run_options import RunOptions
from custom_components.hubqueue.runs import Leased, async_run_sequence
from custom_components.hubqueue.watched_calls import async_watch_calls, watched
from homeassistant.core import Context, HomeAssistant, Service, ServiceCall, ServiceRegistry, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import label_registry as lr
from homeassistant.helpers.config_validation import SCRIPT_SCHEMA
from homeassistant.helpers.script import Script, async_validate_actions_config
from homeassistant.setup import async_setup_component
from house import furnish, power
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until, until_state

from conftest import Call
from support.torture import sized

JOB = Leased(
    {"id": "1", "queue": "mail", "name": "send", "data": {"to": "ada"}, "attempts": 0, "maxAttempts": 3, "priority": 0},
    "1.x",
)
GARDEN = {"action": "light.turn_on", "target": {"entity_id": "light.garden"}}
NEAR = {"action": "light.turn_on", "target": {"entity_id": "light.near"}}
AWAY = Fail("light.garden is not available")
WATCHING = RunOptions()


@pytest.fixture
def watching(hass: HomeAssistant) -> Any:
    """As while an entry is loaded."""
    leave = async_watch_calls(hass)
    yield
    leave()
    assert type(hass.services) is ServiceRegistry


async def run(hass: HomeAssistant, *actions: dict[str, Any], options: RunOptions = WATCHING) -> Outcome:
    steps = await async_validate_actions_config(hass, SCRIPT_SCHEMA(list(actions)))
    script = Script(hass, steps, "a sequence", "test")
    outcome = await async_run_sequence(hass, script, JOB, options)
    await script.async_unload()
    return outcome


async def test_what_is_there_is_done_before_the_others_are_told(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    both = {"action": "light.turn_on", "target": {"entity_id": ["light.garden", "light.near"]}}
    assert await run(hass, both) == AWAY
    await until_state(hass, "light.near", "on")
    await power(hass)
    assert await run(hass, both) == Complete()
    await until_state(hass, "light.garden", "on")


async def test_the_sequence_stops_where_something_is_away(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    assert await run(hass, GARDEN, NEAR) == AWAY
    await until_state(hass, "light.near", "off")
    assert await run(hass, {**GARDEN, "continue_on_error": True}, NEAR) == Complete()
    await until_state(hass, "light.near", "on")


async def test_it_may_be_ignored(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    assert await run(hass, GARDEN, NEAR, options=RunOptions(ignore=True)) == Complete()
    await until_state(hass, "light.near", "on")


async def test_a_script_of_the_run_stops_there_too(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    scripts = {"inner": {"sequence": [GARDEN, NEAR]}, "outer": {"sequence": [{"action": "script.inner"}, NEAR]}}
    assert await async_setup_component(hass, "script", {"script": scripts})
    assert await run(hass, {"action": "script.outer"}, NEAR) == AWAY
    await until_state(hass, "light.near", "off")


async def test_a_script_in_the_background_is_not_of_the_run(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    scripts = {
        "later": {"sequence": [GARDEN, {"wait_for_trigger": [{"trigger": "event", "event_type": "go"}]}, GARDEN, NEAR]}
    }
    assert await async_setup_component(hass, "script", {"script": scripts})
    start = {"action": "script.turn_on", "target": {"entity_id": "script.later"}}
    assert await run(hass, start) == Complete()
    hass.bus.async_fire("go")
    await until_state(hass, "light.near", "on")


async def test_an_automation_that_the_run_triggers_by_name_is_told_but_not_stopped(
    hass: HomeAssistant, watching: None
) -> None:
    await furnish(hass)
    config = {"alias": "Named", "triggers": [], "actions": [GARDEN, NEAR]}
    assert await async_setup_component(hass, "automation", {"automation": [config]})
    trigger = {"action": "automation.trigger", "target": {"entity_id": "automation.named"}}
    assert await run(hass, trigger) == AWAY
    await until_state(hass, "light.near", "on")


@pytest.mark.parametrize(
    ("trigger", "step"),
    [
        ({"trigger": "state", "entity_id": "light.near", "to": "on"}, NEAR),
        ({"trigger": "state", "entity_id": "input_boolean.near", "to": "on"}, NEAR),
        ({"trigger": "event", "event_type": "go"}, {"event": "go"}),
        ({"trigger": "event", "event_type": "call_service", "event_data": {"service": "toggle"}},
         {"action": "input_boolean.toggle", "target": {"entity_id": "input_boolean.porch"}}),
        ({"trigger": "state", "entity_id": "script.quick"}, {"action": "script.quick"}),
    ],
    ids=["state", "inner state", "event", "call", "script"],
)  # fmt: skip
async def test_an_automation_that_the_run_happens_to_trigger_is_left_alone(
    hass: HomeAssistant, watching: None, trigger: dict[str, Any], step: dict[str, Any]
) -> None:
    await furnish(hass)
    assert await async_setup_component(hass, "script", {"script": {"quick": {"sequence": [{"delay": 0}]}}})
    config = {"alias": "Other", "triggers": [trigger], "actions": [GARDEN, {"event": "went_on"}]}
    assert await async_setup_component(hass, "automation", {"automation": [config]})
    went_on = heard(hass, "went_on")
    assert await run(hass, step) == Complete()
    await until(lambda: bool(went_on), "the other automation went on")


@pytest.mark.parametrize(
    ("trigger", "step"),
    [
        ({"trigger": "event", "event_type": "go"}, {"event": "go"}),
        ({"trigger": "state", "entity_id": "light.near"}, NEAR),
    ],
    ids=["event", "state"],
)
async def test_actions_of_an_entity_that_the_run_happens_to_trigger_are_left_alone(
    hass: HomeAssistant, watching: None, trigger: dict[str, Any], step: dict[str, Any]
) -> None:
    """Home Assistant gives them a child of the context that has triggered them."""
    sensor = {"triggers": [trigger], "actions": [GARDEN, {"event": "went_on"}], "sensor": [{"name": "s", "state": "1"}]}
    await furnish(hass, sensor)
    went_on = heard(hass, "went_on")
    assert await run(hass, step) == Complete()
    await until(lambda: bool(went_on), "the other actions went on")


async def test_calls_of_others_pass_while_a_run_is_under_way(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    with watched(Context()):
        await hass.services.async_call("light", "turn_on", {"entity_id": "light.garden"}, blocking=True)
        other = Context(parent_id=Context().id)
        await hass.services.async_call("light", "turn_on", {"entity_id": "light.none"}, blocking=True, context=other)


async def test_what_a_run_leaves_behind_is_not_watched_any_more(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    context = Context()

    async def call() -> None:
        await hass.services.async_call(
            "light", "turn_on", {"entity_id": "light.garden"}, blocking=True, context=context
        )

    with watched(context):
        late = hass.loop.create_task(call())
        early = hass.async_create_task(call(), eager_start=True)
    with pytest.raises(HomeAssistantError, match="garden is not available"):
        await early
    await late


async def test_an_entity_that_comes_during_the_run_is_there(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    on = {"action": "input_boolean.turn_on", "target": {"entity_id": "input_boolean.power"}}
    come = {"wait_template": "{{ not is_state('light.garden', 'unavailable') }}", "timeout": 60}
    assert await run(hass, on, come, GARDEN) == Complete()
    await until_state(hass, "light.garden", "on")


async def test_an_action_may_make_its_own_target_unavailable(hass: HomeAssistant, watching: None) -> None:
    """As a button that restarts a device: it was there to be pressed."""
    await furnish(hass)
    await power(hass)
    press = {"action": "button.press", "target": {"entity_id": "button.restart"}}
    assert await run(hass, press) == Complete()
    await until_state(hass, "button.restart", "unavailable")
    assert await run(hass, press) == Fail("button.restart is not available")


async def test_an_error_of_the_action_itself_is_told(hass: HomeAssistant, watching: None) -> None:
    await furnish(hass)
    effect = {"action": "light.turn_on", "target": {"entity_id": "light.near"}, "data": {"wrong": 1}}
    outcome = await run(hass, effect)
    assert isinstance(outcome, Fail)
    assert outcome.error.startswith("light.turn_on does not take this: ")
    assert "wrong" in outcome.error


async def test_disabled_entities_are_left_out_unless_they_are_named(hass: HomeAssistant, watching: None) -> None:
    place = await furnish(hass)
    er.async_get(hass).async_update_entity("light.near", area_id=place["area_id"])
    er.async_get(hass).async_update_entity("light.garden", disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    assert await run(hass, {"action": "light.turn_on", "target": {"area_id": place["area_id"]}}) == Complete()
    generic = {"action": "homeassistant.turn_off", "target": {"area_id": place["area_id"]}}
    assert await run(hass, generic) == Complete()
    assert await run(hass, GARDEN) == Fail("light.garden is disabled")


async def test_it_is_undone_when_the_last_entry_is_unloaded(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert type(hass.services) is not ServiceRegistry
    leave = async_watch_calls(hass)
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert type(hass.services) is not ServiceRegistry
    leave()
    assert type(hass.services) is ServiceRegistry
    leave = async_watch_calls(hass)
    assert type(hass.services) is not ServiceRegistry
    leave()


async def test_others_may_do_alike(hass: HomeAssistant) -> None:
    """Before us, and over us: whoever leaves first."""
    seen: list[str] = []

    def counting(base: type[ServiceRegistry]) -> type[ServiceRegistry]:
        async def execute(self: ServiceRegistry, handler: Service, service_call: ServiceCall) -> Any:
            seen.append(service_call.service)
            return await base._execute_service(self, handler, service_call)

        return type("Counting", (base,), {"__slots__": (), "_execute_service": execute})

    await furnish(hass)
    before = counting(ServiceRegistry)
    hass.services.__class__ = before
    leave = async_watch_calls(hass)
    assert await run(hass, GARDEN) == AWAY
    assert seen == ["turn_on"]
    leave()
    assert type(hass.services) is before
    leave = async_watch_calls(hass)
    over = counting(type(hass.services))
    hass.services.__class__ = over
    assert await run(hass, GARDEN) == AWAY
    leave()
    assert type(hass.services) is over
    leave = async_watch_calls(hass)
    assert await run(hass, GARDEN) == AWAY
    leave()
    hass.services.__class__ = ServiceRegistry


async def test_a_home_assistant_that_is_not_known_is_left_alone_and_told_of(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    class Other(ServiceRegistry):
        __slots__ = ()

        async def _execute_service(self, handler: Service, call: ServiceCall, more: int = 0) -> Any:  # type: ignore[override]
            return await super()._execute_service(handler, call)

    await furnish(hass)
    hass.services.__class__ = Other
    leave = async_watch_calls(hass)
    assert [each.levelno for each in caplog.records if each.name == watched_calls.LOGGER.name] == [logging.WARNING]
    assert await run(hass, GARDEN) == Complete()
    leave()
    assert type(hass.services) is Other
    hass.services.__class__ = ServiceRegistry


async def test_an_automation_that_stops_there_is_tried_again_and_done_when_it_can_be(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry
) -> None:
    await furnish(hass)
    Actions(hass)
    id = (await call("PUSH", queue="mail", name="send", maxAttempts=5, backoff=300_000))["id"]
    await automate(
        hass,
        """
- alias: Take
  triggers: [{trigger: hubqueue.job_received, options: {queue: mail}}]
  actions: [{action: light.turn_on, target: {entity_id: light.garden}}, {action: test.note}]
""",
    )
    await until_job(call, id, state="delayed", attempts=1, failedReason="light.garden is not available")
    await power(hass)
    await call("Promote", id=id)
    await until_job(call, id, state="completed", attempts=1)
    await until_state(hass, "light.garden", "on")


async def test_whatever_is_addressed_is_done_or_told(hass: HomeAssistant, watching: None) -> None:
    """Random places and targets: what is there is on afterwards, what is not is named, nothing else is touched."""
    dice = Random(12)
    names = [f"l{number}" for number in range(6)]
    await lamps(hass, names)
    registry, devices = er.async_get(hass), dr.async_get(hass)
    owner = MockConfigEntry(domain="test")
    owner.add_to_hass(hass)
    areas = [ar.async_get(hass).async_create(f"Area {number}").id for number in range(3)]
    labels = [lr.async_get(hass).async_create(f"Label {number}").label_id for number in range(3)]
    make = devices.async_get_or_create
    owned = [make(config_entry_id=owner.entry_id, identifiers={("test", str(each))}).id for each in range(3)]
    for case in range(sized(ci=40, full=1000)):
        places = {name: tuple(dice.choice([None, *each]) for each in (areas, labels, owned)) for name in names}
        there = {name for name in names if dice.random() < 0.7}
        for name, (area, label, device) in places.items():
            registry.async_update_entity(f"light.{name}", area_id=area, labels={label} - {None}, device_id=device)
            hass.states.async_set(f"sensor.power_{name}", "on" if name in there else "off")
            hass.states.async_set(f"sensor.lit_{name}", "off")
        await hass.async_block_till_done()
        chosen = {
            "entity_id": dice.sample([*names, "gone"], dice.randint(0, 3)),
            "area_id": dice.sample(areas, dice.randint(0, 2)),
            "label_id": dice.sample(labels, dice.randint(0, 1)),
            "device_id": dice.sample(owned, dice.randint(0, 1)),
        }
        meant = set(chosen["entity_id"]) | {
            name
            for name, (area, label, device) in places.items()
            if area in chosen["area_id"] or label in chosen["label_id"] or device in chosen["device_id"]
        }
        target = {**chosen, "entity_id": [f"light.{name}" for name in chosen["entity_id"]]}
        outcome = await run(hass, {"action": "light.turn_on", "target": target})
        lit = {name for name in names if hass.states.is_state(f"sensor.lit_{name}", "on")}
        assert lit == meant & there, (case, target)
        why = {"gone": "does not exist"}
        away = sorted(f"light.{name} {why.get(name, 'is not available')}" for name in meant - there)
        indirect = any(chosen[key] for key in ("area_id", "label_id", "device_id"))
        if away:
            assert isinstance(outcome, Fail), (case, target)
            assert sorted(outcome.error.split("; ")) == away, (case, target)
        elif meant or not indirect:
            assert outcome == Complete(), (case, target)
        else:
            assert outcome == Fail("nothing of the target exists that light.turn_on is for"), (case, target)


async def lamps(hass: HomeAssistant, names: list[str]) -> None:
    """Template lights that are there while `sensor.power_NAME` is on, and switch `sensor.lit_NAME`."""

    @callback
    def lit(call: ServiceCall) -> None:
        hass.states.async_set(f"sensor.lit_{call.data['name']}", call.data["to"])

    hass.services.async_register("test", "lit", lit)
    made = [
        {
            "name": name,
            "unique_id": name,
            "availability": f"{{{{ is_state('sensor.power_{name}', 'on') }}}}",
            "state": f"{{{{ is_state('sensor.lit_{name}', 'on') }}}}",
            "turn_on": [{"action": "test.lit", "data": {"name": name, "to": "on"}}],
            "turn_off": [{"action": "test.lit", "data": {"name": name, "to": "off"}}],
        }
        for name in names
    ]
    assert await async_setup_component(hass, "template", {"template": [{"light": made}]})
    await hass.async_block_till_done()
