"""For how long run_action tries when nobody says: by what is done, and by whom it is done to."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml
from automations import until_job
from custom_components.hubqueue.const import DOMAIN
from custom_components.hubqueue.patience import NOT_LATE, patience
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from lamps import Lamps
from pytest_homeassistant_custom_component.common import MockConfigEntry

from conftest import ROOT, Call

HOUR, MINUTES = timedelta(hours=1), timedelta(minutes=5)

HOUSE = """
group: {shut: {entities: [light.one, cover.gate]}}
scene: [{name: Night, entities: {light.one: "off", lock.door: locked}}, {name: Dim, entities: {light.one: "on"}}]
script:
  close: {sequence: [{action: homeassistant.turn_off, target: {entity_id: cover.gate}}]}
  evening: {sequence: [{action: scene.turn_on, target: {entity_id: scene.night}}]}
  light: {sequence: [{action: light.turn_on, target: {entity_id: light.one}}]}
"""


@pytest.mark.parametrize("domain", sorted(NOT_LATE))
def test_what_moves_or_makes_noise_is_not_done_late(hass: HomeAssistant, domain: str) -> None:
    assert patience(hass, f"{domain}.do", {}, None) == MINUTES


@pytest.mark.parametrize("domain", ["light", "switch", "climate", "notify", "media_player", "test"])
def test_everything_else_has_an_hour(hass: HomeAssistant, domain: str) -> None:
    assert patience(hass, f"{domain}.do", {}, None) == HOUR
    assert patience(hass, f"{domain}.do", {"entity_id": "cover.gate"}, None) == HOUR


async def test_what_does_something_to_others_is_as_they_are(hass: HomeAssistant, lamps: Lamps) -> None:
    for domain, config in yaml.safe_load(HOUSE).items():
        assert await async_setup_component(hass, domain, {domain: config})
    await hass.async_block_till_done()
    area = ar.async_get(hass).async_create("Drive")
    gate = er.async_get(hass).async_get_or_create("cover", "test", "gate", original_name="gate")
    er.async_get(hass).async_update_entity(gate.entity_id, area_id=area.id)
    on: Any = "homeassistant.turn_on"
    rows: list[tuple[str, dict[str, Any], dict[str, Any] | None, timedelta]] = [
        (on, {}, {"entity_id": ["light.one"]}, HOUR),
        (on, {}, {"entity_id": ["light.one", "cover.gate"]}, MINUTES),
        (on, {"entity_id": "light.one, siren.yard"}, None, MINUTES),
        (on, {"entity_id": "all"}, None, HOUR),
        (on, {}, {"area_id": area.id}, MINUTES),
        (on, {}, {"area_id": "nowhere"}, HOUR),
        (on, {}, {"entity_id": "group.shut"}, MINUTES),
        ("scene.turn_on", {}, {"entity_id": "scene.night"}, MINUTES),
        ("scene.turn_on", {}, {"entity_id": "scene.dim"}, HOUR),
        ("scene.apply", {"entities": {"valve.water": "closed"}}, None, MINUTES),
        ("scene.apply", {"entities": None}, None, HOUR),
        ("script.close", {}, None, MINUTES),
        ("script.evening", {}, None, MINUTES),
        ("script.light", {}, None, HOUR),
        ("script.turn_on", {}, {"entity_id": "script.close"}, MINUTES),
        ("script.nope", {}, None, HOUR),
    ]
    for action, data, target, wanted in rows:
        assert patience(hass, action, data, target) == wanted, (action, data, target)


@pytest.fixture
async def lamps(hass: HomeAssistant, loaded: MockConfigEntry) -> Lamps:
    made = Lamps(hass)
    await made.make("one")
    return made


async def test_the_job_is_kept_as_long(hass: HomeAssistant, call: Call, lamps: Lamps) -> None:
    for given, wanted in (
        ({"action": "light.turn_on", "target": {"entity_id": "light.one"}}, HOUR),
        ({"action": "cover.open_cover", "target": {"entity_id": "cover.gate"}}, MINUTES),
        (
            {"action": "cover.open_cover", "target": {"entity_id": "cover.gate"}, "keep_trying": {"days": 2}},
            2 * 24 * HOUR,
        ),
    ):
        answer = await hass.services.async_call(DOMAIN, "run_action", given, blocking=True, return_response=True)
        assert answer is not None
        job = await until_job(call, str(answer["id"]))
        until_ms = json.loads(job["data"]["sealed"])["until_ms"]
        assert abs(until_ms - job["createdAt"] - wanted / timedelta(milliseconds=1)) < 60_000


def test_the_guide_names_them() -> None:
    text = (ROOT / "docs" / "home-assistant.md").read_text().partition("\n## Actions that are tried")[2]
    row = next(line for line in text.splitlines() if line.startswith("| `keep_trying` |"))
    assert all(f"`{domain}`" in row for domain in NOT_LATE)
