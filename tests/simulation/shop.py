"""What the simulation simulates: two hubs, and who works with them, each a process on a machine of its own.

A producer sends numbers to three queues of the hub `edge`. Those of `work` are worked off by a worker, some of them
never well; those of `raw` are moved to `made` in one settle each; those of `readings` go to the hub `centre`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.client.replies import IdsReply, read
from hubqueue.client.settling import settle_fields
from hubqueue.errors import Busy, DiskFull, Draining, HubqueueError
from hubqueue.forward.forwarders import Forwarders
from hubqueue.model.forwarding import ForwardSpec
from hubqueue.model.job import Job, NewJob, Options
from hubqueue.model.outcome import Complete, Output, Settlement
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.work.events import Ended, WorkerEvent
from hubqueue.work.running import RunningJob
from hubqueue.work.worker import Worker
from simulation.ledger import DEFECT, Broken, Ledger
from simulation.machine import Machine
from simulation.process import PROCESS
from simulation.world import World
from support.mixed import miscounted
from support.served import Served, served

CENTRE_PORT, EDGE_PORT = 40_001, 40_002
QUEUES: Final = ("work", "raw", "readings")
TRIES: Final = 4
LEASE_MS: Final = 2000
PAUSE_S: Final = 0.3  # at most, of the producer between two numbers
AGAIN_S: Final = 0.5
ANSWERED_S: Final = 10.0  # a hub that lives says how many jobs it has
REFUSED: Final = (Busy, DiskFull, Draining)  # nothing was done
PATIENCE_S: Final = 900.0  # of simulated time, until everything is done

encode: Final = msgspec.msgpack.encode
decode: Final = msgspec.msgpack.decode
CHEATED: Final = encode("cheated")
at: Final = "tcp://127.0.0.1:{}".format


class Shop:
    """count: how many numbers the producer sends."""

    def __init__(self, world: World, folder: Path, count: int) -> None:
        self.world = world
        self.ledger = Ledger()
        self.count = count
        self.next = 0
        self.served: dict[str, Served] = {}
        self.centre = Machine(world, "centre", self._centre, folder)
        self.edge = Machine(world, "edge", self._edge, folder)
        self.producer = Machine(world, "producer", self._produce)
        self.worker = Machine(world, "worker", self._work)
        self.mover = Machine(world, "mover", self._move)
        self.cheat = Machine(world, "cheat", self._cheat)
        self.machines = (self.centre, self.edge, self.producer, self.worker, self.mover, self.cheat)

    # lives

    async def _centre(self, machine: Machine) -> None:
        async with self._hub(machine, CENTRE_PORT):
            await machine.told_to_stop()

    async def _edge(self, machine: Machine) -> None:
        async with self._hub(machine, EDGE_PORT) as here:
            forwarders = Forwarders(here.hub, (), grace_s=1.0)
            await forwarders.start()
            await forwarders.put(ForwardSpec(name="up", queue="readings", to=at(CENTRE_PORT)))
            await machine.told_to_stop()
            await forwarders.stop()

    @asynccontextmanager
    async def _hub(self, machine: Machine, port: int) -> AsyncIterator[Served]:
        """It is in the list while it is served."""
        process = machine.process
        assert process.disk is not None
        process.when_killed.append(lambda: self.served.pop(machine.name, None))
        path, system = machine.folder / "hub.db", self.world.system
        async with served(path, port=port, system=system, disk=process.disk) as here:
            self.served[machine.name] = here
            try:
                yield here
            finally:
                self.served.pop(machine.name, None)

    async def _produce(self, machine: Machine) -> None:
        chance = self.world.loop.chance
        async with self._client() as hub:
            while self.next < self.count:
                number, queue = self.next, QUEUES[self.next % len(QUEUES)]
                self.next += 1
                durable, own_id = chance.random() < 0.3, chance.random() < 0.5
                options = Options(backoff=Backoff(delay_ms=300, jitter=0.5), durable=durable)
                job = NewJob(
                    data=encode(number),
                    max_attempts=TRIES,
                    options=options,
                    custom_id=f"number {number}" if own_id else None,
                )
                self.ledger.sent[number] = queue
                if durable:
                    self.ledger.durable.add(number)
                await self._send(hub, queue, number, job)
                await asyncio.sleep(chance.random() * PAUSE_S)

    async def _send(self, hub: RemoteHub, queue: str, number: int, job: NewJob) -> None:
        """Until it is accepted, or nobody knows what became of it."""
        while True:
            try:
                (id,) = await hub.enqueue(queue, [job])
            except HubqueueError as error:
                self.world.note(f"producer: {number} was not accepted: {error.code}")
                if not isinstance(error, REFUSED):
                    return
                await asyncio.sleep(AGAIN_S)
            else:
                self.world.note(f"producer: {number} is {id} in {queue}{', durably' * (number in self.ledger.durable)}")
                self.ledger.accept(number, id, self.world.loop.time())
                return

    async def _work(self, machine: Machine) -> None:
        async with self._client() as hub:
            worker = Worker(
                hub, "work", self._handle, concurrency=3, lease_ms=LEASE_MS, owner="w", system=self.world.system
            )
            worker.listen(self._ended)
            async with worker:
                await machine.told_to_stop()

    async def _handle(self, run: RunningJob) -> Any:
        number = run.data
        self.world.note(f"worker: runs {number}, {run.id}, lease {run.job.lease_no}, {run.attempts_made} failed")
        self.ledger.run(run.id, number, run.token, self.world.loop.time())
        await asyncio.sleep(self.world.loop.chance.random() * (4.0 if number % 4 == 0 else 0.5))
        if number % 5 == 0 or (number % 2 and not run.attempts_made):
            raise ValueError("not yet")
        return number

    def _ended(self, event: WorkerEvent) -> None:
        if isinstance(event, Ended) and isinstance(event.outcome, Complete):
            self.world.note(f"worker: {event.job.id} is completed")
            self.ledger.completed[event.job.id] = self.world.loop.time()

    async def _move(self, machine: Machine) -> None:
        async with self._client() as hub:
            while True:
                try:
                    leased = await hub.lease("raw", 3, owner="mover", lease_ms=LEASE_MS, wait_ms=1000)
                    for one in leased:
                        self.ledger.run(one.job.id, decode(one.job.data or b""), one.token, self.world.loop.time())
                    if leased:
                        ends = [Settlement(one.job.id, one.token, Complete()) for one in leased]
                        await hub.settle(ends, outputs=[Output("made", NewJob(data=one.job.data)) for one in leased])
                        self.world.note(f"mover: moved {[decode(one.job.data or b'') for one in leased]}")
                        self.ledger.completed |= {one.job.id: self.world.loop.time() for one in leased}
                except HubqueueError as error:
                    self.world.note(f"mover: {error.code}")
                    await asyncio.sleep(AGAIN_S)

    async def _cheat(self, machine: Machine) -> None:
        """Ends jobs with tokens that are not good any more: what it says of them is in no job."""
        async with self._client() as hub:
            while True:
                await asyncio.sleep(1.0)
                for id in tuple(self.ledger.runs):
                    if (token := self.ledger.last(id)) is not None:
                        await self._cheated(hub, id, token)
                    token = self.ledger.earlier(id)
                    if (
                        token is not None
                        and await self._cheated(hub, id, token)
                        and self.ledger.earlier(id) is not None
                    ):
                        self.ledger.broken = Broken(f"P3: {id} was ended with the token of an earlier run")

    async def _cheated(self, hub: RemoteHub, id: str, token: str) -> bool:
        """Whether the hub said ok. Asked once: a client that asks again may take another's completion for its own."""
        fields = settle_fields([Settlement(id, token, Complete(result=CHEATED))], [], [], durable=False)
        try:
            read(await hub.link.request("Settle", fields, repeatable=False), IdsReply)
        except HubqueueError:
            return False
        return True

    def _client(self) -> RemoteHub:
        return _Started(LinkSettings.from_url(at(EDGE_PORT)), self.world.system)

    # the end

    async def through(self) -> None:
        """Until all is done that can be. Errors: Broken."""
        deadline_s = self.world.loop.time() + PATIENCE_S
        while not await self._done():
            self._check_nothing_failed()
            if self.world.loop.time() > deadline_s:
                raise Broken(f"P5, P7: nothing happens any more: {await self._left()}")
            await asyncio.sleep(1.0)

    def _check_nothing_failed(self) -> None:
        """Errors: Broken."""
        if self.ledger.broken is not None:
            raise self.ledger.broken
        for machine in self.machines:
            if (failure := machine.failure) is not None:
                raise Broken(f"{DEFECT}: {machine.name} has failed: {failure!r}") from failure

    def defect(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody has caught; a process that is gone may leave some."""
        process, error = PROCESS.get(), context.get("exception")
        if error is not None and (process is None or process.alive):
            self.world.note("".join(traceback.format_exception(error)))
            self.ledger.broken = Broken(f"{DEFECT}: {context['message']}: {error!r}")

    async def _done(self) -> bool:
        if self.next < self.count or not {"edge", "centre"} <= set(self.served):
            return False
        hub = self.served["edge"].hub
        try:
            async with asyncio.timeout(ANSWERED_S):
                counts = [await hub.counts(queue) for queue in QUEUES]
        except TimeoutError:  # it was killed while it was asked
            return False
        return not any(one.waiting + one.delayed + one.active for one in counts)

    async def _left(self) -> str:
        if "edge" not in self.served:
            return "the edge is not there"
        hub = self.served["edge"].hub
        return ", ".join([f"{queue}: {await hub.counts(queue)}" for queue in QUEUES])

    async def check(self) -> None:
        """Errors: Broken."""
        self._check_nothing_failed()
        edge, centre, ledger = self.served["edge"], self.served["centre"], self.ledger
        jobs = {queue: await _jobs(edge, queue) for queue in (*QUEUES, "made")}
        for queue in QUEUES:
            ledger.check_kept(queue, _numbers(jobs[queue]))
        self._check_work(jobs["work"])
        self._check_completed([*jobs["work"], *jobs["raw"]])
        moved, made = _numbers(job for job in jobs["raw"] if job.state is State.COMPLETED), _numbers(jobs["made"])
        if made != moved:
            raise Broken(
                f"P9: {dict(moved - made)} were moved and not made, {dict(made - moved)} were made and not moved"
            )
        self._check_forwarded(jobs["readings"], _numbers(await _jobs(centre, "readings")))
        for at in (edge, centre):
            await _check_file(at)

    def _check_work(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.state is State.FAILED and job.attempts < TRIES and job.history.reason == "max_attempts_exceeded":
                raise Broken(f"{job.id} has failed after {job.attempts} tries of {TRIES}")
            if job.result == CHEATED:
                raise Broken(f"P3: {job.id} was ended by who had no right to")
            if job.attempts > TRIES:
                raise Broken(f"{job.id} was tried {job.attempts} times of {TRIES}")

    def _check_completed(self, jobs: list[Job]) -> None:
        states, ledger = {job.id: job.state for job in jobs}, self.ledger
        for id in ledger.completed:
            lost = ledger.may_be_undone(id) or ledger.may_be_missing(ledger.ids[id])
            if states.get(id) is not State.COMPLETED and not lost:
                raise Broken(f"P1: {id} was completed and is {states.get(id)}")

    def _check_forwarded(self, sent: list[Job], arrived: Counter[int]) -> None:
        for job in sent:
            number = decode(job.data or b"")
            if job.attempts or job.state is not State.COMPLETED:
                raise Broken(f"P5: {number} has state {job.state} and {job.attempts} attempts")
            if arrived[number] != 1:
                raise Broken(f"P6: {number} was forwarded and has arrived {arrived[number]} times")
        if unknown := arrived - _numbers(sent):
            raise Broken(f"P6: {dict(unknown)} have arrived and are not at the edge")


class _Started(RemoteHub):
    """A client that does not insist on a first connection."""

    async def open(self) -> Any:
        return self.start()


async def _jobs(at: Served, queue: str) -> list[Job]:
    return (await at.hub.list_jobs(queue, tuple(State), limit=1000)).jobs


def _numbers(jobs: Any) -> Counter[int]:
    return Counter(decode(job.data) for job in jobs)


async def _check_file(at: Served) -> None:
    """The file is sound, and its counters are what a recount finds."""
    if wrong := await at.hub.run(miscounted):
        raise Broken(f"counters: {wrong}")
    verdict = await at.hub.run(lambda tx: tx.execute("PRAGMA integrity_check").fetchall())
    if verdict != [("ok",)]:
        raise Broken(f"the file is damaged: {verdict}")
