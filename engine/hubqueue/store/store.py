"""Group commit: everything that waits is committed together, on the event-loop thread, at synchronous=NORMAL.

`submit` runs a verb inside the open transaction and answers after COMMIT; a durable verb after the fdatasync
that follows it. A statement that fails in SQLite (full disk, I/O) gives up the whole group: SQLite may have
rolled it back, so every verb of the group gets the same error and nothing of it is published. A verb with a defect is
taken back alone: the others of its group run again, so what a verb does beside its transaction is in the journal too.
A second thread on the write connection is forbidden: it would fight the loop for the GIL on every row.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from hubqueue.errors import DiskFull, Draining, HubqueueError, Internal, StoreError
from hubqueue.store import meta, seqs
from hubqueue.store.backlog import LEAST_BYTES, MOST_BYTES, Backlog
from hubqueue.store.barrier import CheckpointBarrier
from hubqueue.store.checkpointer import Checkpointer
from hubqueue.store.defects import is_defect, name_of, refusal
from hubqueue.store.disk import DISK, Disk
from hubqueue.store.effects import NONE, Effects
from hubqueue.store.file import FileLock, translate
from hubqueue.store.lingering import Lingering
from hubqueue.store.opening import open_file
from hubqueue.store.recovery import Recovery, not_synced
from hubqueue.store.reserve import Reserve
from hubqueue.store.space import Space
from hubqueue.store.syncer import Syncer
from hubqueue.store.tx import Policy, Tx
from hubqueue.system import SYSTEM, System

log = logging.getLogger(__name__)

R = TypeVar("R")
Verb = Callable[[Tx], R]
Reply = Callable[[R | HubqueueError], None]

WATCH_ROWS: Final = 8  # the log is measured after so many rows: it can tell no less than 64 pages anyway
WATCH_BYTES: Final = 64 * 1024  # and after a group that holds more
SAVE_TIME_MS: Final = 1000  # hub time is stored with a commit, at most this often

_Entry = tuple[Verb[Any], Reply[Any], bool, int]  # verb, reply, durable, size in bytes


class Store:
    """One open job file. Everything here runs on the event-loop thread except what syncer and checkpointer do."""

    def __init__(
        self,
        path: Path,
        policy: Policy | None = None,
        effects: Effects = NONE,
        *,
        system: System = SYSTEM,
        disk: Disk = DISK,
        sync_interval_s: float = 1.0,
        linger_s: float = 0.02,
        adopt: bool = False,
    ) -> None:
        """Open or create the file. Errors: AlreadyOpen, NewerFile, DamagedFile, DiskFull, StoreError."""
        self.path = path
        self._loop = asyncio.get_running_loop()
        self.disk = disk
        self._mono_ns = system.mono_ns
        self._lock = FileLock(path, disk)
        try:
            self._reserve = Reserve(path, disk)
            opened = open_file(path, self._reserve, system, disk, policy or Policy(), adopt=adopt)
            self._reserve.check(opened.wal.used_bytes())
        except BaseException:
            self._lock.release()
            raise
        self._db, self._wal, self.clock, self.queues, self.tx, self.page_bytes, self._ord_ms = opened
        self._saved_ms = 0
        self._changes = 0  # rows changed since the file was opened, when the group began
        self._checkpointer = Checkpointer(path, system, disk)
        self._recovery = Recovery(self._checkpointer)
        self._syncer = Syncer(self._wal, sync_interval_s, self._recovery.begin, seq=self.tx.seqs.next)
        self._gate = CheckpointBarrier(self._wal, self._checkpointer, self._run_gated, self._explain)
        self.space = Space(self._reserve, self._wal, self._gate)
        self._replies: list[tuple[Reply[Any], Any, bool, int]] = []
        self._ran: list[_Entry] = []  # in the open group, but for what has a defect
        self._gated: deque[_Entry] = deque()
        self._lingering: Lingering[_Entry] = Lingering(linger_s, self._take)
        self._open = False
        self._reserving = False
        self._unwatched = 0  # rows written since the log was measured
        self._closed = False
        self.backlog = Backlog()
        self.groups = 0
        self.evicted = 0
        self._effects = effects

    # verbs

    def submit(
        self, verb: Verb[R], reply: Reply[R], *, durable: bool = False, linger: bool = False, size: int = 0
    ) -> None:
        """Run verb(tx) in the open group and reply(result or error) once it is committed.

        durable: reply after the sync; linger: nobody waits, so the group may wait up to linger_s for others;
        size: bytes the verb holds on to, for the backlog bound.
        """
        if self._closed:
            reply(Draining())
            return
        backlog = self.backlog
        backlog.bytes += size
        if backlog.bytes > MOST_BYTES:
            backlog.full = True
        entry = (verb, reply, durable, size)
        if self._gate.closed:
            self._gated.append(entry)
        elif linger and not self._open and self._lingering.linger_s > 0:
            self._lingering.add(entry)
        else:
            self._run(entry)

    def run(self, verb: Verb[R], *, durable: bool = False, linger: bool = False, size: int = 0) -> Awaitable[R]:
        """`submit` with a future."""
        future: asyncio.Future[R] = self._loop.create_future()

        def reply(result: R | HubqueueError) -> None:
            if future.cancelled():
                return
            if isinstance(result, HubqueueError):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.submit(verb, reply, durable=durable, linger=linger, size=size)
        return future

    async def run_freeing(self, verb: Verb[R], *, durable: bool = False) -> R:
        """`run` for what frees space: on a full disk it gets all that is kept back, and the log is cut for it."""
        try:
            return await self.run(verb, durable=durable)
        except DiskFull:
            self.space.give_up(freeing=True)
            await self.space.cut()
            return await self.run(verb, durable=durable)

    def sync(self) -> Awaitable[None]:
        """Return once everything committed so far is on the disk."""
        future: asyncio.Future[None] = self._loop.create_future()

        def done(error: OSError | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(not_synced(error))

        self._syncer.request(done)
        return future

    async def on_disk(self, seq: int) -> None:
        """Return once this job, which is committed, is on the disk: soon, or with the next sync. Errors: StoreError."""
        try:
            await self._syncer.on_disk(seq)
        except OSError as error:
            raise not_synced(error) from error

    def used_bytes(self) -> int:
        """Pages in use plus the log: what a cap on the database size counts."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        used: int = (pages - free) * self.page_bytes + self._wal.used_bytes()
        return used

    @property
    def disk_full(self) -> bool:
        """Whether new jobs must be refused for want of disk. Asked in each group that takes some."""
        return not self.space.takes(self.tx.now_ms, self.backlog.bytes)

    async def close(self) -> None:
        """Finish what was submitted, sync, and close the file. Safe to call twice."""
        while not self._closed and (self._gate.closed or self._gate.busy or self._lingering.entries or self._open):
            self._lingering.over()
            await asyncio.sleep(0.001)
        if self._closed:  # before, or by another who waited here
            return
        self._closed = True
        if self._recovery.broken is None:
            try:
                meta.store_time(self._db, self.clock.now_ms(), self._ord_ms)
                self._syncer.committed(self.tx.seqs.next)
                await self.sync()
            except (sqlite3.Error, StoreError) as error:  # what was accepted is in the log, as after a kill
                log.warning("The job file could not be put in order at its end. error=%s", error)
        self._recovery.stop()
        self._syncer.close()
        self._checkpointer.close()
        self._wal.close()
        self._db.close()
        self._reserve.release()
        self._lock.release()

    # one group

    def _run(self, entry: _Entry) -> None:
        verb, reply, durable, size = entry
        if self._recovery.broken is not None:
            self._answer([(reply, self._recovery.broken, False, size)])
            return
        tx = self.tx
        while not self._open:  # a verb that had lingered may fail, and take the new group with it
            if not self._begin(entry):
                return
        assert tx.db.in_transaction
        changes = tx.db.total_changes
        tx.taken_back = 0
        tx.durable = durable
        try:
            result = verb(tx)
        except HubqueueError as error:
            result = error
            if tx.wrote_since(changes):
                log.error("A verb refused after it had written: a defect. verb=%s code=%s", name_of(verb), error.code)
                self._leave_out(entry, error)
                return
        except Exception as error:
            if is_defect(error):
                log.exception("A verb failed: a defect. verb=%s", name_of(verb))
                self._leave_out(entry, Internal())
            else:
                self._replies.append((reply, None, False, size))
                self._give_up(error)
            return
        self._ran.append(entry)
        self._replies.append((reply, result, tx.durable, size))
        if self._reserve.full:  # alone: what finds no space fails alone, and the log is cut between
            self._commit()

    def _begin(self, entry: _Entry) -> bool:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._answer([(entry[1], self._explain(error), False, entry[3])])
            return False
        self._open = True
        self._changes = self._db.total_changes
        now = self.clock.now_ms()
        self.tx.now_ms = now
        self.tx.short_of_disk = self._reserve.short
        self._ord_ms = self.tx.ord_ms = max(now, self._ord_ms)
        self._loop.call_soon(self._commit)
        if self._lingering.entries:
            self._lingering.over()
        return True

    def _commit(self) -> None:
        if not self._open:
            return  # given up
        tx = self.tx
        try:
            if tx.events:
                self._effects.prepare(tx)
            tx.store_counters()
            changed = tx.db.total_changes - self._changes
            if changed and not 0 <= tx.now_ms - self._saved_ms < SAVE_TIME_MS:  # at once after a jump back
                meta.store_time(self._db, tx.now_ms, self._ord_ms)
                self._saved_ms = tx.now_ms
            began_ns = self._mono_ns()
            self._db.execute("COMMIT")
        except Exception as error:
            self._give_up(error)
            return
        self._open = False
        self.groups += 1
        seconds = (self._mono_ns() - began_ns) / 1e9
        heavy = self.backlog.bytes > WATCH_BYTES
        replies, self._replies = self._replies, []
        self._ran = []
        events, tx.events = tx.events, []
        settled, tx.settled = tx.settled, []
        after, tx.after = tx.after, []
        ready, tx.ready = tx.ready, {}
        tallies, tx.tallies = tx.tallies, []
        due_ms, evicted = tx.due_ms, tx.evicted
        tx.committed()
        if changed:
            self._syncer.committed(tx.seqs.next)
        for action in after:
            try:
                action()
            except Exception:
                log.exception("What follows a commit failed: a defect")
        effects = self._effects
        if settled:
            effects.settled(settled)
        effects.counted(tallies, len(replies), seconds)
        if events:
            effects.publish(events)
        synced = [each for each in replies if each[2]]
        if synced:
            self._syncer.request(lambda error: self._answer_synced(synced, error))
            replies = [each for each in replies if not each[2]]
        self._answer(replies)
        if ready and effects.parked:
            effects.wake(ready)
        if tx.seqs.next > tx.seqs.low and not self._reserving:
            self._reserve_block()
        if due_ms < effects.alarm.at_ms:
            effects.schedule(due_ms)
        self.evicted += evicted
        self._unwatched += changed
        if self._unwatched >= WATCH_ROWS or heavy or self._reserve.full:
            self._unwatched = 0
            self.space.watch(tx.now_ms)

    def _give_up(self, error: Exception) -> None:
        """Roll the whole group back and answer every verb of it with the same error."""
        replies = self._rolled_back()
        answer = self._explain(error)
        self._answer([(reply, answer, False, size) for reply, _, _, size in replies])

    def _leave_out(self, entry: _Entry, answer: HubqueueError) -> None:
        """Take back what this verb has left half done, with its group, and run the others of the group again."""
        again = [*self._ran, (refusal(answer), entry[1], False, entry[3])]
        self._rolled_back()
        self._take(again)

    def _rolled_back(self) -> list[tuple[Reply[Any], Any, bool, int]]:
        """Nothing of the group is left but those who wait for an answer."""
        self._open = False
        self.tx.roll_back()
        self._ran = []
        replies, self._replies = self._replies, []
        return replies

    def _explain(self, error: Exception) -> HubqueueError:
        if not isinstance(error, sqlite3.Error):
            log.error("What goes before a commit failed: a defect", exc_info=error)
            return Internal()
        answer = translate(error, self.path, self.disk)
        if isinstance(answer, DiskFull):
            self.space.give_up(freeing=False)
            return self.space.error()
        log.error("What was to be committed together was given up. error=%s", error)
        return answer

    def _answer(self, replies: list[tuple[Reply[Any], Any, bool, int]]) -> None:
        backlog = self.backlog
        for reply, result, _, size in replies:
            backlog.bytes -= size
            try:
                reply(result)
            except Exception:
                log.exception("A reply failed: a defect of its door")
        if backlog.full and backlog.bytes < LEAST_BYTES:
            backlog.relieve()

    def _answer_synced(self, replies: list[tuple[Reply[Any], Any, bool, int]], error: OSError | None) -> None:
        if error is not None:
            replies = [(reply, not_synced(error), False, size) for reply, _, _, size in replies]
        self._answer(replies)

    def _take(self, entries: list[_Entry]) -> None:
        for entry in entries:
            if self._gate.closed:
                self._gated.append(entry)
            else:
                self._run(entry)

    # maintenance of the file

    def _reserve_block(self) -> None:
        """Commit and sync the next block of sequence numbers, long before this one is used up."""
        self._reserving = True

        def done(result: int | HubqueueError) -> None:
            self._reserving = False
            if isinstance(result, int):
                self.tx.seqs.extend(result)

        self.submit(lambda tx: seqs.reserve(tx.db), done, durable=True)

    def _run_gated(self) -> None:
        """The gate is open again: run what queued up behind it, in order."""
        if self._reserve.full:
            self.space.check()
        gated, self._gated = self._gated, deque()
        while gated and not self._gate.closed:
            self._run(gated.popleft())
        self._gated.extendleft(reversed(gated))
