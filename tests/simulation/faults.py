"""Known faults, put back one at a time: what the simulation cannot find, it does not prove.

    python -m simulation.faults            each of them, and after how many seeds it is found

A fault is a function that breaks the engine in this process; it ends with it (see `campaign`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from hubqueue.client.remote import RemoteHub
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.hub.verbs import enqueue, lapse, settle
from hubqueue.model.outcome import Fail
from hubqueue.model.state import State
from hubqueue.store import forwarded, ids, jobs
from hubqueue.store.store import Store
from hubqueue.store.syncer import Syncer
from hubqueue.store.tx import Tx
from hubqueue.store.wal import Wal
from simulation.campaign import lived
from simulation.seeds import Lived, live

MOST_SEEDS: Final = 400
LATE_S: Final = 0.005


def answer_before_commit() -> None:
    """The commit comes a moment after the answers."""
    commit, run = Store._commit, Store._run

    def answered_first(self: Any, entry: Any) -> None:
        run(self, entry)
        replies, self._replies = self._replies, []
        self._answer([(reply, result, False, size) for reply, result, _, size in replies])

    def late(self: Any) -> None:
        asyncio.get_running_loop().call_later(LATE_S, commit, self)

    Store._run, Store._commit = answered_first, late  # type: ignore[method-assign]


def durable_without_sync() -> None:
    """Who asks for the disk is answered at once."""
    Syncer.request = lambda self, done: done(None)  # type: ignore[method-assign]


def never_synced() -> None:
    """The sync of the log does nothing."""
    Wal.sync = lambda self: None  # type: ignore[method-assign]


def stale_tokens_are_good() -> None:
    """The number of a lease is not looked at."""
    settle._holds = lambda tx, id, token, row: row.state == State.ACTIVE  # type: ignore[assignment]


def given_back_without_a_fence() -> None:
    """What the hub gives back itself keeps the number of its lease."""
    release = jobs.release
    lapse.jobs.release = lambda db, seq, lease_no, fence: release(db, seq, lease_no, fence=False)  # type: ignore[attr-defined]


def forwarded_before_the_answer() -> None:
    """A forwarder completes its jobs when it has begun to send them."""
    write = HubSink.write

    async def hasty(self: Any, batch: Any) -> Any:
        sending = asyncio.ensure_future(write(self, batch))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())
        return [None] * len(batch.parcels)

    HubSink.write = hasty  # type: ignore[method-assign]


def forwarded_ids_are_not_known() -> None:
    """A receiver takes every job for a new one."""
    forwarded.find = lambda tx, forward: None


def resent_ids_are_not_known() -> None:
    """A job is made for each sending of a request whose answer was lost."""
    of_enqueue = SimpleNamespace(**vars(ids))
    of_enqueue.owner_of = lambda tx, id: None if id.startswith("once:") else ids.owner_of(tx, id)
    enqueue.ids = of_enqueue  # type: ignore[assignment]


def resent_own_ids_have_no_key() -> None:
    """An enqueue of own ids is sent again as if it were another one."""
    ask = RemoteHub._ask

    async def without(self: Any, cmd: str, kind: Any, /, **fields: Any) -> Any:
        fields.pop("once", None)
        return await ask(self, cmd, kind, **fields)

    RemoteHub._ask = without  # type: ignore[method-assign]


def counters_are_not_rolled_back() -> None:
    """A group that is given up leaves its counts."""
    roll_back = Tx.roll_back

    def forgetful(self: Any) -> None:
        kept = [(row, list(row.n)) for row in self.queues.by_id.values()]
        roll_back(self)
        for row, counts in kept:
            row.n[:] = counts

    Tx.roll_back = forgetful  # type: ignore[method-assign]


def outputs_apart() -> None:
    """A settle makes its outputs in a transaction of their own, if it comes to that."""
    make = settle.enqueue

    def later(tx: Any, queue: str, new: Any) -> list[str]:
        if queue != "made":
            return make(tx, queue, new)
        hub = tx.system  # the output is lost with one in eight
        return [] if hub.chance() < 0.125 else make(tx, queue, new)

    settle.enqueue = later


def links_cost_attempts() -> None:
    """A job that is given back by its holder has failed once more."""
    end = settle._end

    def counted(tx: Any, row: Any, outcome: Any) -> None:
        end(tx, row, Fail("given back") if type(outcome).__name__ == "Release" else outcome)

    settle._end = counted


FAULTS: Final[tuple[Callable[[], None], ...]] = (
    answer_before_commit,
    durable_without_sync,
    never_synced,
    stale_tokens_are_good,
    given_back_without_a_fence,
    forwarded_before_the_answer,
    forwarded_ids_are_not_known,
    resent_ids_are_not_known,
    resent_own_ids_have_no_key,
    counters_are_not_rolled_back,
    outputs_apart,
    links_cost_attempts,
)


def found(fault: Callable[[], None], most: int = MOST_SEEDS) -> Lived | None:
    """The first seed that finds it."""
    for seed in count(1):
        if seed > most:
            return None

        def with_it(folder: Path, seed: int = seed) -> Lived:
            fault()
            return live(seed, folder)

        life = lived(seed, with_it)()
        if life.broken is not None:
            return life
    return None


def main() -> int:
    missed = 0
    for fault in FAULTS:
        life = found(fault)
        missed += life is None
        after = f"not found in {MOST_SEEDS} seeds" if life is None else f"seed {life.seed}: {life.broken}"
        print(f"{fault.__name__:32} {after}", flush=True)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
