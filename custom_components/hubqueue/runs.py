"""The jobs of one hub that run in Home Assistant: their leases are kept, and what became of each is told the hub.

`Runs` belongs to a loaded entry. Leases are renewed while a job runs, over broken links too; whoever takes a job away
stops its run. When the entry is unloaded or Home Assistant stops, jobs that run are given back and nothing is counted.
Who takes jobs: consumer.py (triggers, Worker, durable actions) and worker.py (the action).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context as FreshContext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import Context, Event, HomeAssistant, callback
from homeassistant.helpers.script import Script
from homeassistant.helpers.trace import script_execution_get, trace_clear

from .actions import shown
from .client import HubClient
from .const import LOGGER
from .errors import HubError, LinkDownError
from .outcome import Complete, Fail, Keep, Outcome, Release, decide
from .run_options import RunOptions
from .said import is_final, said
from .watched_calls import NotDoneError
from .why import why

if TYPE_CHECKING:
    from .consumer import Consumer

LEASE_S: Final = 30.0
RENEW_S: Final = LEASE_S / 3
AGAIN_S: Final = 1.0  # after an answer that may be another one next time
DRAIN_S: Final = 5.0  # runs may end for so long when the entry is unloaded
GIVE_BACK_S: Final = 5.0  # a hub that does not answer finds out by itself
LONGEST_DELAY_S: Final = 300.0
REMEMBERED: Final = 1000  # jobs whose refusals are counted

type Run = Callable[[Leased], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, eq=False)
class Leased:
    """A job that is ours. job: as the hub tells it. token: the right to end it."""

    job: Mapping[str, Any]
    token: str

    @property
    def id(self) -> str:
        id: str = self.job["id"]
        return id

    @property
    def name(self) -> str:
        name: str = self.job["name"]
        return name

    @property
    def variable(self) -> dict[str, Any]:
        """What `job` holds in templates."""
        known = (
            "id",
            "queue",
            "name",
            "data",
            "attempts",
            "attempts_made",
            "priority",
            "group",
            "tags",
            "created_at",
            "run_at",
            "ends_at",
        )
        job = shown(self.job)
        return {**{key: job[key] for key in known}, "token": self.token}


async def async_run_sequence(
    hass: HomeAssistant, script: Script, leased: Leased, options: RunOptions, context: Context | None = None
) -> Outcome:
    """Run actions for a job, which they see as `job`."""
    context = context or Context()
    variables = {"job": leased.variable}
    trace_clear()  # a reason of its own to end, not that of who called us
    try:
        with options.watching(context):
            returned = await script.async_run(variables, context)
    except Exception as error:  # whatever an action raises is how the run ended
        return Release() if hass.is_stopping else why(hass, error) or Fail(said(error))
    execution = script_execution_get()
    if returned is None and execution is None:  # Home Assistant takes no more runs
        return Release()
    result = None if returned is None else returned.service_response
    outcome = decide(result, execution, traced=True, leaving=hass.is_stopping, failed=why(hass))
    return await options.judged(hass, outcome, variables)


async def async_run_script(
    hass: HomeAssistant, entity_id: str, leased: Leased, options: RunOptions, context: Context
) -> Outcome:
    """Run a script for a job, which it sees as `job`."""
    variables = {"job": leased.variable}
    trace_clear()
    try:
        with options.watching(context):
            result = await hass.services.async_call(
                "script",
                entity_id.removeprefix("script."),
                variables,
                blocking=True,
                context=context,
                return_response=True,
            )
    except Exception as error:  # as above
        if hass.is_stopping:
            return Release()
        if not isinstance(error, NotDoneError):
            return why(hass, error) or Fail(said(error))
        result = None  # what the script ended with is told below
    outcome = decide(result or None, script_execution_get(), traced=True, leaving=hass.is_stopping, failed=why(hass))
    return await options.judged(hass, outcome, variables)


class Runs:
    """All jobs of one hub that run here. consumers: who takes jobs (consumer.py), to pass one on to whom it is for."""

    def __init__(self, hass: HomeAssistant, client: HubClient) -> None:
        self.hass = hass
        self.client = client
        self.consumers: set[Consumer] = set()
        self._running: dict[Leased, asyncio.Task[Outcome]] = {}
        self._taken: dict[Leased, str] = {}
        self._settling: set[Leased] = set()
        self._giving: set[asyncio.Task[None]] = set()
        self._refusals = OrderedDict[str, int]()
        self._keeper: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    @callback
    def spawn[T](self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """A task that does not inherit the trace of an automation that happened to start it."""
        return self.hass.loop.create_task(work, name=f"hubqueue {name}", context=FreshContext())

    @callback
    def begin(self, leased: Leased, run: Run) -> asyncio.Task[Outcome]:
        """Run a job and tell the hub how it ended; the task answers that."""
        task = self._running[leased] = self.spawn(self._work(leased, run), f"run {leased.id}")
        task.add_done_callback(lambda ended: self._ended(leased, ended))
        if self._keeper is None:
            self._keeper = self.spawn(self._keep(), "leases")
        return task

    @callback
    def on_link(self, _: str, up: bool) -> None:
        """A link went up or down: the hub waits for us only for some seconds after a break."""
        if up and self.client.connected and self._running and (self._renewing is None or self._renewing.done()):
            self._renewing = self.spawn(self._renew(), "renew")

    async def async_on_stop(self, _: Event) -> None:
        """Home Assistant stops: what runs is stopped with it."""
        await self.async_stop()

    async def async_stop(self, drain_s: float = 0.0) -> None:
        """Nobody takes jobs any more; runs may end for so long, the others are stopped and their jobs given back."""
        for consumer in list(self.consumers):
            consumer.close()
        if self._running and drain_s:
            await asyncio.wait(self._running.values(), timeout=drain_s)
        stopped = [*self._running.values(), *(each for each in (self._keeper, self._renewing) if each is not None)]
        for task in stopped:
            task.cancel()
        if stopped:
            await asyncio.wait(stopped)
        if self._giving:
            await asyncio.wait(self._giving)

    async def _work(self, leased: Leased, run: Run) -> Outcome:
        try:
            outcome = await run(leased)
        except asyncio.CancelledError:
            if self._taken.get(leased) != "cancelled":
                raise
            outcome = Fail("cancelled", final=True)
        except Exception as error:
            LOGGER.exception("a run broke off job=%s queue=%s", leased.id, leased.job["queue"])
            outcome = Fail(said(error), final=is_final(error))
        self._settling.add(leased)
        outcome = self._waiting_longer(leased, outcome)
        await self._settle(leased, outcome)
        return outcome

    @callback
    def _ended(self, leased: Leased, task: asyncio.Task[Outcome]) -> None:
        del self._running[leased]
        self._settling.discard(leased)
        taken = self._taken.pop(leased, None)
        if task.cancelled() and taken is None:  # even before it began
            giving = self.spawn(self._give_back(leased), f"give back {leased.id}")
            self._giving.add(giving)
            giving.add_done_callback(self._giving.discard)
        if not self._running and self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None

    async def _settle(self, leased: Leased, outcome: Outcome) -> None:
        """Tell the hub, once the link is up and however often the answer is lost."""
        while True:
            await self.client.up()
            cmd, fields = _command(outcome)
            try:
                await self.client.call(cmd, id=leased.id, token=leased.token, **fields)
            except HubError as error:
                if isinstance(error, LinkDownError) or error.retryable:
                    await asyncio.sleep(AGAIN_S)
                    continue
                if isinstance(outcome, Complete) and error.code in ("invalid", "payload_too_large"):
                    outcome = Fail(f"the result cannot be kept: {error.message}", final=True)
                    continue
                # an action of the run itself has ended it, or the hub took it back
                LOGGER.debug("a job was not ours any more job=%s code=%s", leased.id, error.code)
            return

    async def _give_back(self, leased: Leased) -> None:
        try:
            await self.client.call("Release", GIVE_BACK_S, id=leased.id, token=leased.token)
        except HubError as error:
            LOGGER.debug("a job was not given back job=%s code=%s", leased.id, error.code)

    def _waiting_longer(self, leased: Leased, outcome: Outcome) -> Outcome:
        """A job that is given back again and again waits twice as long each time."""
        before = self._refusals.pop(leased.id, 0)
        if not isinstance(outcome, Release) or not outcome.growing:
            return outcome
        self._refusals[leased.id] = before + 1
        if len(self._refusals) > REMEMBERED:
            self._refusals.popitem(last=False)
        return Release(min(outcome.delay_s * 2.0 ** min(before, 20), LONGEST_DELAY_S))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self._renew()

    async def _renew(self) -> None:
        held = list(self._running)
        if not held:
            return
        ids, tokens = [each.id for each in held], [each.token for each in held]
        try:
            reply = await self.client.call("JobHeartbeatB", ids=ids, tokens=tokens)
        except HubError as error:  # renewed again as soon as the link is up
            LOGGER.debug("leases were not renewed code=%s", error.code)
            return
        for leased, renewal in zip(held, reply["data"]["renewals"], strict=True):
            if renewal != "renewed" and leased in self._running and leased not in self._settling:
                LOGGER.info("a run is stopped: its job is %s job=%s queue=%s", renewal, leased.id, leased.job["queue"])
                self._taken[leased] = renewal
                self._running[leased].cancel()


def _command(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    match outcome:
        case Complete(result=result):
            return "ACK", {} if result is None else {"result": result}
        case Fail(error=error, final=final):
            # half a character in it, of a state for instance, could not be sent
            return "FAIL", {"error": error.encode(errors="backslashreplace").decode(), "unrecoverable": final}
        case Release(delay_s=delay_s):
            return "Release", {"delay": round(delay_s * 1000)}
        case Keep(lease_s=lease_s):
            return "ExtendLock", {"duration": round(lease_s * 1000)}
