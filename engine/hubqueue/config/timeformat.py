"""The keys that stand beside every time of the data and say how it is written: timezone and time_unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.model import moment
from hubqueue.model.moment import PER_UNIT, TimeFormat
from hubqueue.model.zone import zone_of


def time_zone(value: Any) -> str:
    return str(checks.from_engine_text(zone_of)(value))


TIMEZONE: Final = "timezone"
UNIT: Final = "time_unit"
TIME_KEYS: Final[Mapping[str, Check]] = {TIMEZONE: time_zone, UNIT: checks.choice(*PER_UNIT)}


def time_format(section: dict[str, Any], outer: TimeFormat = moment.DEFAULT) -> TimeFormat:
    """What the keys of a checked section say, and for the others `outer`; they are taken out of it."""
    zone = zone_of(section.pop(TIMEZONE)) if TIMEZONE in section else outer.zone
    return TimeFormat(zone, section.pop(UNIT, outer.unit))


def with_times(section: dict[str, Any]) -> dict[str, Any]:
    """The section with the format as `times`, where the keys belong to its key `time`. Errors: Wrong without one."""
    if "time" not in section:
        for key in TIME_KEYS:
            if key in section:
                raise Wrong("makes no sense without time", path=[key], hint="time names what is read so")
    section["times"] = time_format(section)
    return section
