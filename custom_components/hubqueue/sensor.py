"""Sensors: what waits, runs, is delayed or dead in each queue, how fast it goes, and the hub's disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfInformation, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry
from .entity import HubqueueEntity, LinkEntity, QueueEntity, async_add_for_each
from .snapshot import LinkState, QueueState, Snapshot
from .subentry_sensor import async_add_subentry_sensors

PARALLEL_UPDATES = 0

type Value = float | int | None


@dataclass(frozen=True, kw_only=True)
class Description[Of](SensorEntityDescription):
    """A sensor and where its value is."""

    value: Callable[[Of], Value]


def _count[Of](key: str, value: Callable[[Of], Value], *, enabled: bool = True) -> Description[Of]:
    return Description(
        key=key,
        translation_key=key,
        state_class=SensorStateClass.MEASUREMENT,
        entity_registry_enabled_default=enabled,
        value=value,
    )


def _age[Of](key: str, value: Callable[[Of], Value]) -> Description[Of]:
    return Description(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        value=value,
    )


QUEUE: Final[tuple[Description[QueueState], ...]] = (
    _count("waiting", lambda queue: queue.waiting),
    _count("delayed", lambda queue: queue.delayed),
    _count("active", lambda queue: queue.active, enabled=False),
    _count("dead_letters", lambda queue: queue.dead),
    Description(
        key="expired",
        translation_key="expired",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda queue: queue.expired,
    ),
    _age("oldest", lambda queue: queue.oldest_s),
    Description(
        key="throughput",
        translation_key="throughput",
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        entity_registry_enabled_default=False,
        value=lambda queue: queue.rates.completed * 60,
    ),
    Description(
        key="failure_rate",
        translation_key="failure_rate",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value=lambda queue: queue.failure_rate,
    ),
)
LINK: Final[tuple[Description[LinkState], ...]] = (
    _count("lag", lambda link: link.waiting),
    _age("lag_age", lambda link: link.oldest_s),
)


def _bytes(key: str, value: Callable[[Snapshot], Value]) -> Description[Snapshot]:
    return Description(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=value,
    )


HUB: Final[tuple[Description[Snapshot], ...]] = (
    _bytes("storage_used", lambda snapshot: snapshot.storage.used_bytes),
    _bytes("storage_free", lambda snapshot: snapshot.storage.free_bytes),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: HubqueueConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of the hub, of its queues and of its forwarders."""
    coordinator = entry.runtime_data.coordinator
    async_add_entities(HubSensor(coordinator, description) for description in HUB)
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.queues,
        lambda name: [QueueSensor(coordinator, description, name) for description in QUEUE],
        async_add_entities,
    )
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.links,
        lambda name: [LinkSensor(coordinator, description, name) for description in LINK],
        async_add_entities,
    )
    async_add_subentry_sensors(entry, async_add_entities)


class HubSensor(HubqueueEntity, SensorEntity):
    """A figure of the hub."""

    entity_description: Description[Snapshot]

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value(self.coordinator.data)


class QueueSensor(QueueEntity, SensorEntity):
    """A figure of a queue."""

    entity_description: Description[QueueState]

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value(self.state_of_queue)


class LinkSensor(LinkEntity, SensorEntity):
    """A figure of a forwarder."""

    entity_description: Description[LinkState]

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value(self.state_of_link)
