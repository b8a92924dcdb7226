"""Which targets of a service call are away: Home Assistant leaves them out, and says so in its log at most.

What an action is for is read from how it is registered (targets.py). Of an action that does with its targets what it
likes only those count that do not exist at all: it may be there for what is unavailable (reload, ping, update).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Final

from homeassistant.const import ATTR_ENTITY_ID, ENTITY_MATCH_ALL
from homeassistant.core import HomeAssistant, Service, ServiceCall, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.helpers.group import expand_entity_ids
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids

from .entity_services import entity_service, loaded_entity
from .targets import Targets, target_of

SCENE: Final = "scene"
SCENE_ENTITIES: Final = "entities"  # of scene.apply


@dataclass(slots=True)
class Found:
    """What became of the targets.

    away: what is wrong, in words. some: whether anything is there to act on. any_will_do: what is there is enough.
    """

    away: list[str] = field(default_factory=list)
    some: bool = True
    any_will_do: bool = False


@callback
def look(hass: HomeAssistant, service: Service, call: ServiceCall, *, forwarded: bool) -> Found:
    """Before the call. forwarded: a group or a generic action passes a call on, and has put its targets together."""
    action = f"{call.domain}.{call.service}"
    if action == "scene.apply":
        return Found(_missing(hass, call.data.get(SCENE_ENTITIES, ())))
    told = Targets(hass, action, {}).look_up(target_of(call.data, None))
    if told is None:
        return _of_its_own(hass, service, call)
    some = any(away is None for away in told.values())
    if call.data.get(ATTR_ENTITY_ID) == ENTITY_MATCH_ALL:  # that is what is there, but not nothing
        return Found([] if some else [f"nothing that {action} is for is available"], some, any_will_do=True)
    if not told:
        return Found([f"nothing of the target exists that {action} is for"], some=False)
    found = Found(
        [away.why for name, away in told.items() if away is not None and not (forwarded and _is_disabled(hass, name))],
        some,
    )
    found.away += _groups_passed_over(hass, call, told)
    if call.domain == SCENE:
        found.away += _members_away(hass, call)
    return found


def _groups_passed_over(hass: HomeAssistant, call: ServiceCall, told: Container[str]) -> list[str]:
    """Groups with entities of their own whose members are told of, but which the action itself is not for."""
    served = entity_service(hass, call.domain, call.service)
    if served is None:
        return []
    named = (each for each in sorted(TargetSelection(dict(call.data)).entity_ids) if each not in told)
    loaded = (each for each in named if loaded_entity(hass, each) is not None)
    groups = (each for each in loaded if expand_entity_ids(hass, [each]) == [each])
    return [f"{call.domain}.{call.service} is not for {each}" for each in groups if each not in served.entities]


def _of_its_own(hass: HomeAssistant, service: Service, call: ServiceCall) -> Found:
    """An action that looks its targets up itself, or that has none."""
    if service.schema is None or not cv.is_entity_service_schema(service.schema):
        return Found()
    selection = TargetSelection(dict(call.data))
    found = Found(_missing(hass, selection.entity_ids))
    component = hass.data.get(DATA_INSTANCES, {}).get(call.domain)
    if component is not None:  # it looks among its entities for those that are available
        entities = {entity.entity_id: entity for entity in component.entities}
        named = (entities.get(each) for each in sorted(selection.entity_ids))
        found.away += [
            f"{each.entity_id} is not available" for each in named if each is not None and not each.available
        ]
    return found


def _members_away(hass: HomeAssistant, call: ServiceCall) -> list[str]:
    """Entities of scenes that do not exist: a scene passes them over. Those that are unavailable it calls."""
    selected = async_extract_referenced_entity_ids(hass, TargetSelection(dict(call.data)))
    scenes = (loaded_entity(hass, each) for each in sorted(selected.referenced | selected.indirectly_referenced))
    members = ((scene.extra_state_attributes or {}).get(ATTR_ENTITY_ID, ()) for scene in scenes if scene is not None)
    return [said for each in members if isinstance(each, list) for said in _missing(hass, each)]


def _missing(hass: HomeAssistant, entity_ids: Iterable[str]) -> list[str]:
    registry = er.async_get(hass)
    return [
        f"{each} does not exist"
        for each in sorted(entity_ids)
        if hass.states.get(each) is None and registry.async_get(each) is None
    ]


def _is_disabled(hass: HomeAssistant, entity_id: str) -> bool:
    entry = er.async_get(hass).async_get(entity_id)
    return entry is not None and entry.disabled_by is not None
