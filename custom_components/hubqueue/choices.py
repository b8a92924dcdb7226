"""The editor of actions offers the queues that there are: services.yaml knows none, so its fields are changed here.

The names are those of all hubs that are loaded. A browser that has asked already sees new ones when it is loaded anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.selector import SelectSelector, SelectSelectorConfig, SelectSelectorMode, validate_selector
from homeassistant.helpers.service import async_set_service_schema
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.yaml import load_yaml_dict

from .const import ATTR_QUEUE, DOMAIN
from .coordinator import HubqueueConfigEntry
from .queues import async_named_here

OFFERED: Final = HassKey[list[str]](f"{DOMAIN}_offered_queues")

type Fields = dict[str, Any]


async def async_offer_queues(hass: HomeAssistant, entry: HubqueueConfigEntry) -> None:
    """While the entry is loaded, whenever the names change."""
    described = await hass.async_add_executor_job(_described)

    @callback
    def look() -> None:
        loaded: list[HubqueueConfigEntry] = [*hass.config_entries.async_loaded_entries(DOMAIN), entry]
        names = sorted({name for each in loaded for name in _known(hass, each)})
        if names == hass.data.get(OFFERED):
            return
        hass.data[OFFERED] = names
        for action, fields in described.items():
            async_set_service_schema(hass, DOMAIN, action, {"fields": {**fields, ATTR_QUEUE: _offer(fields, names)}})

    entry.async_on_unload(entry.runtime_data.coordinator.async_add_listener(look))
    look()


def _known(hass: HomeAssistant, entry: HubqueueConfigEntry) -> frozenset[str]:
    return entry.runtime_data.coordinator.data.names | async_named_here(hass, entry)


def _described() -> dict[str, Fields]:
    """The fields of the actions that are for queues, as Home Assistant reads them."""
    found = load_yaml_dict(str(Path(__file__).with_name("services.yaml")))
    return {name: _read(action["fields"]) for name, action in found.items() if ATTR_QUEUE in action["fields"]}


def _read(fields: Mapping[str, Any]) -> Fields:
    return {
        name: {**field, "fields": _read(field["fields"])}
        if "fields" in field
        else {**field, "selector": validate_selector(field["selector"])}
        for name, field in fields.items()
    }


def _offer(fields: Fields, names: list[str]) -> Fields:
    field: Fields = fields[ATTR_QUEUE]
    many = bool((field["selector"].get("text") or {}).get("multiple"))
    config = SelectSelectorConfig(options=names, custom_value=True, multiple=many, mode=SelectSelectorMode.DROPDOWN)
    return {**field, "selector": {"select": SelectSelector(config).config}}
