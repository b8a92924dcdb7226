"""Which targets of a service call are away: Home Assistant leaves them out, and says so in its log at most.

What an action serves is read from how it is registered (entity_services.py). Of an action that does with its targets
what it likes only those count that do not exist at all: it may be there for what is unavailable (reload, ping, update).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.const import ATTR_ENTITY_ID, ENTITY_MATCH_ALL
from homeassistant.core import HomeAssistant, Service, ServiceCall, callback, split_entity_id
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.helpers.target import SelectedEntities, TargetSelection, async_extract_referenced_entity_ids

from .entity_services import GENERIC, EntityService, entity_service

GROUP: Final = "group"
SCENE: Final = "scene"
SCENE_ENTITIES: Final = "entities"  # of scene.apply


@dataclass(slots=True)
class Found:
    """What became of the targets.

    away: what is wrong, in words. some: whether anything is there to act on. any_will_do: what is there is enough.
    """

    away: list[str] = field(default_factory=list)
    some: bool = False
    any_will_do: bool = False


@callback
def look(hass: HomeAssistant, service: Service, call: ServiceCall, *, forwarded: bool) -> Found:
    """Before the call. forwarded: a group or a generic action passes a call on, and has put its targets together."""
    action = f"{call.domain}.{call.service}"
    if action in GENERIC:
        return _handed_on(hass, call, action)
    if action == "scene.apply":
        return Found(_missing(hass, call.data.get(SCENE_ENTITIES, ())), some=True)
    served = entity_service(hass, call.domain, call.service)
    if served is None:
        if service.schema is None or not cv.is_entity_service_schema(service.schema):
            return Found(some=True)
        component = hass.data.get(DATA_INSTANCES, {}).get(call.domain)
        if component is None:  # it alone knows what its targets are
            return Found(_missing(hass, TargetSelection(dict(call.data)).entity_ids), some=True)
        entities = {entity.entity_id: entity for entity in component.entities}
        served = EntityService(entities, frozenset((call.domain,)), None, None, None, together=False)
    if call.data.get(ATTR_ENTITY_ID) == ENTITY_MATCH_ALL:
        return _all(served, action)
    found = _Looking(hass, served, action, forwarded).look(call.data)
    if call.domain == SCENE:
        found.away += _members_away(hass, served, call)
    return found


class _Looking:
    def __init__(self, hass: HomeAssistant, served: EntityService, action: str, forwarded: bool) -> None:
        self._hass = hass
        self._served = served
        self._action = action
        self._forwarded = forwarded
        self._registry = er.async_get(hass)
        self._found = Found()

    def look(self, data: Mapping[str, Any]) -> Found:
        selection = TargetSelection(dict(data))
        selected = async_extract_referenced_entity_ids(self._hass, selection)
        away = self._found.away
        away += [f"{each} does not exist" for each in sorted(selection.entity_ids) if _is_lost_group(self._hass, each)]
        away += _missing_places(selected)
        for entity_id in sorted(selected.referenced):
            self._one(entity_id, named=entity_id in selection.entity_ids and not self._forwarded)
        for entity_id in sorted(selected.indirectly_referenced - selected.referenced):
            self._one(entity_id, named=False)
        indirect = selection.area_ids or selection.device_ids or selection.floor_ids or selection.label_ids
        if indirect and not self._found.some and not away:
            away.append(f"{self._action} has nothing to act on in its target")
        return self._found

    def _one(self, entity_id: str, *, named: bool) -> None:
        entry = self._registry.async_get(entity_id)
        entity = self._served.entities.get(entity_id)
        if entity is not None and entity.available:
            self._found.some = self._found.some or named or self._served.can(self._hass, entity_id, entry)
        elif entry is not None and entry.disabled_by is not None:
            if named:
                self._found.away.append(f"{entity_id} is disabled")
        elif not self._served.serves(entity_id, entry):
            if not _exists(self._hass, entity_id):
                self._found.away.append(f"{entity_id} does not exist")
            elif named:
                self._found.away.append(f"{self._action} cannot be used with {entity_id}")
        elif entity is None and entry is None and self._hass.states.get(entity_id) is None:
            self._found.away.append(f"{entity_id} does not exist")
        elif named or self._served.can(self._hass, entity_id, entry):
            self._found.away.append(f"{entity_id} is not available")


def _all(served: EntityService, action: str) -> Found:
    """`entity_id: all` means what is there, and that is not nothing."""
    some = any(entity.available for entity in served.entities.values())
    return Found([] if some else [f"nothing that {action} could act on is available"], some, any_will_do=True)


def _handed_on(hass: HomeAssistant, call: ServiceCall, action: str) -> Found:
    """The actions of the domains are asked for their part when they are called."""
    selection = TargetSelection(dict(call.data))
    selected = async_extract_referenced_entity_ids(hass, selection)
    found = Found(_missing_places(selected))
    found.away += [f"{each} does not exist" for each in sorted(selection.entity_ids) if _is_lost_group(hass, each)]
    for entity_id in sorted(selected.referenced | selected.indirectly_referenced):
        domain, _ = split_entity_id(entity_id)
        if domain != call.domain and hass.services.has_service(domain, call.service):
            found.some = True
        elif entity_id not in selection.entity_ids:
            continue
        elif _exists(hass, entity_id):
            found.away.append(f"{action} cannot be used with {entity_id}")
        else:
            found.away.append(f"{entity_id} does not exist")
    if not found.some and not found.away and selection.has_any_target:
        found.away.append(f"{action} has nothing to act on in its target")
    return found


def _members_away(hass: HomeAssistant, served: EntityService, call: ServiceCall) -> list[str]:
    """Entities of scenes that do not exist: a scene passes them over. Those that are unavailable it calls."""
    selected = async_extract_referenced_entity_ids(hass, TargetSelection(dict(call.data)))
    scenes = (served.entities.get(each) for each in sorted(selected.referenced | selected.indirectly_referenced))
    return [said for scene in scenes if scene is not None for said in _missing(hass, _members(scene))]


def _members(scene: Entity) -> Iterable[str]:
    attributes = scene.extra_state_attributes or {}
    members = attributes.get(ATTR_ENTITY_ID, ())
    return members if isinstance(members, (list, tuple)) else ()


def _missing(hass: HomeAssistant, entity_ids: Iterable[str]) -> list[str]:
    return [f"{entity_id} does not exist" for entity_id in sorted(entity_ids) if not _exists(hass, entity_id)]


def _missing_places(selected: SelectedEntities) -> list[str]:
    kinds = (
        ("area", selected.missing_areas),
        ("device", selected.missing_devices),
        ("floor", selected.missing_floors),
        ("label", selected.missing_labels),
    )
    return [f"{kind} {each} does not exist" for kind, missing in kinds for each in sorted(missing)]


def _exists(hass: HomeAssistant, entity_id: str) -> bool:
    return hass.states.get(entity_id) is not None or er.async_get(hass).async_get(entity_id) is not None


def _is_lost_group(hass: HomeAssistant, entity_id: str) -> bool:
    """A group is replaced by its members: one that does not exist vanishes."""
    return split_entity_id(entity_id)[0] == GROUP and not _exists(hass, entity_id)
