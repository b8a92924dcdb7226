"""Why a job has failed: in the user's own words, however deep in the actions and however the job was worked."""

from __future__ import annotations

from typing import Any

import pytest
from automations import Actions, until_job
from custom_components.hubqueue.const import DOMAIN
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.setup import async_setup_component
from house import furnish
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from ways import WAYS, Steps, reasons, ways

from conftest import Call

STOP = {"stop": "it is bad: {{ job.name }} {{ level | default('?') }}", "error": True}
LEVEL = {"variables": {"level": "{{ 1 + 2 }}"}}


async def broken(call: ServiceCall) -> None:
    match call.data["how"]:
        case "words":
            raise HomeAssistantError("the lamp is broken")
        case "silent":
            raise HomeAssistantError from OSError("no route to host")
        case "translated":
            raise HomeAssistantError(
                translation_domain=DOMAIN, translation_key="no_script", translation_placeholders={"script": "script.x"}
            )
        case "key":
            raise KeyError("nope")
        case "late":
            raise TimeoutError
        case "forbidden":
            raise Unauthorized(entity_id="light.near")


def how(kind: str) -> dict[str, Any]:
    return {"action": "test.broken", "data": {"how": kind}}


@pytest.mark.parametrize("way", WAYS)
async def test_the_words_of_the_user_are_the_error_of_the_job(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, way: str
) -> None:
    await furnish(hass)
    hass.services.async_register("test", "broken", broken)
    expected: dict[str, tuple[Steps, str | None]] = {
        "stop": ([STOP], "it is bad: stop ?"),
        "plain": ([{"stop": "as it is: } {{ and } { {%", "error": True}], "as it is: } {{ and } { {%"),
        "nothing": ([{"stop": "", "error": True}], "stopped with an error, or by a condition among the actions"),
        "variable": ([LEVEL, STOP], "it is bad: variable 3"),
        "in if": ([{"if": "{{ true }}", "then": [LEVEL, STOP]}], "it is bad: in if 3"),
        "in else": ([{"if": "{{ false }}", "then": [], "else": [STOP]}], "it is bad: in else ?"),
        "in repeat": (
            [{"repeat": {"count": 30, "sequence": [{"if": "{{ repeat.index == 25 }}", "then": [STOP]}]}}],
            "it is bad: in repeat ?",
        ),
        "in parallel": ([{"parallel": [{"delay": 0}, {"sequence": [STOP]}]}], "it is bad: in parallel ?"),
        "in sequence": ([{"sequence": [{"sequence": [STOP]}]}], "it is bad: in sequence ?"),
        "continued": ([{**how("words"), "continue_on_error": True}, STOP], "it is bad: continued ?"),
        "not an error": ([{"stop": "done"}], None),
        "words": ([how("words")], "the lamp is broken"),
        "silent": ([how("silent")], "no route to host"),
        "translated": ([how("translated")], "There is no script script.x"),
        "key": ([how("key")], "there is no 'nope'"),
        "late": ([how("late")], "it took too long"),
        "forbidden": ([how("forbidden")], "the user who asked for this may not do test.broken with light.near"),
        "no action": ([{"action": "light.nope"}], "Action light.nope not found"),
        "wrong data": (
            [{"action": "light.turn_on", "target": {"entity_id": "light.near"}, "data": {"wrong": 1}}],
            "light.turn_on does not take this: not a valid option at 'wrong'",
        ),
        "template": ([{"variables": {"x": "{{ 1 / 0 }}"}}], "ZeroDivisionError: division by zero"),
        "wait": (
            [{"wait_template": "{{ false }}", "timeout": {"milliseconds": 1}, "continue_on_timeout": False}],
            "a wait among the actions took too long",
        ),
        # of its branch alone, Home Assistant says
        "condition": ([{"condition": "template", "value_template": "{{ false }}"}], None),
        "for each": (
            [{"repeat": {"for_each": "{{ 7 }}", "sequence": []}}],
            "Repeat 'for_each' must be a list of items",
        ),
    }
    seen = await reasons(hass, call, ways(hass, loaded, way), {kind: steps for kind, (steps, _) in expected.items()})
    told = {kind: error and error.split(" (")[0] for kind, error in seen.items()}
    assert told == {kind: error for kind, (_, error) in expected.items()}


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_forbidden_is_final(hass: HomeAssistant, call: Call, loaded: MockConfigEntry, way: str) -> None:
    hass.services.async_register("test", "broken", broken)
    id = (await call("PUSH", queue="jobs", name="send", maxAttempts=5, backoff=1))["id"]
    await ways(hass, loaded, way)([how("forbidden")])
    await until_job(call, id, state="failed", attempts=1)
    await hass.async_block_till_done()


async def test_a_condition_says_where_it_is(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    id = (await call("PUSH", queue="jobs", name="send", maxAttempts=1))["id"]
    steps = [LEVEL, {"condition": "template", "value_template": "{{ level > 3 }}"}]
    await ways(hass, loaded, "trigger")(steps)
    reason = "a condition among the actions is not met (action/2)"  # after the one that names the job
    await until_job(call, id, state="failed", failedReason=reason)


async def test_a_user_who_may_not_do_it_is_told_so(
    hass: HomeAssistant, call: Call, loaded: MockConfigEntry, hass_read_only_user: MockUser
) -> None:
    """In the name of who calls the action worker."""
    await furnish(hass)
    async_register_admin_service(hass, "test", "danger", Actions(hass)._note)
    id = (await call("PUSH", queue="jobs", name="send", maxAttempts=5, backoff=1))["id"]
    fields = {"queue": "jobs", "sequence": [{"action": "test.danger"}]}
    context = Context(user_id=hass_read_only_user.id)
    await hass.services.async_call(DOMAIN, "worker", fields, blocking=True, context=context)
    reason = "the user who asked for this may not do test.danger"
    await until_job(call, id, state="failed", attempts=1, failedReason=reason)
    other = (await call("PUSH", queue="jobs", name="send", maxAttempts=5, backoff=1))["id"]
    await hass.services.async_call(DOMAIN, "worker", fields, blocking=True, context=Context(user_id="nobody"))
    reason = "the user who asked for this is not known any more"
    await until_job(call, other, state="failed", attempts=1, failedReason=reason)


async def test_a_run_that_calls_itself_is_told(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    steps = [{"action": "hubqueue.worker", "data": {"queue": "jobs", "script": "script.work"}}]
    assert await async_setup_component(hass, "script", {"script": {"work": {"sequence": steps}}})
    id = (await call("PUSH", queue="jobs", name="send", maxAttempts=1))["id"]
    await hass.services.async_call(DOMAIN, "worker", {"queue": "jobs", "script": "script.work"}, blocking=True)
    await until_job(call, id, state="completed")
