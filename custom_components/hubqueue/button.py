"""Buttons: try now what a queue or a forwarder holds back, retry or purge the dead letters of a queue."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry
from .entity import LinkEntity, QueueEntity, async_add_for_each

PARALLEL_UPDATES = 1

TRY_NOW: Final = ButtonEntityDescription(
    key="try_now", translation_key="try_now", entity_category=EntityCategory.CONFIG
)
# key: command
QUEUE: Final = {
    TRY_NOW: "PromoteJobs",
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
        lambda name: [LinkButton(coordinator, TRY_NOW, name)],
        async_add_entities,
    )


class QueueButton(QueueEntity, ButtonEntity):
    """Does something with all delayed jobs or dead letters of a queue."""

    entity_description: ButtonEntityDescription

    @override
    async def async_press(self) -> None:
        command = QUEUE[self.entity_description]
        ask = self.async_command_of_admins if command == "PurgeDlq" else self.async_command
        await ask(command, queue=self.queue)


class LinkButton(LinkEntity, ButtonEntity):
    """Tries what waits in a forwarder at once, whatever schedule and back-off say."""

    @override
    async def async_press(self) -> None:
        await self.async_command("ForwarderDrain", name=self.link)
