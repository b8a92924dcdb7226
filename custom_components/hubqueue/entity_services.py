"""Which actions are done entity by entity, and on which entities: read from how Home Assistant has registered them.

Its registration is the only truth: names say nothing (`switch.turn_on` of one integration may be what it likes). An
action whose registration is not known here is not done entity by entity; `look_for_them` says when none is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from homeassistant.const import ATTR_SUPPORTED_FEATURES
from homeassistant.core import HomeAssistant, callback, split_entity_id
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import service
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_component import DATA_INSTANCES

from .const import LOGGER

ONE_BY_ONE: Final[Callable[..., Any] | None] = getattr(service, "entity_service_call", None)
TOGETHER: Final[Callable[..., Any] | None] = getattr(service, "batched_entity_service_call", None)

# These hand each entity to the action of its own domain.
GENERIC: Final = ("homeassistant.turn_on", "homeassistant.turn_off", "homeassistant.toggle")


@dataclass(frozen=True, slots=True)
class EntityService:
    """An action of entities.

    entities: those that are loaded. domains: of which its entities are, as far as it is known. platform: whose entities
    only, if it is one platform's. together: it is called once with all its entities, not once with each.
    """

    entities: Mapping[str, Entity]
    domains: frozenset[str]
    platform: str | None
    features: tuple[int, ...] | None
    device_classes: tuple[str | None, ...] | None
    together: bool

    def serves(self, entity_id: str, entry: er.RegistryEntry | None) -> bool:
        """Whether it is for such entities; of one that is not loaded, what was stored of it counts."""
        if entity_id in self.entities:
            return True
        if self.platform is not None and (entry is None or entry.platform != self.platform):
            return False
        return not self.domains or split_entity_id(entity_id)[0] in self.domains

    def can(self, hass: HomeAssistant, entity_id: str, entry: er.RegistryEntry | None) -> bool:
        """Whether this entity has the feature and the class that are asked for; what is away may not know yet."""
        entity = self.entities.get(entity_id)
        features, device_class = _of(hass, entity, entity_id, entry)
        away = entity is None or not entity.available
        if self.device_classes is not None and device_class not in self.device_classes:
            return away and device_class is None
        if self.features is None or any(features & each == each for each in self.features):
            return True
        return away and not features


def look_for_them() -> None:
    """Say when this Home Assistant is not one that we know."""
    if ONE_BY_ONE is None:
        LOGGER.warning(
            "this version of Home Assistant is not known: run_action does actions with all their targets at once, "
            "and one that is not available holds the others back; look for a newer version of this integration"
        )


@callback
def entity_service(hass: HomeAssistant, domain: str, name: str) -> EntityService | None:
    """None: it does not exist, or is no action of entities."""
    registered = hass.services.async_services_internal().get(domain, {}).get(name)
    call = None if registered is None else registered.job.target
    if not isinstance(call, partial) or call.func not in (ONE_BY_ONE, TOGETHER) or len(call.args) < 2:
        return None
    entities, domains, platform = _whose(hass, call.args[1], domain)
    if not isinstance(entities, Mapping):
        return None
    return EntityService(
        entities,
        domains,
        platform,
        _values(call.keywords.get("required_features", call.args[4] if len(call.args) > 4 else None)),
        _values(call.keywords.get("entity_device_classes")),
        call.func is TOGETHER,
    )


@callback
def loaded_entity(hass: HomeAssistant, entity_id: str) -> Entity | None:
    """The entity itself, of whatever integration."""
    component = hass.data.get(DATA_INSTANCES, {}).get(split_entity_id(entity_id)[0])
    return None if component is None else component.get_entity(entity_id)


def _whose(hass: HomeAssistant, given: Any, domain: str) -> tuple[Any, frozenset[str], str | None]:
    """The entities of an action, their domains, and the platform they are of."""
    if callable(given):  # of a platform, by its domain: see async_register_platform_entity_service
        named = given.args[1:2] if isinstance(given, partial) else ()
        return given(), frozenset(each for each in named if isinstance(each, str)), domain
    loaded = frozenset(split_entity_id(entity_id)[0] for entity_id in given)
    if domain in loaded or (not loaded and domain in hass.data.get(DATA_INSTANCES, {})):
        return given, frozenset((domain,)), None
    return given, loaded, domain


def _of(
    hass: HomeAssistant, entity: Entity | None, entity_id: str, entry: er.RegistryEntry | None
) -> tuple[int, str | None]:
    """Features and device class of an entity, as it says or as is stored."""
    if entity is not None:
        return int(entity.supported_features or 0), entity.device_class
    if entry is not None:
        return entry.supported_features, entry.device_class or entry.original_device_class
    state = hass.states.get(entity_id)
    return (0, None) if state is None else (int(state.attributes.get(ATTR_SUPPORTED_FEATURES, 0)), None)


def _values(given: Iterable[Any] | None) -> tuple[Any, ...] | None:
    return None if given is None else tuple(given)
