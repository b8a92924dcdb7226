"""The config entry that an action is for: whether its hub is there now, or was ever reached, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import service

from .const import DOMAIN

if TYPE_CHECKING:
    from .coordinator import HubqueueConfigEntry


@callback
def async_hub_of(hass: HomeAssistant, entry_id: str | None) -> HubqueueConfigEntry:
    """The hub an action is for, whether it is there now or not. Errors: ServiceValidationError."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False, include_disabled=False)
    named = [each for each in entries if entry_id in (None, each.entry_id)]
    if len(named) == 1:
        return named[0]
    entry: HubqueueConfigEntry = service.async_get_config_entry(hass, DOMAIN, entry_id)  # says what is wrong
    return entry


@callback
def async_reached_hub(hass: HomeAssistant, entry_id: str | None) -> HubqueueConfigEntry:
    """The hub an action needs now. Errors: ServiceValidationError, HomeAssistantError: why it is not there."""
    entry = async_hub_of(hass, entry_id)
    if entry.state is ConfigEntryState.LOADED:
        return entry
    ours = entry.error_reason_translation_domain == DOMAIN and entry.error_reason_translation_key is not None
    raise HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=entry.error_reason_translation_key if ours else "link_down",
        translation_placeholders=entry.error_reason_translation_placeholders if ours else None,
    )
