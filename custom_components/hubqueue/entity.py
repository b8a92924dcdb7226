"""What all entities share: the devices (one hub, one per queue, one per forwarder), names and availability.

Unique ids and device identifiers are `<hub id>`, `<hub id>_queue_<name>_<key>` and `<hub id>_link_<name>_<key>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntry, DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import ACTIONS_QUEUE, DOMAIN
from .coordinator import HubqueueConfigEntry, HubqueueCoordinator
from .errors import HubError
from .rights import async_admins_only
from .snapshot import LinkState, QueueState, Snapshot

type Kind = Literal["queue", "link"]


def hub_device(coordinator: HubqueueCoordinator) -> dict[str, Any]:
    """The device of the hub itself."""
    hub = coordinator.hub
    return {
        "identifiers": {(DOMAIN, hub.hub_id)},
        "name": coordinator.config_entry.title,
        "manufacturer": "hubqueue",
        "model": "Hub",
        "sw_version": hub.version,
        "entry_type": DeviceEntryType.SERVICE,
        "configuration_url": coordinator.client.url,
    }


def subentry_device(coordinator: HubqueueCoordinator, subentry_id: str, model: str) -> DeviceInfo:
    """The device of what a subentry does; named as the subentry is."""
    hub_id = coordinator.hub.hub_id
    return dr.DeviceInfo(
        identifiers={(DOMAIN, f"{hub_id}_subentry_{subentry_id}")},
        name=coordinator.config_entry.subentries[subentry_id].title,
        manufacturer="hubqueue",
        model=model,
        entry_type=DeviceEntryType.SERVICE,
        via_device_id=dr.async_get_device_id_by_identifier(
            coordinator.hass, (DOMAIN, hub_id), config_entry_id=coordinator.config_entry.entry_id
        ),
    )


def part_of_device(entry: HubqueueConfigEntry, device: DeviceEntry) -> tuple[Kind, str] | None:
    """Which queue or forwarder a device is of; None: the hub, or a device of another module."""
    for domain, identifier in device.identifiers:
        if domain != DOMAIN:
            continue
        rest = identifier.removeprefix(f"{entry.unique_id}_")
        if rest.startswith("queue_"):
            return "queue", rest.removeprefix("queue_")
        if rest.startswith("link_"):
            return "link", rest.removeprefix("link_")
    return None


class HubqueueEntity(CoordinatorEntity[HubqueueCoordinator]):
    """An entity of the hub."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: HubqueueCoordinator, description: EntityDescription) -> None:
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.hub.hub_id}_{description.key}"
        self._attr_device_info = dr.DeviceInfo(**hub_device(coordinator))

    async def async_command(self, cmd: str, **fields: Any) -> dict[str, Any]:
        """Do a command for the person who pressed. Errors: HomeAssistantError, translated."""
        try:
            return await self.coordinator.client.call(cmd, **fields)
        except HubError as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="link_down" if error.code == "link_down" else "refused",
                translation_placeholders={"error": str(error)},
            ) from error

    async def async_command_of_admins(self, cmd: str, **fields: Any) -> dict[str, Any]:
        """The same, where only administrators may press. Errors: HomeAssistantError, translated."""
        await async_admins_only(self.hass, self._context, self.entity_id)
        return await self.async_command(cmd, **fields)


class _PartEntity(HubqueueEntity):
    """An entity of a part of the hub, which has a device of its own."""

    def __init__(
        self, coordinator: HubqueueCoordinator, description: EntityDescription, kind: Kind, name: str, model: str
    ) -> None:
        super().__init__(coordinator, description)
        hub_id = coordinator.hub.hub_id
        self._attr_unique_id = f"{hub_id}_{kind}_{name}_{description.key}"
        # a forwarder is usually called as its queue is: their devices are told apart
        named: dict[str, Any] = {"name": name}
        if (kind, name) == ("queue", ACTIONS_QUEUE):
            named = {"translation_key": ACTIONS_QUEUE}
        elif kind == "link":
            named = {"translation_key": "uplink", "translation_placeholders": {"name": name}}
        self._attr_device_info = dr.DeviceInfo(
            identifiers={(DOMAIN, f"{hub_id}_{kind}_{name}")},
            **named,
            manufacturer="hubqueue",
            model=model,
            entry_type=DeviceEntryType.SERVICE,
            via_device_id=dr.async_get_device_id_by_identifier(
                coordinator.hass, (DOMAIN, hub_id), config_entry_id=coordinator.config_entry.entry_id
            ),
        )


class QueueEntity(_PartEntity):
    """An entity of one queue."""

    def __init__(self, coordinator: HubqueueCoordinator, description: EntityDescription, queue: str) -> None:
        super().__init__(coordinator, description, "queue", queue, "Queue")
        self.queue = queue

    @property
    @override
    def available(self) -> bool:
        return super().available and self.queue in self.coordinator.data.queues

    @property
    def state_of_queue(self) -> QueueState:
        return self.coordinator.data.queues[self.queue]


class LinkEntity(_PartEntity):
    """An entity of one forwarder."""

    def __init__(self, coordinator: HubqueueCoordinator, description: EntityDescription, link: str) -> None:
        super().__init__(coordinator, description, "link", link, "Forwarder")
        self.link = link

    @property
    @override
    def available(self) -> bool:
        return super().available and self.link in self.coordinator.data.links

    @property
    def state_of_link(self) -> LinkState:
        return self.coordinator.data.links[self.link]


@callback
def async_add_for_each(
    entry: HubqueueConfigEntry,
    names: Callable[[Snapshot], Mapping[str, Any]],
    make: Callable[[str], Iterable[Entity]],
    add: Callable[[Iterable[Entity]], None],
) -> None:
    """Add entities of every queue (or forwarder) there is now and of each that comes later."""
    coordinator = entry.runtime_data.coordinator
    known: set[str] = set()

    @callback
    def look() -> None:
        there = set(names(coordinator.data))
        new = there - known
        known.intersection_update(there)  # one that comes back later is new again
        known.update(new)
        if new:
            add(entity for name in sorted(new) for entity in make(name))

    entry.async_on_unload(coordinator.async_add_listener(look))
    look()
