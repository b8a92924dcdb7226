"""Sensors of subentries: what a feed has sent and still holds, what a worker has done.

They are of Home Assistant's own doing, so they stay available while the hub is away: that is when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.sensor import SensorEntity, SensorEntityDescription, SensorStateClass
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry
from .entity import subentry_device
from .listeners import Listeners
from .outbox_entry import Tally
from .subentry_worker import SubentryWorker


@dataclass(frozen=True, kw_only=True)
class SubentryDescription[Of](SensorEntityDescription):
    """A sensor and where its value is."""

    value: Callable[[Of], int]


FEED: Final[tuple[SubentryDescription[Tally], ...]] = (
    SubentryDescription(
        key="feed_sent",
        translation_key="feed_sent",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda tally: tally.sent,
    ),
    SubentryDescription(
        key="feed_buffered",
        translation_key="feed_buffered",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda tally: tally.waiting,
    ),
    SubentryDescription(
        key="feed_lost",
        translation_key="feed_lost",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda tally: tally.lost,
    ),
)
WORKER: Final[tuple[SubentryDescription[SubentryWorker], ...]] = (
    SubentryDescription(
        key="worker_completed",
        translation_key="worker_completed",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda worker: worker.completed,
    ),
    SubentryDescription(
        key="worker_failed",
        translation_key="worker_failed",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value=lambda worker: worker.failed,
    ),
    SubentryDescription(
        key="worker_released",
        translation_key="worker_released",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=lambda worker: worker.released,
    ),
)


@callback
def async_add_subentry_sensors(entry: HubqueueConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback) -> None:
    """Those of a subentry belong to it, and go with it."""
    data = entry.runtime_data
    for subentry_id, feed in data.keeping.feeds.by_id.items():
        device = subentry_device(data.coordinator, subentry_id, "Entities to queue")
        sent = [SubentrySensor(feed.tally, data.keeping.listeners, device, subentry_id, each) for each in FEED]
        async_add_entities(sent, config_subentry_id=subentry_id)
    for subentry_id, worker in data.workers.items():
        device = subentry_device(data.coordinator, subentry_id, "Worker")
        done = [SubentrySensor(worker, worker.listeners, device, subentry_id, each) for each in WORKER]
        async_add_entities(done, config_subentry_id=subentry_id)


class SubentrySensor[Of](SensorEntity):
    """A figure of a subentry."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    entity_description: SubentryDescription[Of]

    def __init__(
        self, of: Of, listeners: Listeners, device: DeviceInfo, subentry_id: str, description: SubentryDescription[Of]
    ) -> None:
        self.entity_description = description
        self._attr_unique_id = f"{subentry_id}_{description.key}"
        self._attr_device_info = device
        self._of = of
        self._listeners = listeners

    @property
    @override
    def native_value(self) -> int:
        return self.entity_description.value(self._of)

    @override
    async def async_added_to_hass(self) -> None:
        self.async_on_remove(self._listeners.add(self.async_write_ha_state))
