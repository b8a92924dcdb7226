"""System health: whether each hub answers, its version and how much waits."""

from __future__ import annotations

from typing import Any

from homeassistant.components import system_health
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Say who tells."""
    register.async_register_info(_info)


async def _info(hass: HomeAssistant) -> dict[str, Any]:
    entries = [entry for entry in hass.config_entries.async_entries(DOMAIN) if entry.state is ConfigEntryState.LOADED]
    coordinators = [entry.runtime_data.coordinator for entry in entries]
    queues = [queue for each in coordinators for queue in each.data.queues.values()]
    return {
        "hubs": len(coordinators),
        "connected": sum(each.client.connected for each in coordinators),
        "versions": ", ".join(sorted({each.hub.version for each in coordinators})) or "-",
        "waiting": sum(queue.waiting for queue in queues),
        "dead_letters": sum(queue.dead for queue in queues),
    }
