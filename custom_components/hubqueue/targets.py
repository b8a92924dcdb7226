"""The entities that a call is for, looked up anew each time it is tried, and why some of them cannot be reached now.

As Home Assistant does it, but nobody is left out in silence: who is named and away is told, so is who is of an area, a
device, a floor, a label or a group. Only whom the action is not for is left out of those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import probatio as vol
from homeassistant.const import (
    ATTR_AREA_ID,
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    ATTR_FLOOR_ID,
    ATTR_LABEL_ID,
    ENTITY_MATCH_ALL,
    ENTITY_MATCH_NONE,
    STATE_UNAVAILABLE,
)
from homeassistant.core import HomeAssistant, split_entity_id
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import target as target_helpers
from homeassistant.helpers.group import expand_entity_ids
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids

from .entity_services import GENERIC, EntityService, entity_service, loaded_entity

KEYS: Final = (ATTR_ENTITY_ID, ATTR_DEVICE_ID, ATTR_AREA_ID, ATTR_FLOOR_ID, ATTR_LABEL_ID, "exclude")
IDS: Final = vol.Schema(vol.Any(ENTITY_MATCH_NONE, vol.All(cv.ensure_list, [str])))
READ: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(KEYS, IDS),
    ATTR_ENTITY_ID: vol.Schema(cv.comp_entity_ids),
    "exclude": vol.Schema(cv.TARGET_FIELDS),
}


@dataclass(frozen=True, slots=True)
class Away:
    """Why something cannot be done now, as a sentence. final: nor ever."""

    why: str
    final: bool = False


def target_of(data: Mapping[str, Any], target: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole target of a call: Home Assistant takes it from the data where `target` does not say.

    Empty if it is none that Home Assistant would take: then the action itself says so.
    """
    both = {**data, **(target or {})}
    try:
        return {key: READ[key](both[key]) for key in KEYS if both.get(key) is not None}
    except vol.Invalid, TypeError:
        return {}


def registered(hass: HomeAssistant, target: Mapping[str, Any]) -> dict[str, str]:
    """What the registry knows the named entities by, so that they are found when they have another name later."""
    registry = er.async_get(hass)
    named = target.get(ATTR_ENTITY_ID)
    found = {name: registry.async_get(name) for name in named} if isinstance(named, list) else {}
    return {name: entry.id for name, entry in found.items() if entry is not None}


def members_of(hass: HomeAssistant, entity_id: str) -> list[str]:
    """Of a group of Home Assistant's own, which hands calls on to its members; nothing of others."""
    if entity_id.startswith("group."):
        return expand_entity_ids(hass, [entity_id])
    entity = loaded_entity(hass, entity_id)
    if entity is None or entity.platform.platform_name != "group":
        return []
    return list((entity.extra_state_attributes or {}).get(ATTR_ENTITY_ID, ()))


class Targets:
    """Of one action. ids: what the registry knew entities by when they were named."""

    def __init__(self, hass: HomeAssistant, action: str, ids: Mapping[str, str]) -> None:
        self._hass = hass
        self._action = action
        self._ids = ids
        self._registry = er.async_get(hass)
        domain, _, self._name = action.partition(".")
        self._service = entity_service(hass, domain, self._name)

    @property
    def together(self) -> bool:
        """Whether the action wants all of them in one call."""
        return self._service is not None and self._service.together

    def look_up(self, target: Mapping[str, Any]) -> dict[str, Away | None] | None:
        """Each entity with why it is away, or None when it is there; besides, what of the target does not exist.

        None: the action is not done entity by entity, or nothing is named.
        """
        if self._service is None and self._action not in GENERIC:
            return None
        entity_ids = target.get(ATTR_ENTITY_ID, [])
        if entity_ids == ENTITY_MATCH_ALL and self._service is not None:
            return self._told({}, self._all(self._service) - self._excluded(target))
        named = [self._current(each) for each in entity_ids] if isinstance(entity_ids, list) else []
        selection = TargetSelection({**target, ATTR_ENTITY_ID: named})
        if not selection.has_any_target:
            return None
        found = async_extract_referenced_entity_ids(self._hass, selection)
        missing = _missing(found)
        direct, indirect = set[str](), set[str](found.indirectly_referenced)
        for name in named:
            members = expand_entity_ids(self._hass, [name])
            if members == [name]:
                direct |= {name} & found.referenced
            elif members or self._exists(name):
                indirect |= set(members) & found.referenced
            else:
                missing[name] = Away(f"{name} does not exist")
        return self._told(missing, indirect, direct)

    def _told(
        self, missing: Mapping[str, Away], indirect: Iterable[str], direct: Iterable[str] = ()
    ) -> dict[str, Away | None]:
        told: dict[str, Away | None] = dict(missing)
        named, members = self._opened(direct)
        others, more = self._opened(indirect)
        for entity_id in sorted((others | members | more) - named):
            if self._is_for(entity_id):
                told[entity_id] = self._away(entity_id)
        for entity_id in sorted(named):
            told[entity_id] = self._away(entity_id)
        return told

    def _opened(self, entity_ids: Iterable[str]) -> tuple[set[str], set[str]]:
        """Those that are no groups, and the members of those that are."""
        plain, members, seen = set[str](), set[str](), set[str]()
        names = [(each, plain) for each in entity_ids]
        while names:
            name, found_as = names.pop()
            if name in seen:
                continue
            seen.add(name)
            inside = [each for each in members_of(self._hass, name) if each != name]
            names += [(each, members) for each in inside]
            if not inside:
                found_as.add(name)
        return plain, members

    def _all(self, service: EntityService) -> set[str]:
        stored = (
            entry.entity_id
            for entry in self._registry.entities.values()
            if entry.domain in service.domains and service.serves(entry.entity_id, entry)
        )
        return {*service.entities, *stored}

    def _excluded(self, target: Mapping[str, Any]) -> set[str]:
        """Newer than the oldest Home Assistant that we run in."""
        excluded = getattr(target_helpers, "async_extract_excluded_entity_ids", None)
        found: set[str] = set() if excluded is None else excluded(self._hass, TargetSelection(dict(target)))
        return found

    def _current(self, name: str) -> str:
        """Its name today."""
        if self._exists(name):
            return name
        entry = self._registry.entities.get_entry(self._ids.get(name, ""))
        return name if entry is None else entry.entity_id

    def _exists(self, name: str) -> bool:
        return self._registry.async_get(name) is not None or self._hass.states.get(name) is not None

    def _of(self, entity_id: str) -> EntityService | None:
        """The action that this entity is given to."""
        if self._action not in GENERIC:
            return self._service
        return entity_service(self._hass, split_entity_id(entity_id)[0], self._name)

    def _is_handed_on(self, entity_id: str) -> bool:
        """Whether its domain does a generic action in a way of its own, as scripts do."""
        return self._hass.services.has_service(split_entity_id(entity_id)[0], self._name)

    def _is_for(self, entity_id: str) -> bool:
        """Whether an entity that is not named itself is meant."""
        entry, service = self._registry.async_get(entity_id), self._of(entity_id)
        if entry is not None and entry.disabled_by is not None:
            return False
        if service is None:
            return self._is_handed_on(entity_id)
        return service.serves(entity_id, entry) and service.can(self._hass, entity_id, entry)

    def _away(self, entity_id: str) -> Away | None:
        entry, service = self._registry.async_get(entity_id), self._of(entity_id)
        if service is not None and (entity := service.entities.get(entity_id)) is not None:
            return None if entity.available else Away(f"{entity_id} is not available")
        if not self._exists(entity_id):
            return Away(f"{entity_id} does not exist")
        if entry is not None and entry.disabled_by is not None:
            return Away(f"{entity_id} is disabled")
        state = self._hass.states.get(entity_id)
        is_there = state is not None and state.state != STATE_UNAVAILABLE
        if service is None and is_there and self._is_handed_on(entity_id):
            return None
        if service is not None and not service.serves(entity_id, entry):
            return Away(f"{self._action} is not for {entity_id}", final=True)
        return Away(f"{self._action} is not for {entity_id}" if is_there else f"{entity_id} is not available")


def _missing(found: target_helpers.SelectedEntities) -> dict[str, Away]:
    kinds = (
        ("area", found.missing_areas),
        ("device", found.missing_devices),
        ("floor", found.missing_floors),
        ("label", found.missing_labels),
    )
    names = (f"{kind} {each}" for kind, missing in kinds for each in sorted(missing))
    return {name: Away(f"{name} does not exist") for name in names}
