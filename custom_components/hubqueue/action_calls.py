"""Does the calls of actions that `run_action` has put into queues, and sees that they had their effect.

A call that fails is tried again, as long as its caller wanted; one that a newer call of the same `supersede` key has
taken the place of is not. Calls of one group are done in order: a later one waits while an earlier one is tried again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.start import async_at_started

from .attempt import Attempt
from .comebacks import Comebacks
from .connection import Message
from .const import LOGGER
from .consumer import Consumer
from .errors import HubError
from .outcome import Complete, Fail, Outcome, Release
from .runs import AGAIN_S, Leased, Runs
from .seal import Seal, async_seal

AT_ONCE: Final = 4  # calls of a queue; those of one group never beside each other
NOTE_S: Final = 0.25  # so that entities that are done at once are noted together, or not at all when all of them are
FOREIGN_S: Final = 30.0
BEHIND_S: Final = 1.0
AGAIN_MS: Final = 10  # what the hub may round


class Calls:
    """The calls of one hub."""

    def __init__(self, hass: HomeAssistant, runs: Runs, entry_id: str) -> None:
        self._hass = hass
        self._runs = runs
        self._entry_id = entry_id
        self._seal: Seal | None = None
        self._stop: CALLBACK_TYPE | None = None
        self._started = False
        self._taken: set[str] = set()
        self._looking: set[asyncio.Task[None]] = set()
        self._comebacks = Comebacks(hass, runs)
        # calls that wait for an earlier one, by group: until when, by the hub's clock
        self._held: dict[tuple[str, str | None], dict[str, float]] = {}

    async def async_start(self) -> CALLBACK_TYPE:
        """Begin when Home Assistant has started: before, nothing would be available."""
        seal = self._seal = await async_seal(self._hass)

        @callback
        def started(_: HomeAssistant) -> None:
            self._started = True
            for queue in seal.queues(self._entry_id):
                self.take_from(queue)

        stop = async_at_started(self._hass, started)

        @callback
        def stopped() -> None:
            stop()
            for task in self._looking:
                task.cancel()
            self._comebacks.clear()

        return stopped

    @callback
    def take_from(self, queue: str) -> None:
        """Work this queue too, once Home Assistant has started. Consumers end with the runs of the hub."""
        if self._started and queue not in self._taken:
            self._taken.add(queue)
            Consumer(self._runs, queue, self._run, concurrency=AT_ONCE, group={"concurrency": 1}).start()
            self._looking.add(task := self._runs.spawn(self._try_what_waits(queue), f"try what waits in {queue}"))
            task.add_done_callback(self._looking.discard)

    async def _try_what_waits(self, queue: str) -> None:
        """Whom earlier calls wait for is not known any more, nor who has come back meanwhile: each is tried once."""
        assert self._seal is not None
        held_until_ms: dict[str, float] = {}  # those behind the first of a group
        try:
            async for job in self._delayed(queue):
                group = job["groupId"]
                if self._seal.is_ours(job.get("data")):
                    self._comebacks.soon(job["id"], held_until_ms.get(group, 0.0))
                if group is not None:
                    held_until_ms.setdefault(group, float(job["runAt"]) + 1000 * BEHIND_S)
        except HubError as error:  # the back-off alone counts then
            LOGGER.debug("what waits is not tried at once queue=%s code=%s", queue, error.code)

    async def _run(self, leased: Leased) -> Outcome:
        assert self._seal is not None
        self._comebacks.forget(leased.id)
        data = leased.job.get("data")
        if not self._seal.is_ours(data):
            return Release(FOREIGN_S, growing=True)  # of another Home Assistant at the same hub
        call = self._seal.open(data, leased.id)
        if call is None:
            return Fail("this call was not put here by Home Assistant", final=True)
        if leased.id in self._seal.ended and not _is_run_again(leased.job):
            # the hub has not heard of it, or somebody has put it there once more
            return Complete(self._seal.ended[leased.id])
        outcome = await self._try(leased, call, Attempt(self._hass, call, self._seal.done(data, leased.id)))
        if isinstance(outcome, Complete):
            self._seal.remember(leased.id, outcome.result)
        if isinstance(outcome, Complete) or (isinstance(outcome, Fail) and outcome.final):
            for other, until_ms in self._held.pop(_group(leased), {}).items():
                self._comebacks.soon(other, until_ms)
        return outcome

    async def _try(self, leased: Leased, call: Mapping[str, Any], attempt: Attempt) -> Outcome:
        if await self._superseded(leased):
            return _superseded_by_now(attempt)
        if _is_late(leased.job, call["until_ms"]):
            return Fail(_too_late(leased), final=True)
        if (wait_s := await self._behind(leased)) is not None:
            now_ms = self._runs.client.hub_now_ms()
            until_ms = math.inf if now_ms is None else now_ms + 1000 * wait_s
            self._held.setdefault(_group(leased), {})[leased.id] = until_ms
            return Release(wait_s)
        noting = self._runs.spawn(self._note_as_it_goes(leased, attempt), f"note {leased.id}")
        try:
            await attempt.run()
        finally:
            noting.cancel()
        if not attempt.waits:
            return Complete({"done": sorted(attempt.done)} if attempt.done else None)
        self._comebacks.wait(leased.id, attempt.waits, attempt.gone)
        await self._note(leased, attempt)
        if await self._superseded(leased):
            self._comebacks.forget(leased.id)
            return _superseded_by_now(attempt)
        return Fail(attempt.words(), final=attempt.is_final)

    async def _note_as_it_goes(self, leased: Leased, attempt: Attempt) -> None:
        """What is done is not done again when Home Assistant is killed while others are waited for."""
        while True:
            await attempt.changed.wait()
            await asyncio.sleep(NOTE_S)
            attempt.changed.clear()
            await self._note(leased, attempt)

    async def _note(self, leased: Leased, attempt: Attempt) -> None:
        """Keep with the job how far its call is, if there is more to tell than why it failed."""
        assert self._seal is not None
        if not attempt.is_of_several:
            return
        percent = 100 * len(attempt.done) / (len(attempt.done) + len(attempt.waits))
        data = self._seal.note(leased.job["data"], leased.id, attempt.done, attempt.progress)
        try:
            await self._ask(
                "Progress", id=leased.id, token=leased.token, progress=percent, message=attempt.words() or None
            )
            await self._ask("Update", id=leased.id, data=data)
        except HubError as error:  # it is not ours any more
            LOGGER.debug("the progress of a call was not kept job=%s code=%s", leased.id, error.code)

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
        if group is None:
            return None
        now_ms = self._runs.client.hub_now_ms()  # its clock may be another one
        async for job in self._delayed(leased.job["queue"]):
            if job["groupId"] == group and job["seq"] < leased.job["seq"]:
                wait_s = 0.0 if now_ms is None else (float(job["runAt"]) - now_ms) / 1000
                return max(0.0, wait_s) + BEHIND_S
        return None

    async def _delayed(self, queue: str) -> AsyncIterator[Message]:
        """The jobs of a queue that wait for their time, oldest first. Errors: HubError."""
        cursor: dict[str, str] = {}
        while True:
            found = await self._ask("FindJobs", queue=queue, states=["delayed"], ascending=True, limit=200, **cursor)
            for job in found["jobs"]:
                yield job
            if found["cursor"] is None:
                return
            cursor = {"cursor": found["cursor"]}


def _group(leased: Leased) -> tuple[str, str | None]:
    return leased.job["queue"], leased.job.get("groupId")


def _superseded_by_now(attempt: Attempt) -> Outcome:
    return Complete({"superseded": True} | ({"done": sorted(attempt.done)} if attempt.done else {}))


def _is_late(job: Mapping[str, Any], until_ms: int) -> bool:
    """Whether nobody wants it any more: an old call that somebody has put there again, or the hub's clock is wrong.

    The hub itself makes a dead letter of what is late. What somebody runs again has more time: the hub alone gives it.
    """
    return time.time() * 1000 >= until_ms and not _is_run_again(job)


def _is_run_again(job: Mapping[str, Any]) -> bool:
    """Whether somebody has had it run again: whoever may only enqueue cannot make it look so."""
    keep_ms, ends_ms = job.get("keepTrying"), job.get("endsAt")
    return keep_ms is not None and ends_ms is not None and ends_ms > job["createdAt"] + keep_ms + AGAIN_MS


def _too_late(leased: Leased) -> str:
    steps = reversed(leased.job.get("timeline", ()))
    errors = [str(step.get("error")) for step in steps if step["state"] == "failed"]
    return (*errors, "it could not be tried while it was wanted")[0] + "; its keep_trying is over"
