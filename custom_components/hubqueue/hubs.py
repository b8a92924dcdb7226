"""Hubs as automations see them: triggers and conditions are there before, without and after a config entry.

They name an entry, or none: then a trigger hears of every hub, and a condition looks at the only one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import probatio as vol
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConditionErrorMessage
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_connect

from .actions import QUEUE
from .const import ATTR_CONFIG_ENTRY_ID, ATTR_QUEUE, DOMAIN
from .coordinator import SIGNAL_LOADED, SIGNAL_UNLOADED, HubqueueConfigEntry
from .snapshot import QueueState

OF_A_HUB: Final[dict[Any, Any]] = {vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string}
OF_A_QUEUE: Final[dict[Any, Any]] = {vol.Required(ATTR_QUEUE): QUEUE, **OF_A_HUB}

type Attach = Callable[[HubqueueConfigEntry], CALLBACK_TYPE]


@callback
def async_follow_hubs(hass: HomeAssistant, entry_id: str | None, attach: Attach) -> CALLBACK_TYPE:
    """Attach to each hub that is loaded now or later, and anew when it is loaded anew."""
    attached: dict[str, CALLBACK_TYPE] = {}

    @callback
    def loaded(id: str) -> None:
        entry: HubqueueConfigEntry | None = hass.config_entries.async_get_entry(id)
        if entry is not None and entry_id in (None, id):
            unloaded(id)
            attached[id] = attach(entry)

    @callback
    def unloaded(id: str) -> None:
        if (detach := attached.pop(id, None)) is not None:
            detach()

    stop = [
        async_dispatcher_connect(hass, SIGNAL_LOADED, loaded),
        async_dispatcher_connect(hass, SIGNAL_UNLOADED, unloaded),
    ]
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is ConfigEntryState.LOADED:
            loaded(entry.entry_id)

    @callback
    def unfollow() -> None:
        for each in (*stop, *attached.values()):
            each()
        attached.clear()

    return unfollow


@callback
def async_hub(hass: HomeAssistant, entry_id: str | None) -> HubqueueConfigEntry | None:
    """The hub a condition looks at; None: it is not there now. Errors: ConditionError."""
    entries: list[HubqueueConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    found = [each for each in entries if entry_id in (None, each.entry_id)]
    if len(found) > 1:
        raise ConditionErrorMessage(DOMAIN, "there are several hubs: config_entry_id says which")
    return found[0] if found and found[0].state is ConfigEntryState.LOADED else None


@callback
def async_queue(entry: HubqueueConfigEntry, queue: str) -> QueueState | None:
    """What is known of a queue; None: nothing, the hub cannot be asked. Errors: ConditionError."""
    coordinator = entry.runtime_data.coordinator
    if not coordinator.shows(queue):
        raise ConditionErrorMessage(
            DOMAIN, f"queue {queue} is not among the queues to show in the options of {entry.title}"
        )
    if not coordinator.last_update_success:
        return None
    found = coordinator.data.queues.get(queue)
    if found is None and coordinator.data.complete:
        return QueueState(queue)  # the hub makes queues as they are needed
    return found
