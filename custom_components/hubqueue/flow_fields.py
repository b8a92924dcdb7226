"""Fields that several dialogs of subentries have."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import probatio as vol
from homeassistant.config_entries import ConfigEntry
from homeassistant.helpers.selector import SelectSelector, SelectSelectorConfig, SelectSelectorMode

from .const import ATTR_QUEUE

QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,256}")

type Input = dict[str, Any] | None


def queue_field(entry: ConfigEntry[Any], without: Collection[str] = ()) -> dict[Any, Any]:
    """One of the queues that the hub has, or a new one. Empty at first: a browser would choose the first of a list."""
    data = getattr(entry, "runtime_data", None)
    known = sorted(data.coordinator.data.names.difference(without)) if data is not None else []
    field = vol.Required(ATTR_QUEUE, description={"suggested_value": ""})
    config = SelectSelectorConfig(options=known, custom_value=True, mode=SelectSelectorMode.DROPDOWN)
    return {field: SelectSelector(config)}


def queue_error(queue: str, field: str) -> dict[str, str]:
    """What is wrong with the name of a queue."""
    return {} if QUEUE_NAME.fullmatch(queue) else {field: "invalid_queue"}
