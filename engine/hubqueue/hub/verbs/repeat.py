"""The successor of a repeated job: made in the transaction that completes the run before it."""

from __future__ import annotations

import msgspec

from hubqueue.hub.verbs.enqueue import admit
from hubqueue.model.job import Job, NewJob
from hubqueue.model.repeat import Repeat
from hubqueue.model.schedule import next_match_ms
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx


def succeed(tx: Tx, job: Job, queue: QueueRow) -> None:
    """Push the next run of a job that has just completed, if there is to be one."""
    options = job.options
    repeat = options.repeat
    if repeat is None:
        return
    next_ms = _next_ms(tx, repeat, job)
    if next_ms is None or not repeat.goes_on(next_ms):
        return
    repeat = msgspec.structs.replace(repeat, count=repeat.count + 1, prev_ms=next_ms)
    dedup = options.dedup and msgspec.structs.replace(options.dedup, replace=True)  # the key passes on
    timed = repeat.pattern is not None
    admit(
        tx,
        queue,
        NewJob(
            name=job.name,
            data=job.data,
            priority=job.priority,
            max_attempts=job.max_attempts,
            run_at_ms=next_ms if timed else None,
            delay_ms=0 if timed else max(0, next_ms - tx.now_ms),
            options=msgspec.structs.replace(options, repeat=repeat, dedup=dedup, group_max_size=None),
        ),
        begins_ms=next_ms,  # when this run is due: the one before has just ended
    )


def _next_ms(tx: Tx, repeat: Repeat, job: Job) -> int | None:
    if repeat.pattern is None:
        return repeat.next_interval_ms(job.created_at_ms if repeat.prev_ms is None else repeat.prev_ms, tx.now_ms)
    after = max(tx.now_ms, repeat.prev_ms or 0, (repeat.start_ms or 0) - 1)
    return next_match_ms(repeat.pattern, repeat.timezone or tx.zone, after)
