"""Buttons: retry or purge the dead letters of a queue, forward what waits now."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry
from .entity import LinkEntity, QueueEntity, async_add_for_each

PARALLEL_UPDATES = 1

# key: command
QUEUE: Final = {
    ButtonEntityDescription(
        key="retry_dead_letters", translation_key="retry_dead_letters", entity_category=EntityCategory.CONFIG
    ): "RetryDlq",
    ButtonEntityDescription(
        key="purge_dead_letters",
        translation_key="purge_dead_letters",
        entity_category=EntityCategory.CONFIG,
        entity_registry_enabled_default=False,  # what it deletes is gone
    ): "PurgeDlq",
}
DRAIN: Final = ButtonEntityDescription(key="drain", translation_key="drain", entity_category=EntityCategory.CONFIG)


async def async_setup_entry(
    hass: HomeAssistant, entry: HubqueueConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add those of queues and forwarders."""
    coordinator = entry.runtime_data.coordinator
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.queues,
        lambda name: [QueueButton(coordinator, description, name) for description in QUEUE],
        async_add_entities,
    )
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.links,
        lambda name: [DrainButton(coordinator, DRAIN, name)],
        async_add_entities,
    )


class QueueButton(QueueEntity, ButtonEntity):
    """Does something with all dead letters of a queue."""

    entity_description: ButtonEntityDescription

    @override
    async def async_press(self) -> None:
        command = QUEUE[self.entity_description]
        ask = self.async_command_of_admins if command == "PurgeDlq" else self.async_command
        await ask(command, queue=self.queue)


class DrainButton(LinkEntity, ButtonEntity):
    """Tries what waits now at once, whatever schedule and back-off say."""

    @override
    async def async_press(self) -> None:
        await self.async_command("ForwarderDrain", name=self.link)
