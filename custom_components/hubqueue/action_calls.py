"""Does the calls of actions that `run_action` has put into queues, and sees that they had their effect.

A call that fails is tried again, as long as its caller wanted; one that a newer call of the same `supersede` key has
taken the place of is not. Calls of one group are done in order: a later one waits while an earlier one is tried again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import probatio as vol
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, SupportsResponse, callback
from homeassistant.exceptions import TemplateError
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.helpers.template import Template, result_as_boolean

from .connection import Message
from .consumer import Consumer
from .errors import HubError
from .outcome import Complete, Fail, Outcome, Release
from .run_action import Seal, async_seal
from .runs import AGAIN_S, Leased, Runs

AT_ONCE: Final = 4  # calls of a queue; those of one group never beside each other
LOOK_S: Final = 0.1
FOREIGN_S: Final = 30.0
BEHIND_S: Final = 1.0


class Calls:
    """The calls of one hub."""

    def __init__(self, hass: HomeAssistant, runs: Runs, entry_id: str) -> None:
        self._hass = hass
        self._runs = runs
        self._entry_id = entry_id
        self._seal: Seal | None = None
        self._stop: CALLBACK_TYPE | None = None
        self._taken: set[str] = set()

    async def async_start(self) -> CALLBACK_TYPE:
        """Begin when Home Assistant has started: before, nothing would be available."""
        seal = self._seal = await async_seal(self._hass)

        @callback
        def started(_: HomeAssistant) -> None:
            for queue in seal.queues(self._entry_id):
                self.take_from(queue)

        return async_at_started(self._hass, started)

    @callback
    def take_from(self, queue: str) -> None:
        """Work this queue too. Consumers end with the runs of the hub."""
        if queue not in self._taken:
            self._taken.add(queue)
            Consumer(self._runs, queue, self._run, concurrency=AT_ONCE, group={"concurrency": 1}).start()

    async def _run(self, leased: Leased) -> Outcome:
        assert self._seal is not None
        data = leased.job.get("data")
        if not self._seal.is_ours(data):
            return Release(FOREIGN_S, growing=True)  # of another Home Assistant at the same hub
        call = self._seal.open(data, leased.id)
        if call is None:
            return Fail("this call was not put here by Home Assistant", final=True)
        if await self._superseded(leased):
            return Complete({"superseded": True})
        if (wait_s := await self._behind(leased)) is not None:
            return Release(wait_s)
        problem, final = await self._do(call)
        if problem is None:
            return Complete()
        if await self._superseded(leased):
            return Complete({"superseded": True})
        return Fail(problem, final=final or time.time() * 1000 >= call["until_ms"])

    async def _do(self, call: dict[str, Any]) -> tuple[str | None, bool]:
        """What went wrong, and whether it always will."""
        if (missing := self._unavailable(call)) is not None:
            return missing, False
        domain, _, name = call["action"].partition(".")
        try:
            await self._hass.services.async_call(
                domain,
                name,
                call["data"],
                blocking=True,
                context=Context(user_id=call["user_id"]),
                return_response=self._hass.services.supports_response(domain, name) is SupportsResponse.ONLY,
                target=call.get("target"),
            )
        except vol.Invalid as error:
            return f"{call['action']} does not take this: {error}", True
        except Exception as error:  # whatever an action raises is why it failed
            return str(error) or type(error).__name__, False
        return await self._without_effect(call), False

    async def _without_effect(self, call: dict[str, Any]) -> str | None:
        """What is not as it should be, when that has lasted for `success_within`."""
        deadline = self._hass.loop.time() + call["success_within_s"]
        while (problem := self._unavailable(call) or self._not_so(call)) is not None:
            if self._hass.loop.time() >= deadline:
                return problem
            await asyncio.sleep(LOOK_S)
        return None

    def _unavailable(self, call: dict[str, Any]) -> str | None:
        """Home Assistant leaves out what is unavailable, and says nothing."""
        named, others = self._targets(call)
        for entity_id in sorted(named):
            if not self._is_available(entity_id):
                return f"{entity_id} is not available"
        if others and not any(map(self._is_available, others)):
            return "nothing of the target is available"
        return None

    def _not_so(self, call: dict[str, Any]) -> str | None:
        wanted: list[str] = call.get("state", [])
        named, others = self._targets(call) if wanted else (set[str](), set[str]())
        for entity_id in sorted(named | {each for each in others if self._is_available(each)}):
            state = self._hass.states.get(entity_id)
            if state is None or state.state not in wanted:
                return f"{entity_id} is {'gone' if state is None else state.state}, not {' or '.join(wanted)}"
        if (expression := call.get("success")) is not None:
            try:
                so = Template("{{ " + expression + " }}", self._hass).async_render(parse_result=False)
            except TemplateError as error:
                return f"success cannot be told: {error}"
            if not result_as_boolean(so):
                return f"not so: {expression}"
        return None

    def _targets(self, call: dict[str, Any]) -> tuple[set[str], set[str]]:
        """Entities that are named, and those of areas, devices and labels."""
        target = dict(call.get("target") or {})
        if ATTR_ENTITY_ID not in target and ATTR_ENTITY_ID in call["data"]:
            target[ATTR_ENTITY_ID] = call["data"][ATTR_ENTITY_ID]
        if not target or target.get(ATTR_ENTITY_ID) in ("all", "none", ["all"], ["none"]):
            return set(), set()
        found = async_extract_referenced_entity_ids(self._hass, TargetSelection(target))
        return set(found.referenced), set(found.indirectly_referenced)

    def _is_available(self, entity_id: str) -> bool:
        state = self._hass.states.get(entity_id)
        return state is not None and state.state != STATE_UNAVAILABLE

    async def _ask(self, cmd: str, **fields: Any) -> Message:
        """However long the link is down: a call is not done twice because the hub could not be asked."""
        while True:
            await self._runs.client.up()
            try:
                return await self._runs.client.call(cmd, **fields)
            except HubError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def _superseded(self, leased: Leased) -> bool:
        key = leased.job.get("uniqueKey")
        if key is None:
            return False
        fields = {"queue": leased.job["queue"], "deduplicationId": key}
        holder = (await self._ask("GetDeduplicationJobId", **fields))["data"]["jobId"]
        return holder not in (None, leased.id)

    async def _behind(self, leased: Leased) -> float | None:
        """For how long to wait for an earlier call of the group that is tried again later; None: there is none."""
        group = leased.job.get("groupId")
        cursor: dict[str, str] = {}
        while group is not None:
            found = await self._ask(
                "FindJobs", queue=leased.job["queue"], states=["delayed"], ascending=True, limit=200, **cursor
            )
            for job in found["jobs"]:
                if job["groupId"] == group and job["seq"] < leased.job["seq"]:
                    return max(BEHIND_S, float(job["runAt"]) / 1000 - time.time() + BEHIND_S)
            if found["cursor"] is None:
                return None
            cursor = {"cursor": found["cursor"]}
        return None
