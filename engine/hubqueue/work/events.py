"""What a worker tells those who listen: handlers' parents, command lines, tests."""

from __future__ import annotations

import msgspec

from hubqueue.model.job import Job, Leased
from hubqueue.model.outcome import Outcome


class Taken(msgspec.Struct, frozen=True):
    """These jobs are leased by this worker now."""

    leased: tuple[Leased, ...]


class Started(msgspec.Struct, frozen=True):
    """The handler of this job runs next."""

    job: Job


class Ended(msgspec.Struct, frozen=True):
    """This job is no longer this worker's. outcome: what was stored; None: nothing, the lease was lost."""

    job: Job
    outcome: Outcome | None


WorkerEvent = Taken | Started | Ended
