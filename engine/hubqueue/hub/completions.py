"""Who waits for the end of a job: told after the commit that ended it. Nothing is kept for those who gave up."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hubqueue.errors import HubqueueError, NotFound
from hubqueue.hub.verbs import query
from hubqueue.model.job import Job
from hubqueue.model.state import TERMINAL, State
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx

Reply = Callable[[Job | HubqueueError], None]


class Group:
    """Those who wait for one job; the store's journal calls it once the job has ended."""

    def __init__(self) -> None:
        self.members: list[CompletionWaiters] = []

    def __call__(self, end: State | None) -> None:
        members, self.members = self.members, []
        for member in members:
            member.ended(end)


Waiting = dict[int, Group]
"""By the seq of the job that is waited for."""


class CompletionWaiters:
    """One who waits. `stop` gives up; the reply comes at most once."""

    def __init__(
        self, store: Store, awaited: Waiting, id: str, reply: Reply, check: Callable[[Tx], None] | None = None
    ) -> None:
        """check: refuses in the transaction that looks the job up."""
        self._store = store
        self._awaited = awaited
        self._id = id
        self._check = check
        self._reply: Reply | None = reply
        self._job: Job | None = None
        store.submit(self._look, self._looked)

    def stop(self) -> None:
        self._reply = None
        self._leave()

    def ended(self, end: State | None) -> None:
        """end None: the job was removed."""
        job = self._job
        self._leave()
        if job is None:
            return
        if end is None:
            self._answer(NotFound())
            return
        known = msgspec.structs.replace(job, state=end)  # should the row not be kept
        self._store.submit(
            lambda tx: query.find(tx, self._id),
            lambda found: self._answer(found if isinstance(found, Job) and found.seq == job.seq else known),
        )

    def _look(self, tx: Tx) -> Job:
        if self._check is not None:
            self._check(tx)
        job = query.get(tx, self._id)
        if job.state not in TERMINAL and self._reply is not None:
            self._job = job
            self._awaited.setdefault(job.seq, Group()).members.append(self)
            tx.undo.append(self._leave)
        return job

    def _looked(self, result: Job | HubqueueError) -> None:
        if isinstance(result, HubqueueError) or result.state in TERMINAL:
            self._leave()
            self._answer(result)

    def _leave(self) -> None:
        if self._job is None:
            return
        group = self._awaited.get(self._job.seq)
        if group is not None:
            if self in group.members:
                group.members.remove(self)
            if not group.members:
                del self._awaited[self._job.seq]

    def _answer(self, result: Job | HubqueueError) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply(result)
