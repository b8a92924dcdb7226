"""One try of a call: what can be done now is done, each entity by itself, and what is done is seen to have worked.

`done` and `waits` say how far it is. Who keeps them with the job: action_calls.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import probatio as vol
from homeassistant.const import ATTR_ENTITY_ID, ENTITY_MATCH_ALL, ENTITY_MATCH_NONE, STATE_UNAVAILABLE
from homeassistant.core import Context, HomeAssistant, SupportsResponse, split_entity_id
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.util.async_ import create_eager_task

from .said import is_final, said
from .success import LOOK_S, not_so
from .targets import KEYS, Away, Targets, target_of
from .watched_calls import watched

MOST_TOLD: Final = 20  # entities of an error: it is for people, who find all of them in the data of the job
LONGEST: Final = 2000  # characters; the hub cuts an error at twice as many, and what is done shall be read too
CALL_S: Final = 300.0  # of an entity: one that hangs does not hold the others of the call back for ever
LONG: Final = ("update",)  # what is installed by a call takes as long as it takes
GO_AWAY: Final = ("button", "update")  # a device that restarts is away for a while, as it should be


class Attempt:
    """done: what was done, before or now, with what the registry knows it by. waits: what was not, and why.

    gone: who had no state when this try began, or was unavailable.
    """

    def __init__(self, hass: HomeAssistant, call: Mapping[str, Any], done: Mapping[str, str]) -> None:
        self.done = dict(done)
        self.waits: dict[str, Away] = {}
        self.gone: set[str] = set()
        self.changed = asyncio.Event()
        self._hass = hass
        self._call = call
        self._action: str = call["action"]
        self._target = target_of(call["data"], call.get("target"))
        self._targets = Targets(hass, self._action, call["ids"])
        self._context = Context(user_id=call["user_id"])
        self._registry = er.async_get(hass)

    @property
    def is_of_several(self) -> bool:
        return len(self.done) + len(self.waits) > 1

    @property
    def is_final(self) -> bool:
        """Whether what waits will never be done."""
        return all(away.final for away in self.waits.values())

    @property
    def progress(self) -> dict[str, str]:
        """For people: what is done, and why the rest is not."""
        return {**dict.fromkeys(self.done, "done"), **{name: away.why for name, away in self.waits.items()}}

    def words(self) -> str:
        """Why it failed, and what of it did not."""
        text = _some(list(dict.fromkeys(away.why for away in self.waits.values())), "; ")[:LONGEST]
        return f"{text} (done: {_some(sorted(self.done), ', ')})" if self.done else text

    async def run(self) -> None:
        """Return once all that can be reached is done or has failed."""
        found = self._targets.look_up(self._target)
        if found is None:
            await self._all_at_once()
            return
        self.waits = {name: away for name, away in found.items() if away is not None and not self._is_done(name)}
        self.gone = {name for name in self.waits if not self._is_there(name)}
        there = [name for name, away in found.items() if away is None and not self._is_done(name)]
        if not found and not self.done:
            self.waits = {"target": Away(f"nothing of the target exists that {self._action} is for")}
        self.waits |= {name: Away(f"{name} is being done") for name in there}
        if self._targets.together and there:
            problem = await self._do(there)
            await self._each(self._see(name, problem) for name in there)
        else:
            await self._each(self._one(name) for name in there)

    async def _each(self, work: Any) -> None:
        tasks = [create_eager_task(each) for each in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, entity_id: str) -> None:
        await self._see(entity_id, await self._do([entity_id]))

    async def _see(self, entity_id: str, problem: Away | None) -> None:
        """Note how it went with an entity."""
        problem = problem or await self._effect([entity_id], entity_id)
        if problem is not None:
            self.waits[entity_id] = problem
        else:
            entry = self._registry.async_get(entity_id)
            self.done[entity_id] = "" if entry is None else entry.id
            del self.waits[entity_id]
            self.changed.set()

    def _is_done(self, entity_id: str) -> bool:
        """By its name, or by what the registry knows it by: it may have been renamed."""
        entry = self._registry.async_get(entity_id)
        return entity_id in self.done or (entry is not None and entry.id in self.done.values())

    async def _all_at_once(self) -> None:
        """An action that is not done entity by entity."""
        problem = await self._do(None) or await self._effect(self._expected(), None)
        if problem is not None:
            self.waits[self._action] = problem

    async def _do(self, entity_ids: Sequence[str] | None) -> Away | None:
        """Call the action; entities None: as it was written."""
        domain, _, name = self._action.partition(".")
        data = dict(self._call["data"])
        target = self._call.get("target")
        if entity_ids is not None:
            data = {key: value for key, value in data.items() if key not in KEYS}
            target = {ATTR_ENTITY_ID: list(entity_ids)}
        services = self._hass.services
        longest_s = None if entity_ids is None or domain in LONG else CALL_S
        try:
            # what a scene or a script cannot reach counts too
            async with asyncio.timeout(longest_s) as limit:
                with watched(self._context):
                    await services.async_call(
                        domain,
                        name,
                        data,
                        blocking=True,
                        context=self._context,
                        target=target,
                        return_response=services.has_service(domain, name)
                        and services.supports_response(domain, name) is SupportsResponse.ONLY,
                    )
        except Exception as error:  # whatever an action raises is why it failed
            why = f"it did not end within {CALL_S:g} s" if limit.expired() else said(error, self._action)
            final = is_final(error) or isinstance(error, vol.Invalid)
            if entity_ids is not None and len(entity_ids) == 1 and not final and entity_ids[0] not in why:
                why = f"{entity_ids[0]}: {why}"
            return Away(why, final)
        return None

    async def _effect(self, entity_ids: Sequence[str], about: str | None) -> Away | None:
        """What is not as it should be, when that has lasted for `success_within`. about: `entity_id` of `success`."""
        deadline = self._hass.loop.time() + self._call["success_within_s"]
        while (why := self._not_so(entity_ids, about)) is not None:
            if self._hass.loop.time() >= deadline:
                return Away(why)
            await asyncio.sleep(LOOK_S)
        return None

    def _not_so(self, entity_ids: Sequence[str], about: str | None) -> str | None:
        wanted: list[str] = self._call.get("state", [])
        for entity_id in entity_ids:
            state = self._hass.states.get(entity_id)
            if state is not None and state.state in wanted:
                continue
            if wanted:
                return f"{entity_id} is {'gone' if state is None else state.state}, not {' or '.join(wanted)}"
            if not self._is_there(entity_id) and split_entity_id(entity_id)[0] not in GO_AWAY:
                return f"{entity_id} is not available"
        if (success := self._call.get("success")) is None:
            return None
        why = not_so(self._hass, success, {ATTR_ENTITY_ID: about})
        return why if why is None or about is None else f"{about}: {why}"

    def _expected(self) -> list[str]:
        """Whose state counts for an action that is not done entity by entity."""
        if "state" not in self._call or self._target.get(ATTR_ENTITY_ID) in (ENTITY_MATCH_ALL, ENTITY_MATCH_NONE):
            return []
        found = async_extract_referenced_entity_ids(self._hass, TargetSelection(self._target))
        return sorted(found.referenced | set(filter(self._is_there, found.indirectly_referenced)))

    def _is_there(self, entity_id: str) -> bool:
        state = self._hass.states.get(entity_id)
        return state is not None and state.state != STATE_UNAVAILABLE


def _some(texts: Sequence[str], between: str) -> str:
    more = len(texts) - MOST_TOLD
    return between.join(texts[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
