"""Pages that a person is sent to: of the guide, of the hub, of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from homeassistant.config_entries import SOURCE_HASSIO
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from yarl import URL

from .const import DOMAIN

if TYPE_CHECKING:
    from .coordinator import HubqueueConfigEntry

GUIDE: Final = "https://github.com/hubqueue/hubqueue/blob/main/docs/home-assistant.md"
REPAIRS: Final = f"{GUIDE}#repairs"


@callback
def of_dead_letters(entry: HubqueueConfigEntry, queue: str) -> str:
    """The hub's own page of them. Of the app only its first page can be named: ingress has no address that stays."""
    if entry.source == SOURCE_HASSIO:
        slug = (URL(entry.data[CONF_URL]).host or "").replace("-", "_")  # a host name has no underscore
        return f"/app/{slug}"
    return f"{entry.data[CONF_URL]}/dead?queue={quote(queue)}"


@callback
def of_queue(hass: HomeAssistant, entry: HubqueueConfigEntry, queue: str) -> str:
    """Its device, or all of the hub where it has none."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, f"{entry.unique_id}_queue_{queue}"), entry.entry_id
    )
    return f"/config/integrations/integration/{DOMAIN}" if device is None else f"/config/devices/device/{device.id}"
