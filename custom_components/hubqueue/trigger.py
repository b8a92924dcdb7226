"""The triggers that Home Assistant finds here. An automation attaches them whether a hub is set up or not."""

from __future__ import annotations

from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.trigger import Trigger

from .job_received import JobReceived
from .watching import JobCompleted, JobDeadLettered, JobExpired, LinkDown, LinkUp, QueueBacklog

TRIGGERS: Final[dict[str, type[Trigger]]] = {
    "job_received": JobReceived,
    "job_completed": JobCompleted,
    "job_dead_lettered": JobDeadLettered,
    "job_expired": JobExpired,
    "queue_backlog": QueueBacklog,
    "link_down": LinkDown,
    "link_up": LinkUp,
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """All of them."""
    return TRIGGERS
