"""For how long an action is tried when nobody says so: the default of `keep_trying`.

A cover that moves an hour after it was told to hurts somebody; a light that goes on then does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant, split_entity_id
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids

from .entity_services import loaded_entity
from .targets import members_of, target_of

USUAL: Final = timedelta(hours=1)
SHORT: Final = timedelta(minutes=5)

# What moves, locks or makes a noise: nobody may be surprised by it.
NOT_LATE: Final = frozenset({"alarm_control_panel", "cover", "lawn_mower", "lock", "siren", "vacuum", "valve"})
# These do something to others, which count instead.
FOR_OTHERS: Final = frozenset({"automation", "group", "homeassistant", "scene", "script"})


def patience(hass: HomeAssistant, action: str, data: Mapping[str, Any], target: Mapping[str, Any] | None) -> timedelta:
    """The shortest that fits the action and whom it is for."""
    domain = split_entity_id(action)[0]
    domains = {domain}
    if domain in FOR_OTHERS:
        entity_ids = [action, *_targets(hass, target_of(data, target)), *_in_scene(data)]
        domains |= {split_entity_id(each)[0] for each in _with_others(hass, entity_ids)}
    return SHORT if domains & NOT_LATE else USUAL


def _targets(hass: HomeAssistant, target: Mapping[str, Any]) -> set[str]:
    found = async_extract_referenced_entity_ids(hass, TargetSelection(dict(target)))
    return found.referenced | found.indirectly_referenced


def _in_scene(data: Mapping[str, Any]) -> list[str]:
    """What `scene.apply` sets."""
    entities = data.get("entities")
    return [each for each in entities if isinstance(each, str)] if isinstance(entities, Mapping) else []


def _with_others(hass: HomeAssistant, entity_ids: list[str]) -> Iterator[str]:
    """They, the members of groups and scenes, and what scripts and automations name."""
    waiting, seen = [each for each in entity_ids if "." in each], set[str]()
    while waiting:
        entity_id = waiting.pop()
        if entity_id in seen:
            continue
        seen.add(entity_id)
        yield entity_id
        inside = [*members_of(hass, entity_id), *_named_by(hass, entity_id)]
        waiting += [each for each in inside if isinstance(each, str) and "." in each]


def _named_by(hass: HomeAssistant, entity_id: str) -> list[str]:
    if split_entity_id(entity_id)[0] == "scene":
        state = hass.states.get(entity_id)
        return [] if state is None else list(state.attributes.get(ATTR_ENTITY_ID, ()))
    return list(getattr(loaded_entity(hass, entity_id), "referenced_entities", ()))  # of scripts and automations
