"""Binary sensors: is the hub there, are links up, are there dead letters."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry
from .entity import HubqueueEntity, LinkEntity, QueueEntity, async_add_for_each

PARALLEL_UPDATES = 0

CONNECTED: Final = BinarySensorEntityDescription(
    key="connected",
    translation_key="connected",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
)
PROBLEM: Final = BinarySensorEntityDescription(
    key="problem", translation_key="problem", device_class=BinarySensorDeviceClass.PROBLEM
)
LINK: Final = BinarySensorEntityDescription(
    key="link", translation_key="link", device_class=BinarySensorDeviceClass.CONNECTIVITY
)


async def async_setup_entry(
    hass: HomeAssistant, entry: HubqueueConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add those of the hub, of its queues and of its forwarders."""
    coordinator = entry.runtime_data.coordinator
    async_add_entities([HubConnected(coordinator, CONNECTED)])
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.queues,
        lambda name: [QueueProblem(coordinator, PROBLEM, name)],
        async_add_entities,
    )
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.links,
        lambda name: [LinkUp(coordinator, LINK, name)],
        async_add_entities,
    )


class HubConnected(HubqueueEntity, BinarySensorEntity):
    """On while the hub answers; the one entity that stays available when it does not."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.client.connected


class QueueProblem(QueueEntity, BinarySensorEntity):
    """On while a queue has dead letters."""

    @property
    @override
    def is_on(self) -> bool:
        return self.state_of_queue.dead > 0


class LinkUp(LinkEntity, BinarySensorEntity):
    """On while a forwarder reaches the other hub; unknown while it need not (paused, outside its hours)."""

    @property
    @override
    def is_on(self) -> bool | None:
        state = self.state_of_link
        return None if state.link == "idle" else state.link == "up"
