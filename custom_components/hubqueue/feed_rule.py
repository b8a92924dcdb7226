"""What a subentry "Entities to queue" makes jobs of: its rule as a value, and the job that a state or an event becomes.

`feeds.py` applies rules. A job has an id of its own from the start, so that one that is sent again after a lost answer
is known; and the time of what happened, however late it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, HomeAssistant, State
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.template import Template
from homeassistant.util.ulid import ulid_now

from . import trying
from .const import ATTR_QUEUE
from .job_options import to_hub
from .outbox_entry import ONCE

SUBENTRY_FEED: Final = "feed"

CONF_TARGET: Final = "target"
CONF_EVENT_TYPES: Final = "event_types"
SECTION_FILTER: Final = "filter"
CONF_CONDITION: Final = "condition"
CONF_ATTRIBUTE_CHANGES: Final = "attribute_changes"
CONF_UNAVAILABLE: Final = "unavailable"
CONF_THROTTLE: Final = "throttle"
SECTION_JOB: Final = "job"
CONF_JOB_NAME: Final = "job_name"
CONF_ATTRIBUTES: Final = "attributes"
CONF_LATEST: Final = "latest"
CONF_PRIORITY: Final = "priority"
CONF_TTL: Final = "ttl"
CONF_KEEP_TRYING: Final = "keep_trying"

ALL_ATTRIBUTES: Final = "all"


@dataclass(frozen=True, slots=True)
class FeedRule:
    """throttle: at most one job in this time for each entity or type of event; the newest is sent at its end.

    latest: a newer job takes the place of the one that waits in the hub for the same entity or type of event.
    options: what the hub is told of each job.
    """

    queue: str
    target: Mapping[str, Any]
    event_types: frozenset[str]
    condition: Template | None
    attribute_changes: bool
    unavailable: bool
    throttle_s: float
    job_name: str | None
    attributes: frozenset[str]
    latest: bool
    options: Mapping[str, Any]

    @classmethod
    def of(cls, hass: HomeAssistant, data: Mapping[str, Any]) -> Self:
        """The rule that the data of a subentry describe."""
        chosen, made = data.get(SECTION_FILTER, {}), data.get(SECTION_JOB, {})
        condition = chosen.get(CONF_CONDITION)
        return cls(
            queue=data[ATTR_QUEUE],
            target=data.get(CONF_TARGET) or {},
            event_types=frozenset(data.get(CONF_EVENT_TYPES, ())),
            condition=Template(condition, hass) if condition else None,
            attribute_changes=chosen.get(CONF_ATTRIBUTE_CHANGES, False),
            unavailable=chosen.get(CONF_UNAVAILABLE, False),
            throttle_s=_seconds(chosen.get(CONF_THROTTLE)),
            job_name=made.get(CONF_JOB_NAME) or None,
            attributes=frozenset(made.get(CONF_ATTRIBUTES, ())),
            latest=made.get(CONF_LATEST, False),
            options=to_hub(_options(made)),
        )

    def wants_state(self, before: State | None, now: State) -> bool:
        """Whether a change becomes a job."""
        if not self.unavailable and now.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
            return False
        if not self.attribute_changes and before is not None and before.state == now.state:
            return False
        return self._holds(entity_id=now.entity_id, from_state=before, to_state=now)

    def wants_event(self, event: Event[Any]) -> bool:
        return self._holds(event=event)

    def job_of_state(self, now: State) -> bytes:
        """The job that a state becomes, as JSON. Errors: ValueError, TypeError for what no JSON can say."""
        data: dict[str, Any] = {"entity_id": now.entity_id, "state": now.state, "at": now.last_updated}
        if self.attributes:
            everything = ALL_ATTRIBUTES in self.attributes
            data["attributes"] = {
                name: value for name, value in now.attributes.items() if everything or name in self.attributes
            }
        return self._job(now.entity_id, now.last_updated, data)

    def job_of_event(self, event: Event[Any]) -> bytes:
        """The job that an event becomes, as JSON. Errors: ValueError, TypeError for what no JSON can say."""
        data = {"event_type": str(event.event_type), "at": event.time_fired, "data": event.data}
        return self._job(str(event.event_type), event.time_fired, data)

    def _holds(self, **variables: Any) -> bool:
        """Errors: TemplateError."""
        if self.condition is None:
            return True
        return bool(cv.boolean(self.condition.async_render(variables, limited=False)))

    def _job(self, key: str, at: datetime, data: dict[str, Any]) -> bytes:
        fields: dict[str, Any] = {
            "customId": f"{ONCE}{ulid_now()}",
            "name": self.job_name or key,
            "data": data,
            "timestamp": round(at.timestamp() * 1000),
            **self.options,
        }
        if self.latest:
            fields |= to_hub({"dedup": {"key": key, "replace": True}})
        return json_bytes(fields)  # what Home Assistant's JSON makes of times, sets and enums is what is sent


def _options(made: Mapping[str, Any]) -> dict[str, Any]:
    spans = {key: timedelta(**made[key]) for key in (CONF_KEEP_TRYING, CONF_TTL) if _seconds(made.get(key))}
    priority = {CONF_PRIORITY: int(made[CONF_PRIORITY])} if made.get(CONF_PRIORITY) else {}
    return trying.patient(spans | priority, forwarded=True)  # readings are for elsewhere, most likely


def _seconds(duration: Mapping[str, float] | None) -> float:
    return timedelta(**duration).total_seconds() if duration else 0.0
