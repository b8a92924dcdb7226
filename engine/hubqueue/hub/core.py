"""The heart of a hub: the store, who waits, who holds, who listens. The verbs for callers are in hub.hub.

Runs on one event loop; nothing here may be called from another thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from hubqueue.errors import Draining, HubqueueError, QueueFull
from hubqueue.hub.access import Access
from hubqueue.hub.channels import Channels
from hubqueue.hub.commits import Commits
from hubqueue.hub.completions import Waiting
from hubqueue.hub.counters import Counters, Sums
from hubqueue.hub.events import Events
from hubqueue.hub.history import History
from hubqueue.hub.leaseowners import LeaseOwner, LeaseOwners
from hubqueue.hub.longwork import LongWork
from hubqueue.hub.maintenance import Maintenance
from hubqueue.hub.metrics import Metrics
from hubqueue.hub.quota import SizeQuota
from hubqueue.hub.replay import ReplayBuffer
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.summaries import Watch
from hubqueue.hub.verbs import lapse
from hubqueue.hub.verbs.lease import lease
from hubqueue.hub.verbs.reroute import Router
from hubqueue.hub.waiters import Parked, Reply, Waiters
from hubqueue.hub.webhooks import Webhooks
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Leased
from hubqueue.model.state import State
from hubqueue.model.throttle import ANY, Pull
from hubqueue.store.backlog import Backlog
from hubqueue.store.disk import Disk
from hubqueue.store.effects import Alarm, Effects
from hubqueue.store.queues import QueueRow
from hubqueue.store.store import Store
from hubqueue.store.tx import Policy, Sampling, Tx
from hubqueue.system import System

R = TypeVar("R")

EPOCH_BYTES: Final = 8  # no two openings of hubs have the same
SERVED_MS: Final = 30_000  # a queue that no worker asked for a job for so long is not served


class Core:
    """One open hub. `submit` and `lease_or_park` are the hot doors' way in; others use the verbs of Hub."""

    def __init__(self, path: Path, settings: HubSettings, router: Router | None, system: System, disk: Disk) -> None:
        self.settings = settings
        self.system = system
        self._events = Events()
        self._counters = Counters(self._counted)
        self._holders = LeaseOwners()
        self._waiters = Waiters()
        self._awaited: Waiting = {}
        sampling = Sampling()
        alarm = Alarm()
        self.store = Store(
            path,
            Policy(
                zone=settings.timezone,
                subscribers=self._events.subscribers,
                bounds=self.bounds,
                refusal=self._refusal,
                make_room=None if settings.max_bytes is None else self._make_room,
                router=router,
                awaited=self._awaited,
                sampling=sampling,
            ),
            Effects(
                prepare=self._prepare,
                settled=self._holders.settled,
                counted=self._counters.add,
                publish=self._events.publish,
                parked=self._waiters.parked,
                wake=self._wake,
                alarm=alarm,
                schedule=self._schedule,
            ),
            system=system,
            disk=disk,
            sync_interval_s=settings.sync_interval_s,
            linger_s=settings.linger_s,
            adopt=settings.adopt,
        )
        self.long_work = LongWork(self.store, settings)
        self.draining = False
        self.over_cap = False
        self._cap = SizeQuota(self.store, settings)
        self.recent = ReplayBuffer(self._events, system.token_hex(EPOCH_BYTES))
        self.channels = Channels(self.now_ms)
        self.summaries = Watch(self.store.queues, self.store.run, self.now_ms, self._counters.fold)
        self._metrics = Metrics()
        self._history = History(self.store.queues, self.store.run, self.now_ms, sampling)
        self.access = Access(self.store, system)
        self.webhooks = Webhooks(self.store, self._events, settings.webhook_hosts, system)
        self.maintenance = Maintenance(
            self.store, settings, alarm, self._hold_cap, self.write_metrics, self._sample, self.served
        )

    @property
    def hub_id(self) -> str:
        """The permanent id of this hub."""
        return self.store.tx.identity.hub_id

    def hub_id_of(self, seq: int) -> str:
        """The hub_id this job was accepted under: what forwarded jobs are named after."""
        return self.store.tx.identity.hub_id_of(seq)

    def now_ms(self) -> int:
        """Hub time."""
        return self.store.clock.now_ms()

    @property
    def backlog(self) -> Backlog:
        """What is under way: while it is full, doors should stop reading."""
        return self.store.backlog

    @property
    def disk_full(self) -> bool:
        """Whether new jobs are refused for want of disk."""
        return self.store.disk_full

    @property
    def used_bytes(self) -> int:
        """Pages in use plus the log."""
        return self.store.used_bytes()

    @property
    def log_bytes(self) -> int:
        """The size of the log beside the file."""
        try:
            return self.store.disk.stat(self.store.path.with_name(f"{self.store.path.name}-wal")).st_size
        except OSError:
            return 0

    @property
    def metrics(self) -> Metrics:
        """What went through, up to this moment."""
        self._counters.fold()
        return self._metrics

    @property
    def history(self) -> History:
        """How it went lately."""
        self._counters.fold()
        return self._history

    @property
    def commits(self) -> Commits:
        """How large the commits were and how long they took."""
        self._counters.fold()
        return self._counters.commits

    @property
    def free_bytes(self) -> int:
        """What the disk has left."""
        return self.store.disk.free_bytes(self.store.path.parent)

    def submit(
        self,
        verb: Callable[[Tx], R],
        reply: Callable[[R | HubqueueError], None],
        *,
        durable: bool = False,
        linger: bool = False,
        size: int = 0,
    ) -> None:
        """Run verb(tx) in the open group; reply(result or error) after the commit, when durable after the sync."""
        self.store.submit(verb, reply, durable=durable or self.settings.durable, linger=linger, size=size)

    def run(
        self, verb: Callable[[Tx], R], *, durable: bool = False, linger: bool = False, size: int = 0
    ) -> Awaitable[R]:
        """`submit` to be awaited."""
        return self.store.run(verb, durable=durable or self.settings.durable, linger=linger, size=size)

    def sync(self) -> Awaitable[None]:
        """Return once everything committed so far is on the disk."""
        return self.store.sync()

    async def on_disk(self, seq: int) -> None:
        """Return once the job of this number is: what leaves the hub waits for it. Errors: StoreError."""
        await self.store.on_disk(seq)

    def bounds(self, queue: str) -> QueueBounds:
        """The bounds of a queue."""
        bounds = self.settings.queues.get(queue, self.settings.bounds)
        own = self.store.queues.settings
        return own[queue].within(bounds) if own and queue in own else bounds

    def holder(self) -> LeaseOwner:
        """For each connection that leases: pass it to `lease_or_park`, and `lose` or `give_back` at its end."""
        return LeaseOwner()

    @property
    def held_count(self) -> int:
        """Leases that connections hold, as far as the hub has heard."""
        return len(self._holders)

    def lose(self, holder: LeaseOwner) -> None:
        """The connection broke: its leases last for the grace, then its jobs are given back and counted as lost."""
        held = self._holders.close(holder)
        if held:
            grace_ms = int(self.settings.grace_s * 1000)
            by_hub = self.draining
            self.submit(lambda tx: lapse.lose(tx, lapse.by_seq(tx, held), grace_ms, by_hub=by_hub), _ignore)

    def give_back(self, holder: LeaseOwner) -> None:
        """The connection ended cleanly: its jobs are released at once, nothing is counted."""
        held = self._holders.close(holder)
        if held:
            self.submit(lambda tx: lapse.give_back(tx, lapse.by_seq(tx, held)), _ignore)

    def settled(self, ids: Iterable[str]) -> None:
        """These jobs are out of their holders' hands: the end of a connection is nothing to them any more."""
        self._holders.settled(ids)

    def resumed(self, holder: LeaseOwner, held: Iterable[tuple[str, str]]) -> None:
        """The holder has just renewed these (id, token): it holds them now, whoever did before."""
        number_in = self.store.tx.identity.number_in
        self._holders.hold(holder, [(id, number_in(token)) for id, token in held])

    def lease_or_park(
        self,
        queue: str,
        count: int,
        owner: str | None,
        lease_ms: int,
        wait_ms: int,
        holder: LeaseOwner | None,
        reply: Reply,
        pull: Pull = ANY,
        *,
        detached: bool = False,
    ) -> Parked | None:
        """Lease, waiting up to wait_ms for the first job. Returns the long-poll if it had to wait.

        A draining hub lets it wait as if there were no jobs: an answer at once would only be asked for again.
        detached: the end of the holder's connection is nothing to these leases, once they are handed to it.
        """
        if wait_ms <= 0:
            if self.draining:
                reply([])
            else:
                hand = partial(self._hand, holder, detached, reply)
                self.submit(lambda tx: lease(tx, queue, count, owner, lease_ms, pull), hand)
            return None
        parked = Parked(
            self._waiters, queue, count, owner, lease_ms, holder, reply, wait_ms / 1000, pull, detached=detached
        )
        row = self.store.queues.find(queue)
        if not self.draining and self._may_have(row):
            self._try(parked, first=False)
        else:
            if row is not None:
                row.asked_ms = self.store.clock.now_ms()
            self._waiters.park(parked)
        return None if parked.answered else parked

    def served(self, queue: str) -> bool:
        """Whether a worker is there for a queue: it waits for jobs, works on one, or asked for one lately."""
        row = self.store.queues.find(queue)
        if queue in self._waiters.parked:
            return True
        return row is not None and (row.n[State.ACTIVE] > 0 or self.store.clock.now_ms() - row.asked_ms < SERVED_MS)

    def _try(self, parked: Parked, *, first: bool) -> None:
        def verb(tx: Tx) -> list[Leased]:
            if parked.answered:  # it gave up behind the gate: the job it was woken for is the next one's
                row = tx.queues.find(parked.queue)
                if row is not None and row.n[State.WAITING] > 0:
                    tx.available(row)
                return []
            taken = lease(tx, parked.queue, parked.count, parked.owner, parked.lease_ms, parked.pull)
            if not taken:
                self._waiters.park(parked, first=first)
                tx.undo.append(lambda: self._waiters.remove(parked))
            return taken

        def answered(got: list[Leased] | HubqueueError) -> None:
            if got or isinstance(got, HubqueueError):
                if parked.answered and not isinstance(got, HubqueueError):
                    self._return(got)  # the one who asked is gone
                else:
                    self._hand(parked.holder, parked.detached, parked.answer, got)

        self.submit(verb, answered)

    def _hand(self, holder: LeaseOwner | None, detached: bool, reply: Reply, got: list[Leased] | HubqueueError) -> None:
        if holder is not None and not isinstance(got, HubqueueError):
            if holder.closed:
                self._return(got)
                return
            if not detached:
                self._holders.hold(holder, [(each.job.id, each.job.lease_no) for each in got])
        reply(got)

    def _return(self, leased: list[Leased]) -> None:
        held = [(each.job.seq, each.job.lease_no) for each in leased]
        self.submit(lambda tx: lapse.give_back(tx, held), _ignore)

    def _may_have(self, row: QueueRow | None) -> bool:
        if row is None or row.paused:
            return False
        due = row.n[State.DELAYED] > 0 and row.next_due_ms <= self.store.clock.now_ms()
        return row.n[State.WAITING] > 0 or due

    def _wake(self, ready: dict[QueueRow, int]) -> None:
        if self.draining:
            return
        for row, jobs in ready.items():
            for parked in self._waiters.wake(row.name, jobs):
                self._try(parked, first=True)

    def _prepare(self, tx: Tx) -> None:
        self.webhooks.prepare(tx)

    def _schedule(self, at_ms: int) -> None:
        self.maintenance.due_at(at_ms)

    def _make_room(self, tx: Tx, wanted: int) -> None:
        self._cap.make_room(tx, wanted)

    def _counted(self, sums: Sums) -> None:
        self._metrics.count(sums, self.now_ms())
        self._history.count(sums)
        if self.summaries.watching:
            self.summaries.count(sums)

    async def _sample(self) -> None:
        await self.history.beat()

    def _refusal(self) -> HubqueueError | None:
        """Why new jobs are not taken now."""
        if self.draining:
            return Draining()
        if not self.store.space.takes(self.store.tx.now_ms, self.store.backlog.bytes):
            return self.store.space.error()
        if self.settings.max_bytes is not None:
            self.over_cap = self._cap.refuses()
        if self.over_cap:
            return QueueFull("The job file has reached its configured size")
        return None

    async def write_metrics(self) -> None:
        """Write down what was counted for the statistics."""
        if self.metrics.unwritten:
            await self.store.run(self.metrics.write)

    async def _hold_cap(self) -> None:
        if self.settings.max_bytes is not None:
            self.over_cap = await self._cap.hold()


def _ignore(result: object) -> None:
    """The reply of verbs nobody waits for; a failed group has been logged by the store."""
