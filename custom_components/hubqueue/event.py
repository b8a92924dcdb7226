"""Event entities: how jobs of a queue end, for the logbook and for simple automations.

Of the outcomes of a second the worst is told, with the numbers of all: a busy queue writes one state a second, no more.
The trigger `hubqueue.job_completed` tells of every single job instead.
"""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import HubqueueConfigEntry, HubqueueCoordinator
from .entity import QueueEntity, async_add_for_each
from .snapshot import QueueState

PARALLEL_UPDATES = 0

DEAD: Final = "dead_lettered"
EXPIRED: Final = "expired"
FAILED: Final = "failed"
COMPLETED: Final = "completed"

OUTCOME: Final = EventEntityDescription(
    key="outcome",
    translation_key="outcome",
    event_types=[COMPLETED, FAILED, EXPIRED, DEAD],
    entity_registry_enabled_default=False,  # it tells of every second in which a job ends
)


async def async_setup_entry(
    hass: HomeAssistant, entry: HubqueueConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add those of queues."""
    coordinator = entry.runtime_data.coordinator
    async_add_for_each(
        entry,
        lambda snapshot: snapshot.queues,
        lambda name: [Outcome(coordinator, OUTCOME, name)],
        async_add_entities,
    )


class Outcome(QueueEntity, EventEntity):
    """How jobs ended in the last second."""

    _unrecorded_attributes = frozenset({"completed", "failed", "expired", "dead_letters"})

    def __init__(self, coordinator: HubqueueCoordinator, description: EventEntityDescription, queue: str) -> None:
        super().__init__(coordinator, description, queue)
        self._before: QueueState | None = coordinator.data.queues.get(queue)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        before = self._before
        now = self.coordinator.data.queues.get(self.queue) if self.coordinator.last_update_success else None
        self._before = now  # what ended while nobody could look is no event
        if before is not None and now is not None and now is not before:
            self._tell(before, now)
        super()._handle_coordinator_update()

    def _tell(self, before: QueueState, now: QueueState) -> None:
        dead = max(0, now.dead - before.dead)
        expired = max(0, now.expired - before.expired)
        failed = int(now.deltas.failed) if now.deltas is not before.deltas else 0
        completed = int(now.deltas.completed) if now.deltas is not before.deltas else 0
        counts = {DEAD: dead, EXPIRED: expired, FAILED: failed, COMPLETED: completed}
        kind = next((kind for kind, count in counts.items() if count), None)
        if kind is not None:
            told = {"completed": completed, "failed": failed, "expired": expired, "dead_letters": dead}
            self._trigger_event(kind, told)
