"""Numbers: how many jobs of a queue may be active at a time."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.number import NumberEntity, NumberEntityDescription, NumberMode
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry
from .entity import QueueEntity, async_add_for_each

PARALLEL_UPDATES = 1

CONCURRENCY: Final = NumberEntityDescription(
    key="concurrency",
    translation_key="concurrency",
    entity_category=EntityCategory.CONFIG,
    entity_registry_enabled_default=False,  # few want one, and every queue would bring it
    native_min_value=0,
    native_max_value=1000,
    native_step=1,
    mode=NumberMode.BOX,
)


async def async_setup_entry(
    hass: HomeAssistant, entry: HubqueueConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add those of queues."""
    coordinator = entry.runtime_data.coordinator
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.queues,
        lambda name: [Concurrency(coordinator, CONCURRENCY, name)],
        async_add_entities,
    )


class Concurrency(QueueEntity, NumberEntity):
    """The concurrency limit of a queue; 0: none."""

    @property
    @override
    def native_value(self) -> float:
        return self.state_of_queue.concurrency or 0

    @override
    async def async_set_native_value(self, value: float) -> None:
        if value:
            await self.async_command_of_admins("SetConcurrency", queue=self.queue, limit=int(value))
        else:
            await self.async_command_of_admins("ClearConcurrency", queue=self.queue)
        await self.coordinator.async_request_refresh()
