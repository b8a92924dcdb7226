"""Fields that several dialogs of subentries have."""

from __future__ import annotations

import re
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.helpers.selector import SelectSelector, SelectSelectorConfig, SelectSelectorMode

QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,256}")

type Input = dict[str, Any] | None


def queue_selector(entry: ConfigEntry[Any]) -> SelectSelector:
    """One of the queues that the hub has, or a new one."""
    data = getattr(entry, "runtime_data", None)
    known = sorted(data.coordinator.data.queues) if data is not None else []
    return SelectSelector(SelectSelectorConfig(options=known, custom_value=True, mode=SelectSelectorMode.DROPDOWN))


def queue_error(queue: str, field: str) -> dict[str, str]:
    """What is wrong with the name of a queue."""
    return {} if QUEUE_NAME.fullmatch(queue) else {field: "invalid_queue"}
