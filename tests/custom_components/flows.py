"""Subentries made as a person makes them: through their dialogs."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResult, FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

type Result = FlowResult[Any, Any]


async def try_subentry(hass: HomeAssistant, entry: MockConfigEntry, kind: str, given: dict[str, Any]) -> Result:
    """Open the dialog and send it; what it answers."""
    flows = hass.config_entries.subentries
    shown = await flows.async_init((entry.entry_id, kind), context={"source": SOURCE_USER})
    assert shown["type"] is FlowResultType.FORM
    assert shown["step_id"] == "user"
    return await flows.async_configure(shown["flow_id"], given)


async def add_subentry(hass: HomeAssistant, entry: MockConfigEntry, kind: str, given: dict[str, Any]) -> str:
    """A new one, at work; its id."""
    before = set(entry.subentries)
    done = await try_subentry(hass, entry, kind, given)
    assert done["type"] is FlowResultType.CREATE_ENTRY, done
    await hass.async_block_till_done()
    (subentry_id,) = set(entry.subentries) - before
    return subentry_id


async def change_subentry(
    hass: HomeAssistant, entry: MockConfigEntry, subentry_id: str, given: dict[str, Any]
) -> Result:
    """Send the dialog that changes it."""
    flows = hass.config_entries.subentries
    handler = (entry.entry_id, entry.subentries[subentry_id].subentry_type)
    shown = await flows.async_init(handler, context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id})
    assert shown["step_id"] == "reconfigure"
    done = await flows.async_configure(shown["flow_id"], given)
    await hass.async_block_till_done()
    return done
