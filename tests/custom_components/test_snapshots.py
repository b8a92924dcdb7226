"""What a person sees of everything there can be, written down: a change shows in snapshots/, and is looked at.

`script/home-assistant`'s newest/bin/python -m pytest -c tests/custom_components/pytest.ini PATH --snapshot-update
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from custom_components.hubqueue.diagnostics import async_get_config_entry_diagnostics
from flows import add_subentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry
from seen import until_state
from syrupy.assertion import SnapshotAssertion

from conftest import Call
from support.hub_process import HubProcess

SHOWN = ("original_name", "original_device_class", "translation_key", "unit_of_measurement")
CHANGING = {"epoch", "error", "version", "used_bytes", "free_bytes", "oldest_s", "rates", "deltas", "link", "alert"}


@pytest.fixture
async def everything(hass: HomeAssistant, call: Call, loaded: MockConfigEntry) -> None:
    """A queue with a dead letter, and one subentry of each kind."""
    await call("PUSH", queue="mail", data="secret", maxAttempts=1)
    pulled = await call("PULL", queue="mail", owner="test")
    await call("FAIL", id=pulled["job"]["id"], token=pulled["token"], error="no route")
    await until_state(hass, "sensor.mail_dead_letters", "1")
    for kind, given in {
        "feed": {"name": "Readings", "queue": "readings", "event_types": ["go"], "filter": {}, "job": {}},
        "worker": {"name": "Speaker", "queue": "say", "sequence": [{"delay": 1}], "concurrency": 1},
        "uplink": {
            "queue": "up",
            "to": "tcp://127.0.0.1:9",
            "token": "secret",
            "schedule": {},
            "more": {"test": False},
        },
    }.items():
        await add_subentry(hass, loaded, kind, given)
    await until_state(hass, "sensor.uplink_up_lag", "0")


async def test_devices_and_entities(
    hass: HomeAssistant, loaded: MockConfigEntry, everything: None, snapshot: SnapshotAssertion
) -> None:
    devices = dr.async_get(hass)
    shown: dict[str, dict[str, Any]] = {}
    for entity in er.async_entries_for_config_entry(er.async_get(hass), loaded.entry_id):
        assert entity.device_id is not None
        device = devices.async_get(entity.device_id)
        assert device is not None
        of = shown.setdefault(f"{device.name} ({device.model})", {})
        of[entity.entity_id] = {
            **{key: getattr(entity, key) for key in SHOWN},
            "category": None if entity.entity_category is None else str(entity.entity_category),
            "off at first": entity.disabled_by is not None,
            "of a subentry": entity.config_subentry_id is not None,
        }
    assert {name: dict(sorted(of.items())) for name, of in sorted(shown.items())} == snapshot


async def test_diagnostics(
    hass: HomeAssistant, hub: HubProcess, loaded: MockConfigEntry, everything: None, snapshot: SnapshotAssertion
) -> None:
    dump = await async_get_config_entry_diagnostics(hass, loaded)
    assert "secret" not in json.dumps(dump)
    assert "127.0.0.1" not in json.dumps(dump)
    assert _settled(dump, hub.hub_id) == snapshot


def _settled(tree: Any, hub_id: str) -> Any:
    """Without what is another one each time."""
    if isinstance(tree, dict):
        return {key: "..." if key in CHANGING else _settled(value, hub_id) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_settled(each, hub_id) for each in tree]
    return "hub id" if tree == hub_id else tree
