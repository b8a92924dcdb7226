"""Registers the actions, of which most are in `actions.py`: finds the hub, asks it, translates what goes wrong."""

from __future__ import annotations

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.helpers import service

from . import run_action, worker
from .actions import ACTIONS, Action, failure
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_CREATE, ATTR_QUEUE, DOMAIN
from .coordinator import HubqueueConfigEntry
from .errors import HubError
from .queues import async_check_queue
from .rights import async_admins_only
from .run_action import async_run_action
from .worker import async_work


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """They are there while the integration is, whether a hub is set up or not: automations stay valid."""
    for name, action in ACTIONS.items():
        _register(hass, name, action)
    answers = SupportsResponse.OPTIONAL
    hass.services.async_register(DOMAIN, "worker", async_work, schema=worker.SCHEMA, supports_response=answers)
    hass.services.async_register(
        DOMAIN, "run_action", async_run_action, schema=run_action.SCHEMA, supports_response=answers
    )


def _register(hass: HomeAssistant, name: str, action: Action) -> None:
    async def handle(call: ServiceCall) -> ServiceResponse:
        if action.for_admins(call.data):
            await async_admins_only(hass, call.context, f"{DOMAIN}.{name}")
        entry: HubqueueConfigEntry = service.async_get_config_entry(hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID))
        if ATTR_QUEUE in call.data and not call.data.get(ATTR_CREATE):
            await async_check_queue(hass, entry, call.data[ATTR_QUEUE], may_create=ATTR_CREATE in call.data)
        try:
            answer = await action.run(entry.runtime_data.client, call.data)
        except HubError as error:
            raise failure(error) from error
        return answer if call.return_response else None

    hass.services.async_register(DOMAIN, name, handle, schema=action.schema, supports_response=action.response)
