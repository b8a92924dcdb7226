"""Switches: pause a queue, pause a forwarder."""

from __future__ import annotations

from typing import Any, Final, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry
from .entity import LinkEntity, QueueEntity, async_add_for_each

PARALLEL_UPDATES = 1

PAUSED: Final = SwitchEntityDescription(key="paused", translation_key="paused", entity_category=EntityCategory.CONFIG)


async def async_setup_entry(
    hass: HomeAssistant, entry: HubqueueConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add those of queues and forwarders."""
    coordinator = entry.runtime_data.coordinator
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.queues,
        lambda name: [QueuePaused(coordinator, PAUSED, name)],
        async_add_entities,
    )
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.links,
        lambda name: [LinkPaused(coordinator, PAUSED, name)],
        async_add_entities,
    )


class QueuePaused(QueueEntity, SwitchEntity):
    """On while a queue hands out no jobs."""

    @property
    @override
    def is_on(self) -> bool:
        return self.state_of_queue.paused

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self.async_command_of_admins("Pause", queue=self.queue)
        await self.coordinator.async_request_refresh()

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_command_of_admins("Resume", queue=self.queue)
        await self.coordinator.async_request_refresh()


class LinkPaused(LinkEntity, SwitchEntity):
    """On while a forwarder forwards nothing."""

    @property
    @override
    def is_on(self) -> bool:
        return self.state_of_link.paused

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self.async_command_of_admins("ForwarderPause", name=self.link)
        await self.coordinator.async_request_refresh()

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self.async_command_of_admins("ForwarderResume", name=self.link)
        await self.coordinator.async_request_refresh()
