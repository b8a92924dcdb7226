"""Who may do what, as real users over Home Assistant's own REST and WebSocket API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from automations import automate, until_at_hub
from custom_components.hubqueue.actions import ACTIONS
from custom_components.hubqueue.const import DOMAIN
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator
from seen import until_state
from test_llm import tools_of

from conftest import Call

pytestmark = pytest.mark.usefixtures("web")

# What those who are no administrators are refused; {id}: a job that waits.
REFUSED: dict[str, list[dict[str, Any]]] = {
    "get_job": [{"id": "{id}"}],
    "list_jobs": [{"queue": "mail"}],
    "purge": [{"queue": "mail", "what": "waiting"}, {"queue": "mail", "what": "dead_letters"}],
    "pause": [{"queue": "mail"}],
    "resume": [{"queue": "mail"}],
    "delete_queue": [{"queue": "mail", "force": True}],
    "forward": [{"forwarder": "up", "operation": "stop"}, {"forwarder": "up", "operation": "start"}],
}
TAKEN: dict[str, list[dict[str, Any]]] = {
    "enqueue": [{"queue": "mail"}],
    "enqueue_many": [{"queue": "mail", "jobs": [{"data": 1}]}],
    "run_action": [{"action": "test.note"}],
    "worker": [{"queue": "mail", "sequence": []}],
    "complete": [{"id": "{leased}", "token": "{token}"}],
    "fail": [{"id": "{leased}", "token": "{token}"}],
    "release": [{"id": "{leased}", "token": "{token}"}],
    "extend": [{"id": "{leased}", "token": "{token}", "duration": 60}],
    "retry": [{"queue": "mail"}],
    "snooze": [{"id": "{id}", "delay": 60}],
    "cancel": [{"id": "{id}"}],
    "publish": [{"channel": "doors"}],
    "try_now": [{"queue": "mail", "forwarder": "up"}],
    "forward": [{"forwarder": "up", "operation": "status"}],
}

type TokenOf = Callable[[MockUser], Awaitable[str]]


@pytest.fixture
async def web(hass: HomeAssistant, local_auth: Any) -> None:
    """Home Assistant's own API."""
    assert await async_setup_component(hass, "api", {})
    assert await async_setup_component(hass, "websocket_api", {})


@pytest.fixture
async def guest(hass: HomeAssistant) -> MockUser:
    """One who may use all entities, and is no administrator."""
    group = await hass.auth.async_get_group("system-users")
    assert group is not None
    return MockUser(name="Guest", groups=[group]).add_to_hass(hass)


@pytest.fixture
async def guests_token(hass: HomeAssistant, guest: MockUser) -> str:
    refresh = await hass.auth.async_create_refresh_token(guest, "https://example.com/app")
    return hass.auth.async_create_access_token(refresh)


@pytest.fixture
async def there(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> dict[str, str]:
    """A queue with a dead letter, a leased and a waiting job, and a forwarder."""
    await call("PUSH", queue="mail", data="secret", maxAttempts=1)
    dead = await call("PULL", queue="mail", owner="test")
    await call("FAIL", id=dead["job"]["id"], token=dead["token"], error="no")
    await call("PUSH", queue="mail", data="secret")
    leased = await call("PULL", queue="mail", owner="test", lockTtl=60_000)
    waiting = await call("PUSH", queue="mail", data="secret")
    await call("ForwarderPut", name="up", queue="readings", to="tcp://127.0.0.1:9")
    await loaded.runtime_data.coordinator.async_refresh()
    return {"id": waiting["id"], "leased": leased["job"]["id"], "token": leased["token"]}


def filled(fields: dict[str, Any], there: dict[str, str]) -> dict[str, Any]:
    return {key: value.format_map(there) if isinstance(value, str) else value for key, value in fields.items()}


def cases(table: dict[str, list[dict[str, Any]]]) -> list[Any]:
    return [
        pytest.param(action, fields, id=f"{action}-{n}") for action in table for n, fields in enumerate(table[action])
    ]


async def counts(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = (await call("GetJobCounts", queue="mail"))["counts"]
    return {**found, "paused": (await call("IsPaused", queue="mail"))["paused"]}


def test_every_action_is_decided() -> None:
    assert {*REFUSED, *TAKEN} == {*ACTIONS, "worker", "run_action"}


@pytest.mark.parametrize(("action", "fields"), cases(REFUSED))
async def test_a_user_is_refused(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    hass_ws_client: WebSocketGenerator,
    guests_token: str,
    call: Call,
    there: dict[str, str],
    action: str,
    fields: dict[str, Any],
) -> None:
    before, forwarders = await counts(call), (await call("Forwarders"))["forwarders"]
    given = filled(fields, there)
    answers = hass.services.supports_response(DOMAIN, action).value != "none"
    rest = await hass_client(guests_token)
    reply = await rest.post(f"/api/services/{DOMAIN}/{action}{'?return_response' if answers else ''}", json=given)
    assert reply.status == 401
    assert "secret" not in await reply.text()
    socket = await hass_ws_client(hass, guests_token)
    await socket.send_json_auto_id(
        {"type": "call_service", "domain": DOMAIN, "service": action, "service_data": given, "return_response": answers}
    )
    told = await socket.receive_json()
    assert not told["success"]
    assert told["error"]["translation_domain"] == DOMAIN
    assert told["error"]["translation_key"] == "admins_only"
    assert told["error"]["translation_placeholders"] == {"what": f"{DOMAIN}.{action}"}
    assert told["error"]["message"] == f"{DOMAIN}.{action} is for administrators of Home Assistant only"
    assert await counts(call) == before
    assert [each["paused"] for each in (await call("Forwarders"))["forwarders"]] == [
        each["paused"] for each in forwarders
    ]


@pytest.mark.parametrize(("action", "fields"), cases(TAKEN))
async def test_a_user_may_do_the_rest(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    guests_token: str,
    there: dict[str, str],
    action: str,
    fields: dict[str, Any],
) -> None:
    rest = await hass_client(guests_token)
    reply = await rest.post(f"/api/services/{DOMAIN}/{action}", json=filled(fields, there))
    assert reply.status == 200, await reply.text()


@pytest.mark.parametrize(("action", "fields"), cases(REFUSED))
async def test_an_administrator_and_home_assistant_itself_may_do_all(
    hass: HomeAssistant,
    hass_admin_user: MockUser,
    call: Call,
    there: dict[str, str],
    action: str,
    fields: dict[str, Any],
) -> None:
    answers = hass.services.supports_response(DOMAIN, action).value != "none"
    for context in (Context(user_id=hass_admin_user.id), Context()):
        await call("PUSH", queue="mail", data=1)
        await hass.services.async_call(
            DOMAIN, action, filled(fields, there), blocking=True, return_response=answers, context=context
        )


async def test_an_automation_that_a_user_sets_off_purges(
    hass: HomeAssistant, guest: MockUser, call: Call, there: dict[str, str]
) -> None:
    await automate(
        hass,
        """
        - alias: Tidy up
          triggers: [{trigger: event, event_type: tidy}]
          actions: [{action: hubqueue.purge, data: {queue: mail, what: dead_letters}}]
        """,
    )
    hass.bus.async_fire("tidy", context=Context(user_id=guest.id))

    async def purged() -> bool:
        return bool((await counts(call))["failed"] == 0)

    await until_at_hub(purged, "purged")


ENTITIES = {
    "switch.mail_paused": ("switch", "turn_on", {}),
    "switch.uplink_up_paused": ("switch", "turn_on", {}),
    "number.mail_concurrency_limit": ("number", "set_value", {"value": 3}),
    "button.mail_purge_dead_letters": ("button", "press", {}),
}


@pytest.mark.parametrize("entity_id", ENTITIES)
async def test_entities_ask_for_the_same_rights(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    guests_token: str,
    hass_admin_user: MockUser,
    call: Call,
    loaded: MockConfigEntry,
    there: dict[str, str],
    entity_id: str,
) -> None:
    await until_state(hass, "sensor.mail_dead_letters", "1")
    registry = er.async_get(hass)
    if registry.async_get(entity_id).disabled_by is not None:
        registry.async_update_entity(entity_id, disabled_by=None)
        await hass.config_entries.async_reload(loaded.entry_id)
        await hass.async_block_till_done()
    domain, service, more = ENTITIES[entity_id]
    before = await counts(call)
    message = {
        "type": "call_service",
        "domain": domain,
        "service": service,
        "service_data": more,
        "target": {"entity_id": entity_id},
    }
    socket = await hass_ws_client(hass, guests_token)
    await socket.send_json_auto_id(message)
    told = await socket.receive_json()
    assert told["error"]["translation_key"] == "admins_only"
    assert told["error"]["translation_placeholders"] == {"what": entity_id}
    assert await counts(call) == before
    for user_id in (hass_admin_user.id, None):
        fields = {**more, "entity_id": entity_id}
        await hass.services.async_call(domain, service, fields, blocking=True, context=Context(user_id=user_id))


async def test_buttons_that_destroy_nothing_are_for_everybody(
    hass: HomeAssistant, guest: MockUser, call: Call, there: dict[str, str]
) -> None:
    await until_state(hass, "sensor.mail_dead_letters", "1")
    fields = {"entity_id": "button.mail_retry_dead_letters"}
    await hass.services.async_call("button", "press", fields, blocking=True, context=Context(user_id=guest.id))
    assert (await counts(call))["failed"] == 0


async def test_a_worker_of_a_user_does_what_the_user_may(
    hass: HomeAssistant, guest: MockUser, call: Call, there: dict[str, str]
) -> None:
    purge = [{"action": "hubqueue.purge", "data": {"queue": "mail", "what": "dead_letters"}}]
    await hass.services.async_call(
        DOMAIN,
        "worker",
        {"queue": "mail", "max_jobs": 1, "sequence": purge},
        blocking=True,
        context=Context(user_id=guest.id),
    )
    assert (await counts(call))["failed"] == 2  # nothing is purged, and the job that wanted it has failed for good


async def test_somebody_who_is_no_more_is_refused(hass: HomeAssistant, there: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN, "pause", {"queue": "mail"}, blocking=True, context=Context(user_id="nobody")
        )


async def test_the_tool_that_tells_errors_is_for_administrators(
    hass: HomeAssistant, guest: MockUser, hass_admin_user: MockUser, loaded: MockConfigEntry, there: dict[str, str]
) -> None:
    tool = (await tools_of(hass))["list_dead_letters"]
    for user, refused in ((guest, True), (hass_admin_user, False)):
        context = llm.LLMContext(
            platform="test", context=Context(user_id=user.id), language="en", assistant=None, device_id=None
        )
        asked = llm.ToolInput(tool_name=tool.name, tool_args={"queue": "mail"})
        if refused:
            with pytest.raises(Unauthorized):
                await tool.async_call(hass, asked, context)
        else:
            assert await tool.async_call(hass, asked, context)
