"""Workers that wait for a job: parked on the queue, woken one per job that became available.

A waiter parks at the execution of its lease, inside the transaction group, so no job can slip by between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from hubqueue.errors import HubqueueError
from hubqueue.hub.leaseowners import LeaseOwner
from hubqueue.model.job import Leased
from hubqueue.model.throttle import ANY, Pull

Reply = Callable[[list[Leased] | HubqueueError], None]


class Parked:
    """A long-poll. `cancel` ends it without an answer (its connection is gone)."""

    __slots__ = (
        "_timer",
        "_waiters",
        "answered",
        "count",
        "detached",
        "holder",
        "lease_ms",
        "owner",
        "pull",
        "queue",
        "reply",
    )

    def __init__(
        self,
        waiters: Waiters,
        queue: str,
        count: int,
        owner: str | None,
        lease_ms: int,
        holder: LeaseOwner | None,
        reply: Reply,
        wait_s: float,
        pull: Pull = ANY,
        *,
        detached: bool = False,
    ) -> None:
        self._waiters = waiters
        self.queue = queue
        self.count = count
        self.owner = owner
        self.lease_ms = lease_ms
        self.holder = holder
        self.reply = reply
        self.pull = pull
        self.detached = detached
        self.answered = False
        self._timer = asyncio.get_running_loop().call_later(wait_s, self.answer, [])

    def answer(self, result: list[Leased] | HubqueueError) -> None:
        """Answer once, whatever comes first: jobs, the end of the time, an error."""
        if not self.answered:
            self.cancel()
            self.reply(result)

    def cancel(self) -> None:
        self.answered = True
        self._timer.cancel()
        self._waiters.remove(self)


class Waiters:
    """`parked` long-polls by queue, in order of arrival; no queue is without."""

    def __init__(self) -> None:
        self.parked: dict[str, deque[Parked]] = {}

    def park(self, parked: Parked, *, first: bool = False) -> None:
        """first: it was woken for a job that another one took; it keeps its turn."""
        waiting = self.parked.setdefault(parked.queue, deque())
        if first:
            waiting.appendleft(parked)
        else:
            waiting.append(parked)

    def remove(self, parked: Parked) -> None:
        waiting = self.parked.get(parked.queue)
        if waiting is not None and parked in waiting:
            waiting.remove(parked)
            if not waiting:
                del self.parked[parked.queue]

    def wake(self, queue: str, jobs: int) -> list[Parked]:
        """Take out those that shall try again, one per available job.

        One that has wishes as to groups may not take the job: the next one is woken too.
        """
        waiting = self.parked.get(queue)
        woken: list[Parked] = []
        left = jobs
        while waiting and left > 0:
            woken.append(waiting.popleft())
            left -= woken[-1].pull is ANY
        if waiting is not None and not waiting:
            del self.parked[queue]
        return woken

    def everyone(self) -> list[Parked]:
        return [parked for waiting in self.parked.values() for parked in waiting]
