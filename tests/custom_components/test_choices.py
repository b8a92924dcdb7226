"""The editor of actions offers the queues that there are, over Home Assistant's own API."""

from __future__ import annotations

from typing import Any

from custom_components.hubqueue.const import ACTIONS_QUEUE, DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator
from seen import until_state
from test_rules import SERVICES, fields_of

from conftest import Call


async def test_the_queues_that_there_are_are_offered(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, call: Call, loaded: MockConfigEntry
) -> None:
    assert await async_setup_component(hass, "websocket_api", {})
    socket = await hass_ws_client(hass)

    async def offered() -> dict[str, Any]:
        await socket.send_json_auto_id({"type": "get_services"})
        found: dict[str, Any] = (await socket.receive_json())["result"][DOMAIN]
        return found

    assert (await offered())["pause"]["fields"]["queue"]["selector"]["select"]["options"] == [ACTIONS_QUEUE]
    for queue in ("mail", "lights"):
        await call("PUSH", queue=queue, data=1)
        await until_state(hass, f"sensor.{queue}_waiting", "1")
    actions = await offered()
    assert actions.keys() == SERVICES.keys()
    for name, action in actions.items():
        fields = {}
        for key, field in action["fields"].items():
            fields.update(field.get("fields", {key: field}))
        assert fields.keys() == fields_of(name).keys(), name
        if "queue" not in fields:
            continue
        selector = fields["queue"]["selector"]["select"]
        assert selector["options"] == [ACTIONS_QUEUE, "lights", "mail"]
        assert selector["custom_value"]
        assert selector["multiple"] is (name == "try_now")
        assert fields["queue"].get("required", False) is fields_of(name)["queue"].get("required", False)
    assert actions["list_jobs"]["response"] == {"optional": False}
    await call("Obliterate", queue="lights")
    await until_state(hass, "sensor.lights_waiting", None)
    assert (await offered())["enqueue"]["fields"]["queue"]["selector"]["select"]["options"] == [ACTIONS_QUEUE, "mail"]
