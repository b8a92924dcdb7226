"""enqueue: jobs into one queue, all or none. Plain jobs, the many, take the short way.

Callers have checked names and options (model/limits). What may refuse after the first write does
so in a savepoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hubqueue.errors import Duplicate, Invalid, QueueFull
from hubqueue.hub.verbs import flow, rows
from hubqueue.hub.verbs.available import queued
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.flow import FlowJob, in_order
from hubqueue.model.job import PLAIN, Enqueueable, Flag, Job, NewJob, Options, flags_of, lasts_ms, options_blob
from hubqueue.model.limits import check_delay
from hubqueue.model.state import UNSTARTED, Move, State, due_state
from hubqueue.store import forwarded, groups, ids, jobs, lists, overflow
from hubqueue.store.queues import PRIORITIZED, QueueRow
from hubqueue.store.tx import Tally, Tx

Tie = tuple[str, Options]  # a new job of a flow


def enqueue(tx: Tx, queue: str, new: Sequence[Enqueueable]) -> list[str]:
    """Store the jobs; their ids in the same order, the existing id where one is deduplicated.

    Errors: QueueFull, DiskFull, Draining, Invalid; Duplicate for an own id that a job of another queue has; StoreError
    while no sequence number is ready.
    """
    refusal = tx.refusal()
    if refusal is not None:
        raise refusal
    if not new:
        return []
    bounds = tx.bounds(queue)
    if bounds.durable or not all(map(_is_plain, new)):
        return _enqueue_rare(tx, queue, bounds, new)
    first = tx.seqs.take(len(new))
    row = _with_room(tx, queue, bounds, len(new))
    raised = jobs.insert_plain(tx, row, first, new)
    n = tx.counts(row)
    n[State.WAITING] += len(new)
    n[PRIORITIZED] += raised
    tx.tallies.append((row, Tally.PUSHED, len(new)))
    if not row.paused:
        tx.available(row, len(new))
    prefix = tx.identity.prefix
    made = [f"{prefix}{seq}" for seq in range(first, first + len(new))]
    if tx.subscribers:
        for id in made:
            tx.emit("pushed", queue, id)
    return made


def enqueue_flow(tx: Tx, flow_jobs: Sequence[FlowJob]) -> list[Job]:
    """Store a checked flow (model.flow.check_flow) whole, each job under its planned id; the jobs in that order.

    Errors: QueueFull, DiskFull, Draining, Invalid.
    """
    refusal = tx.refusal()
    if refusal is not None:
        raise refusal
    for each in flow_jobs:
        if tx.identity.seq_of(each.id) is not None or ids.owner_of(tx, each.id) is not None:
            raise Invalid(f"Flow job {each.id} already exists")
        _check_end(tx, each.job)
    if not flow_jobs:
        return []
    first = tx.seqs.take(len(flow_jobs))
    if tx.make_room is not None:
        tx.make_room(tx, len(flow_jobs))
    tx.durable = True
    with tx.savepoint():
        ties: list[Tie] = []
        for seq, each in enumerate(flow_jobs, first):
            bounds = tx.bounds(each.queue)
            if bounds.max_jobs is not None:
                _make_room(tx, tx.queues.find(each.queue), each.queue, bounds, 1)
            row = rows.queue_row(tx, each.queue)
            _enqueue_one(tx, row, seq, msgspec.structs.replace(each.job, custom_id=each.id), ties)
        for id, options in ties:
            if options.depends_on:
                flow.wait_for(tx, id, options.depends_on, options.children_ids)
    return [rows.find(tx, each.id)[0] for each in flow_jobs]


def admit(tx: Tx, row: QueueRow, job: NewJob, begins_ms: int | None = None) -> str:
    """Store one checked job that follows from another; its id. It is not refused: it comes in place of that one.

    begins_ms: from when on its `ttl` and `keep_trying` count, if not from now.
    """
    return _enqueue_one(tx, row, tx.seqs.take(1), job, [], begins_ms)


def _enqueue_rare(tx: Tx, queue: str, bounds: QueueBounds, new: Sequence[Enqueueable]) -> list[str]:
    for job in new:
        if job.custom_id is not None and tx.identity.seq_of(job.custom_id) is not None:
            raise Invalid(f"id {job.custom_id} has the form of this hub's own ids", hint="choose another id")
        _check_end(tx, job)
    first = tx.seqs.take(len(new))
    if any(map(_may_be_refused, new)):
        with tx.savepoint():  # with what is dropped to make room
            return _enqueue_each(tx, _with_room(tx, queue, bounds, len(new)), first, new)
    return _enqueue_each(tx, _with_room(tx, queue, bounds, len(new)), first, new)


def _enqueue_each(tx: Tx, row: QueueRow, first: int, new: Sequence[Enqueueable]) -> list[str]:
    ties: list[Tie] = []
    made = [_enqueue_one(tx, row, seq, job, ties) for seq, job in enumerate(new, first)]
    if len(ties) > 1:
        in_order({id: options.depends_on for id, options in ties})
    for id, options in ties:
        if options.depends_on:
            flow.wait_for(tx, id, options.depends_on, options.children_ids)
    for id, options in ties:
        if options.parent_id is not None:
            flow.join(tx, id)
    return made


def _check_end(tx: Tx, job: Enqueueable) -> None:
    """A job that ends before the time it is to run at would never be tried. Errors: Invalid."""
    if job.run_at_ms is None or job.options is None or job.options.keep_trying_ms is None:
        return
    created = tx.now_ms if job.created_at_ms is None else job.created_at_ms
    check_delay(job.run_at_ms - created, job.options)


def _may_be_refused(job: Enqueueable) -> bool:
    """A group may turn out to be full, a dependency or parent unknown, an id another queue's, amid the batch."""
    if job.custom_id is not None and not ids.is_idempotent(job.custom_id):
        return True
    options = job.options
    return options is not None and (
        options.group_max_size is not None or bool(options.depends_on) or options.parent_id is not None
    )


def enqueue_forwarded(tx: Tx, queue: str, new: Sequence[Enqueueable], floor: int) -> list[str]:
    """`enqueue` for a forwarder that has settled every job of its own below seq `floor`: those ids are not kept."""
    known = enqueue(tx, queue, new)
    source = next((forward for job in new if (forward := forwarded.parse_forward(job.custom_id or ""))), None)
    if source is not None:
        forwarded.raise_floor(tx, source.hub_id, source.queue, floor)
    return known


def _is_plain(job: Enqueueable) -> bool:
    return (
        job.options is None
        and not job.delay_ms
        and job.custom_id is None
        and job.run_at_ms is None
        and job.created_at_ms is None
    )


def _enqueue_one(
    tx: Tx, row: QueueRow, seq: int, job: Enqueueable, ties: list[Tie], begins_ms: int | None = None
) -> str:
    """Store one job, or find the one that stands for it. What a new one waits for is tied afterwards."""
    options = job.options or PLAIN
    if not options.durable and tx.bounds(row.name).durable:
        options = msgspec.structs.replace(options, durable=True)
    if options.durable:
        tx.durable = True
    if job.custom_id is not None:
        owner = ids.owner_of(tx, job.custom_id)
        if owner is not None:
            if _is_known(tx, row.name, job.custom_id, owner):
                return job.custom_id
            _forget_generation(tx, owner.seq)
    existing = deduplicate(tx, row, options)
    if existing is not None:
        if options.dedup is not None and not options.dedup.extend:
            tx.emit("duplicated", row.name, existing)
        return existing
    if options.group is not None:
        groups.begin(tx, row)
        _check_group(tx, row, options.group, options.group_max_size)
    id = job.custom_id or tx.identity.public_id(seq)
    if job.custom_id is not None:
        ids.claim(tx, job.custom_id, seq)
    if options.dedup is not None:
        ids.claim_key(tx, row.id, options.dedup, seq)
    created = tx.now_ms if job.created_at_ms is None else job.created_at_ms
    run_at = created + job.delay_ms if job.run_at_ms is None else job.run_at_ms
    state = Move.ENQUEUE.to(None, due_state(run_at, tx.now_ms))
    flags = flags_of(options, job.custom_id) | (Flag.ABSOLUTE if job.run_at_ms is not None else 0)
    lasts = lasts_ms(options)
    expires = None if lasts is None else (begins_ms or created) + lasts
    jobs.insert(
        tx,
        jobs.NewRow(
            seq=seq,
            queue=row.id,
            state=state,
            flags=flags,
            priority=job.priority,
            ord=-seq if options.lifo else tx.ord_ms,
            run_at_ms=run_at,
            created_at_ms=created,
            attempts=0,
            max_attempts=job.max_attempts,
            finished_at_ms=None,
            expires_at_ms=expires,
            name=job.name,
            custom_id=job.custom_id,
            grp=options.group,
            options=options_blob(options),
            history=None,
            data=None if job.data is None else bytes(job.data),
        ),
    )
    queued(tx, row, state, job.priority, run_at, expires)
    tx.tallies.append((row, Tally.PUSHED, 1))
    if options.depends_on or options.parent_id is not None:
        ties.append((id, options))
    tx.emit("pushed", row.name, id)
    return id


def is_known(tx: Tx, queue: str, custom_id: str) -> bool:
    """Whether a job of this queue stands for the id already. Errors: Duplicate where it is one of another queue."""
    owner = ids.owner_of(tx, custom_id)
    return owner is not None and _is_known(tx, queue, custom_id, owner)


def _is_known(tx: Tx, queue: str, custom_id: str, owner: ids.Owner) -> bool:
    """As `is_known`, of an id that has an owner."""
    if not owner.unfinished:
        return owner.remembered
    if owner.queue != queue and not ids.is_idempotent(custom_id):
        home = overflow.home(tx, owner.seq) or owner.queue
        if home != queue:
            raise Duplicate(
                f"The id {custom_id} is that of a job in queue {home}",
                hint="an own id is one job of the whole hub until that has ended: choose another one",
            )
    return True


def deduplicate(tx: Tx, row: QueueRow, options: Options) -> str | None:
    """The id of the job that already stands for this one; None when a new one is to be made."""
    dedup = options.dedup
    if dedup is None:
        return None
    owner = ids.key_owner(tx, row.id, dedup.key)
    if owner is None:
        return None
    if dedup.replace:
        if owner.state in UNSTARTED:
            _forget_generation(tx, owner.seq)
        return None
    if dedup.extend and dedup.ttl_ms is not None:
        ids.extend_key(tx, row.id, dedup)
    return owner.custom_id or tx.identity.public_id(owner.seq)


def _check_group(tx: Tx, row: QueueRow, name: str, max_size: int | None) -> None:
    group = None if max_size is None else groups.get(tx, row, name)
    if group is not None and max_size is not None and group.waiting + group.delayed >= max_size:
        raise QueueFull(f"Group {name} has reached its maximum size of {max_size}")


def _forget_generation(tx: Tx, seq: int) -> None:
    found = jobs.get(tx, seq)
    if found is not None:
        job, queue = found
        rows.remove(tx, queue, Move.REPLACE, job.state, [(seq, job.flags, job.priority)])


def _with_room(tx: Tx, name: str, bounds: QueueBounds, wanted: int) -> QueueRow:
    """The queue, made if it is new, with room for so many jobs. Errors: QueueFull, before anything is written."""
    known = tx.queues.by_name.get(name)
    if bounds.max_jobs is not None:
        _make_room(tx, known, name, bounds, wanted)
    row = known or rows.queue_row(tx, name)
    if tx.make_room is not None:
        tx.make_room(tx, wanted)
    return row


def _make_room(tx: Tx, row: QueueRow | None, name: str, bounds: QueueBounds, wanted: int) -> None:
    """Refuse, or drop the oldest queued jobs, so that `wanted` more keep within max_jobs."""
    assert bounds.max_jobs is not None
    there = 0 if row is None else row.n[State.WAITING] + row.n[State.DELAYED]
    over = there + wanted - bounds.max_jobs
    if over <= 0:
        return
    if bounds.on_full == "reject" or wanted > bounds.max_jobs or row is None:
        raise QueueFull(f"Queue {name} holds {there} of at most {bounds.max_jobs} jobs")
    for state in (State.WAITING, State.DELAYED):
        oldest = lists.heads(tx, row.id, state, over, lists.ANY_BYTES)
        evict(tx, row, state, oldest)
        over -= len(oldest)
        if over <= 0:
            return


def evict(tx: Tx, row: QueueRow, state: State, oldest: Sequence[tuple[int, int, int]]) -> None:
    """Drop jobs because a bound was configured for that: counted and evented."""
    if tx.watched(row.name):
        for id in ids.public_ids(tx, [seq for seq, _, _ in oldest]):
            tx.emit("evicted", row.name, id)
    rows.remove(tx, row, Move.MAKE_ROOM, state, oldest)
    tx.evicted += len(oldest)
