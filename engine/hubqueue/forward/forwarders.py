"""All forwarders of a hub: those of the configuration, and those made, changed and removed while it runs.

A queue has one forwarder: a batch whose answer was lost must go to the same place again, or its jobs would be in two.
What is made at run time, and every pause, is in the job file before it takes effect. One change at a time, and a
change that was begun is ended whatever becomes of its caller. Built by app.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, Final, TypeVar

import msgspec

from hubqueue.errors import Draining, Duplicate, HubqueueError, NotFound, WrongState
from hubqueue.forward.managed import ForwarderStatus, ManagedForwarder
from hubqueue.forward.plan import Plan, plan_of
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.verdict import Down, Rejected, verdict
from hubqueue.hub import forwarders
from hubqueue.hub.hub import Hub
from hubqueue.model.forwarding import ForwardSpec

log = logging.getLogger(__name__)

RETIRE_LOOK_S: Final = 1.0  # between two looks whether those that retire are done

T = TypeVar("T")


class Forwarders:
    """`start` until `stop`. Units: grace_s seconds that batches in flight may take at a stop."""

    def __init__(self, hub: Hub, declared: Sequence[Plan], *, grace_s: float) -> None:
        self._hub = hub
        self._declared = declared
        self._grace_s = grace_s
        self._uplinks: dict[str, ManagedForwarder] = {}
        self._specs: dict[str, ForwardSpec] = {}
        self._one_change = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()
        self._some_retire = asyncio.Event()
        self._usher: asyncio.Task[None] | None = None
        self._stopped = False

    async def start(self) -> None:
        """Start what is declared and what the job file keeps; the links come up by themselves."""
        kept = {each.name: each for each in await self._hub.run(forwarders.every)}
        for plan in self._declared:
            self._launch(plan, paused=plan.name in kept and kept[plan.name].paused)
        stale = [name for name, each in kept.items() if each.spec is None and name not in self._uplinks]
        await self._hub.run(lambda tx: forwarders.forget(tx, stale))
        for each in kept.values():
            if each.spec is not None:
                self._take_up(each.spec, paused=each.paused)
        self._usher = asyncio.create_task(self._see_off(), name="forwarders-that-retire")

    async def stop(self) -> None:
        """Let batches in flight arrive, give the rest back."""
        async with self._one_change:
            self._stopped = True
            if self._usher is not None:
                self._usher.cancel()
            ending = list(self._uplinks.values())
            self._uplinks.clear()
            await asyncio.gather(*(uplink.stop() for uplink in ending))
            if self._usher is not None:
                await asyncio.gather(self._usher, return_exceptions=True)

    async def statuses(self) -> list[ForwarderStatus]:
        """How each goes, by name."""
        return [await uplink.status() for _, uplink in sorted(self._uplinks.items())]

    async def put(self, spec: ForwardSpec, *, keep: Collection[str] = ()) -> None:
        """Make a forwarder, or let it be another one; one that is so already goes on undisturbed.

        keep: SECRETS that stay those of the present one, if it goes to the same place.
        Errors: Invalid, WrongState, Duplicate, Busy.
        """
        await self._change(self._put(spec, keep))

    async def test(self, spec: ForwardSpec, *, keep: Collection[str] = ()) -> Down | Rejected | None:
        """Whether a forwarder like this could write now; nothing is changed. None: it could. Errors: as of `put`."""
        plan = self._checked(self._whole(spec, keep))
        sink = make_sink(plan.destination, self._hub.system)
        assert isinstance(sink, HubSink)  # what is made while the hub runs goes to a hub
        try:
            await sink.connect()
            await sink.may_write(spec.queue)
        except Exception as error:
            return verdict(error)
        finally:
            await sink.close()
        return None

    async def delete(self, name: str, *, when_empty: bool = False) -> None:
        """End and forget a forwarder; its queue keeps the jobs. when_empty: as soon as there is nothing to forward.

        Errors: NotFound, WrongState.
        """
        await self._change(self._delete(name, when_empty=when_empty))

    async def pause(self, name: str, *, paused: bool) -> None:
        """Hold a forwarder or let it go on; a restart changes nothing of it. Errors: NotFound."""
        await self._change(self._pause(name, paused=paused))

    async def drain(self, name: str) -> int:
        """See `ManagedForwarder.drain`. Errors: NotFound, WrongState."""
        return await self._find(name).drain()

    async def _put(self, spec: ForwardSpec, keep: Collection[str]) -> None:
        spec = self._whole(spec, keep)
        if spec == self._specs.get(spec.name):
            return
        plan = self._checked(spec)
        await self._hub.run(lambda tx: forwarders.put(tx, spec), durable=True)
        old = self._uplinks.get(spec.name)
        self._specs[spec.name] = spec
        if old is not None:
            await old.stop()
        self._launch(plan, paused=old is not None and old.paused)

    def _whole(self, spec: ForwardSpec, keep: Collection[str]) -> ForwardSpec:
        """With the secrets that are kept; they never go to another place than they were given for."""
        former = self._specs.get(spec.name)
        if former is None or former.to != spec.to:
            return spec
        return msgspec.structs.replace(spec, **{name: getattr(former, name) for name in keep})

    def _checked(self, spec: ForwardSpec) -> Plan:
        """Errors: Invalid, WrongState, Duplicate."""
        self._check_own(spec.name, "change it there")
        plan = plan_of(spec, zone=self._hub.settings.timezone)
        other = self._of_queue(spec.queue)
        if other is not None and other.plan.name != spec.name:
            raise Duplicate(
                f"the queue {spec.queue} has a forwarder already: {other.plan.name}",
                hint="a queue has one; change that one, or let producers fill a queue for each destination",
            )
        return plan

    async def _delete(self, name: str, *, when_empty: bool) -> None:
        uplink = self._find(name)
        self._check_own(name, "remove it there, or pause it")
        spec = self._specs[name]
        if not when_empty:
            await self._hub.run(lambda tx: forwarders.delete(tx, name), durable=True)
        elif not await self._hub.run(lambda tx: forwarders.retire(tx, spec), durable=True):
            self._specs[name] = msgspec.structs.replace(spec, retiring=True)
            uplink.retiring = True
            self._some_retire.set()
            return
        await uplink.stop()
        del self._uplinks[name], self._specs[name]
        log.info("forwarder removed forwarder=%s queue=%s", name, uplink.plan.queue)

    async def _pause(self, name: str, *, paused: bool) -> None:
        uplink = self._find(name)
        await self._hub.run(lambda tx: forwarders.pause(tx, name, paused=paused), durable=True)
        uplink.pause(paused=paused)
        log.info("forwarder %s forwarder=%s", "paused" if paused else "resumed", name)

    def _take_up(self, spec: ForwardSpec, *, paused: bool) -> None:
        """Start one of the job file, unless the configuration or this machine has come to be in its way."""
        trouble = ""
        if spec.name in self._uplinks or self._of_queue(spec.queue) is not None:
            trouble = "the configuration has one of its name or queue"
        else:
            try:
                plan = plan_of(spec, zone=self._hub.settings.timezone)
            except HubqueueError as error:
                trouble = str(error)
        if trouble:
            log.warning("a forwarder of the job file is left out: %s forwarder=%s", trouble, spec.name)
            return
        self._specs[spec.name] = spec
        self._launch(plan, paused=paused, retiring=spec.retiring)

    def _launch(self, plan: Plan, *, paused: bool, retiring: bool = False) -> None:
        uplink = ManagedForwarder(self._hub, plan, paused=paused, grace_s=self._grace_s, retiring=retiring)
        self._uplinks[plan.name] = uplink
        uplink.start()
        if retiring:
            self._some_retire.set()

    async def _see_off(self) -> None:
        """Forget those that retire as soon as they may go."""
        while True:
            await self._some_retire.wait()
            await asyncio.sleep(RETIRE_LOOK_S)
            self._some_retire.clear()
            for name in [spec.name for spec in self._specs.values() if spec.retiring]:
                try:
                    await self._change(self._retire(name))
                except HubqueueError as error:
                    self._some_retire.set()
                    log.warning("a forwarder retires later: %s forwarder=%s code=%s", error, name, error.code)

    async def _retire(self, name: str) -> None:
        if name in self._specs and self._specs[name].retiring:  # still, now that no other change is under way
            await self._delete(name, when_empty=True)

    def _find(self, name: str) -> ManagedForwarder:
        uplink = self._uplinks.get(name)
        if uplink is None:
            known = ", ".join(sorted(self._uplinks))
            hint = f"there are {known}" if known else "this hub has no forwarders"
            raise NotFound(f"there is no forwarder {name!r}", hint=hint)
        return uplink

    def _of_queue(self, queue: str) -> ManagedForwarder | None:
        return next((uplink for uplink in self._uplinks.values() if uplink.plan.queue == queue), None)

    def _check_own(self, name: str, hint: str) -> None:
        if any(plan.name == name for plan in self._declared):
            raise WrongState(f"the forwarder {name} is declared in the configuration", hint=hint)

    async def _change(self, change: Coroutine[Any, Any, T]) -> T:
        async def alone() -> T:
            async with self._one_change:
                if self._stopped:
                    change.close()
                    raise Draining
                return await change

        task = asyncio.create_task(alone())
        self._changes.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._changes.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone; then nobody else reads it
