"""GetJobs: pages of jobs under the protocol's words for states, some of which are views that the hub does not store.

A page is bounded in jobs and in bytes, so that no reply outgrows a frame; then its cursor leads on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from hubqueue.hub.verbs import query
from hubqueue.model.job import Job
from hubqueue.model.state import BY_LABEL, State
from hubqueue.model.verbs import Page

MAX_PAGE: Final = 10_000
MAX_PAGE_BYTES: Final = 24 * 1024 * 1024  # of data and results; one job more may follow, a frame holds 64 MiB
STEP: Final = 100  # jobs read at once
MAX_STEPS: Final = 200  # a view that few jobs belong to does not read the whole backlog in one verb


def list_page(
    tx: Any,
    queue: str,
    words: Sequence[str],
    *,
    limit: int,
    cursor: int | None,
    offset: int,
    ascending: bool,
) -> Page:
    """Up to `limit` jobs of these states in order of acceptance; no words means all."""
    wanted = _wanted(words, query.is_paused(tx, queue))
    if wanted is None:
        return Page([])
    states, accepts = wanted
    left, to_skip = min(max(limit, 0), MAX_PAGE), max(offset, 0)
    found: list[Job] = []
    size = 0
    for _ in range(MAX_STEPS):
        if left <= 0:
            break
        skipped_by_store = 0 if accepts else to_skip
        count = STEP if accepts else min(left, STEP)
        page = query.list_jobs(
            tx, queue, states, limit=count, cursor=cursor, offset=skipped_by_store, ascending=ascending
        )
        to_skip -= skipped_by_store
        cursor = page.cursor
        for job in page.jobs:
            if accepts and not accepts(job):
                continue
            if to_skip > 0:
                to_skip -= 1
                continue
            found.append(job)
            size += len(job.data or b"") + len(job.result or b"")
            left -= 1
            if left <= 0 or size > MAX_PAGE_BYTES:
                return Page(found, job.seq)
        if cursor is None:
            break
    return Page(found, cursor)


def _wanted(words: Sequence[str], paused: bool) -> tuple[tuple[State, ...], Callable[[Job], bool] | None] | None:
    """The stored states behind the words, and which of their jobs belong; None when no job can."""
    if not words:
        return tuple(State), None
    views = {"paused"} if paused else {"waiting", "prioritized"}
    ready = views & set(words)
    states = {BY_LABEL[word] for word in words if word in BY_LABEL and word != "waiting"}
    if ready:
        states.add(State.WAITING)
    if not states:
        return None
    if ready == {"waiting"}:
        return tuple(sorted(states)), lambda job: job.state != State.WAITING or job.priority <= 0
    if ready == {"prioritized"}:
        return tuple(sorted(states)), lambda job: job.state != State.WAITING or job.priority > 0
    return tuple(sorted(states)), None
