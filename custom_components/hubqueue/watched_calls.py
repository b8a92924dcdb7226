"""The service calls of a job's run: one whose target is away has failed, as if it had raised there.

Home Assistant leaves out what is missing or unavailable and says nothing to the caller, nor of a script that stops with
an error or runs already; listeners of its events cannot object. So the registry of services gets a subclass of its own
class, once for all entries, which looks at calls that are made while a watched run is under way and with a context of
that run; all others pass through it. What is there is done first. A call that somebody passes on (a group, a scene, a
generic action) is not broken off: what was away counts for the step of the run that has led to it. Rule: nothing here
touches a call of somebody else, or of a run that ended.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, override

from homeassistant.core import (
    CALLBACK_TYPE,
    Context,
    EntityServiceResponse,
    HomeAssistant,
    Service,
    ServiceCall,
    ServiceRegistry,
    ServiceResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.util.hass_dict import HassKey

from .away import Found, look
from .const import DOMAIN, LOGGER
from .why import why_script

MOST_TOLD: Final = 10
BACKGROUND: Final = ("script.turn_on", "script.turn_off", "script.toggle")  # nobody waits for what they start
RELOAD: Final = "script.reload"

type Answer = ServiceResponse | EntityServiceResponse
type Execute = Callable[[Service, ServiceCall], Coroutine[Any, Any, Any]]


class NotDoneError(HomeAssistantError):
    """An action was to act on something that is not there, or a script has not done what it is for."""

    def __init__(self, why: list[str]) -> None:
        told = list(dict.fromkeys(why))
        more = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        super().__init__("; ".join(told[:MOST_TOLD]) + more)


@dataclass(slots=True)
class _Scope:
    """Where calls come from now. contexts: those that are its own. adopts: whose child is its own too.

    away: None where a call is a step, which fails; else what was away in calls that are passed on. ignore: what is away
    is left out.
    """

    contexts: set[str]
    ignore: bool
    adopts: str | None = None
    away: list[str] | None = None
    is_open: bool = True

    def takes(self, context: Context) -> bool:
        if context.id in self.contexts:
            return self.is_open
        if self.adopts is None or context.parent_id != self.adopts:
            return False
        self.contexts.add(context.id)
        return self.is_open


@dataclass(slots=True)
class _Installed:
    """base: whose place was taken; None: that of nobody."""

    base: type[ServiceRegistry] | None
    users: set[object] = field(default_factory=set)


_SCOPE: Final[ContextVar[_Scope | None]] = ContextVar("hubqueue_calls", default=None)
INSTALLED: Final = HassKey["_Installed"](f"{DOMAIN}_watched_calls")


@contextmanager
def watched(context: Context, *, of_child: bool = False, ignore: bool = False) -> Iterator[None]:
    """Calls with this context are steps of the run; of_child: those with a child of it, as an automation makes one.

    ignore: what is away is left out.
    """
    scope = _Scope(set(), ignore, adopts=context.id) if of_child else _Scope({context.id}, ignore)
    before = _SCOPE.get()
    _SCOPE.set(scope)
    try:
        yield
    finally:
        scope.is_open = False
        _SCOPE.set(before)


@callback
def async_watch_calls(hass: HomeAssistant) -> CALLBACK_TYPE:
    """Be able to watch, until what is answered is called by the last who asked."""
    installed = hass.data.get(INSTALLED)
    if installed is None or not installed.users:
        installed = hass.data[INSTALLED] = _install(hass)
    user = object()
    installed.users.add(user)

    @callback
    def leave() -> None:
        installed.users.discard(user)
        if not installed.users:
            _remove(hass, installed)

    return leave


class _Watching(ServiceRegistry):
    __slots__ = ()

    @override
    def _execute_service(self, handler: Service, service_call: ServiceCall) -> Coroutine[Any, Any, ServiceResponse]:
        """Not a coroutine itself: a call that is not watched costs the look at one variable."""
        execute = super()._execute_service
        scope = _SCOPE.get()
        if scope is None or not scope.takes(service_call.context):
            return execute(handler, service_call)
        return _execute(scope, execute, handler, service_call)


async def _execute(scope: _Scope, execute: Execute, handler: Service, call: ServiceCall) -> Any:
    found = Found() if scope.ignore else look(call.hass, handler, call, forwarded=scope.away is not None)
    inner = _inside(call, scope.ignore)
    _SCOPE.set(inner)
    try:
        answer = await execute(handler, call)
    except HomeAssistantError as error:
        # Home Assistant objects only when an answer is wanted, and without saying what is away
        if found.some or not found.away or isinstance(error, Unauthorized):
            raise
        raise NotDoneError(found.away) from error
    finally:
        _SCOPE.set(scope)
        if inner is not None:
            inner.is_open = False
    away = list(found.away)
    if inner is not None and inner.away and not found.any_will_do:
        away += inner.away
    if (words := _broke_off(call)) is not None:
        away.append(words)
    if away and scope.away is None:
        raise NotDoneError(away)
    if away and scope.away is not None:
        scope.away += away
    return answer


def _inside(call: ServiceCall, ignore: bool) -> _Scope | None:
    """Where calls come from that are made while a call is done."""
    if f"{call.domain}.{call.service}" in BACKGROUND:
        return None
    if call.domain == "script":  # its steps have the context of the call
        return _Scope({call.context.id}, ignore)
    adopts = call.context.id if call.domain == "automation" else None
    return _Scope({call.context.id}, ignore, adopts, away=[])


def _broke_off(call: ServiceCall) -> str | None:
    """Why a script that was called has not done what it is for: Home Assistant goes on as if it had."""
    action = f"{call.domain}.{call.service}"
    if call.domain != "script" or action in BACKGROUND or action == RELOAD:
        return None
    return why_script(call.hass, action)


def _install(hass: HomeAssistant) -> _Installed:
    base = type(hass.services)
    if issubclass(base, _Watching):  # left there under the class of somebody else
        return _Installed(None)
    if not _is_known(base):
        LOGGER.warning(
            "this version of Home Assistant is not known: jobs whose actions act on something that is not there count "
            "as done; look for a newer version of this integration"
        )
        return _Installed(None)
    bases = (_Watching,) if base is ServiceRegistry else (_Watching, base)
    hass.services.__class__ = type("WatchingServiceRegistry", bases, {"__slots__": ()})
    return _Installed(base)


def _remove(hass: HomeAssistant, installed: _Installed) -> None:
    mine = type(hass.services)
    if installed.base is not None and mine.__name__ == "WatchingServiceRegistry" and issubclass(mine, _Watching):
        hass.services.__class__ = installed.base
    # else somebody has put a class of theirs over ours: it stays, and lets calls pass


def _is_known(registry: type) -> bool:
    execute = getattr(registry, "_execute_service", None)
    return (
        issubclass(registry, ServiceRegistry)
        and execute is not None
        and list(inspect.signature(execute).parameters) == ["self", "handler", "service_call"]
    )
