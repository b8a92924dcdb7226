"""Registers the actions, of which most are in `actions.py`: finds the hub, asks it, translates what goes wrong."""

from __future__ import annotations

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from . import run_action, worker
from .actions import ACTIONS, FORWARDED, Action, Fields, failure
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_CREATE, ATTR_FORWARDER, ATTR_QUEUE, DOMAIN
from .coordinator import HubqueueConfigEntry
from .entries import async_hub_of, async_reached_hub
from .errors import HubError
from .keeping import async_keeping
from .queues import async_check_forwarder, async_check_queue, async_is_forwarded, async_name_queue
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
        find = async_reached_hub if action.put is None else async_hub_of
        entry = find(hass, call.data.get(ATTR_CONFIG_ENTRY_ID))
        given, typo = await _without_typos(hass, entry, call.data)
        if ATTR_CREATE in given:  # it makes jobs
            given = {**given, FORWARDED: async_is_forwarded(entry, given[ATTR_QUEUE])}
        try:
            if action.put is not None:
                answer = await action.put((await async_keeping(hass, entry)).outbox, given)
            else:
                assert action.run is not None
                answer = await action.run(entry.runtime_data.client, given)
        except HubError as error:
            raise failure(error, given.get("id")) from error
        if typo is not None:
            raise typo
        return answer if call.return_response else None

    hass.services.async_register(DOMAIN, name, handle, schema=action.schema, supports_response=action.response)


async def _without_typos(
    hass: HomeAssistant, entry: HubqueueConfigEntry, given: Fields
) -> tuple[Fields, ServiceValidationError | None]:
    """The fields without the queues and forwarders that there are not, where others are left to do; then what is to be
    said of those.

    Errors: ServiceValidationError where nothing is left.
    """
    if given.get(ATTR_CREATE):  # it may wait here for a while before the hub has it
        async_name_queue(hass, entry.entry_id, given[ATTR_QUEUE], once=True)
        return given, None
    there: dict[str, list[str]] = {field: [] for field in (ATTR_FORWARDER, ATTR_QUEUE) if field in given}
    typo: ServiceValidationError | None = None
    for field, names in there.items():
        for name in cv.ensure_list(given[field]):
            try:
                if field == ATTR_QUEUE:
                    await async_check_queue(hass, entry, name, may_create=ATTR_CREATE in given)
                else:
                    await async_check_forwarder(entry, name)
            except ServiceValidationError as error:
                typo = typo or error
            else:
                names.append(name)
    if typo is None:
        return given, None
    if not any(there.values()):
        raise typo
    return {**given, **there}, typo
