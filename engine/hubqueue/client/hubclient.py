"""The typed client of a hub, the same in its process (client.local) and over TCP (client.remote).

What carries the model's values (jobs, settlements, schedules, events) each way does by itself, see `model.verbs.Verbs`:
in process they need no wire form. All other verbs stand here once, each by asking a command. The command checks.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import msgspec

from hubqueue.client import replies
from hubqueue.client.jobmap import raw
from hubqueue.errors import WrongState
from hubqueue.model.state import LABELS, State
from hubqueue.model.verbs import Retried, Verbs

A = TypeVar("A", bound=msgspec.Struct)


class HubClient(Verbs):
    """Every verb of a hub. Units: *_ms milliseconds. Errors: those of the command that is asked."""

    @abstractmethod
    async def ask(self, cmd: str, answer: type[A], /, *, repeatable: bool = False, **fields: object) -> A:
        """The answer to a command with these fields of the protocol; what is None is not said.

        repeatable: a request whose answer was lost is sent again; else AnswerLost says that nobody knows.
        """

    # a job that is leased

    async def progress(self, id: str, token: str | None, value: float, message: str | None = None) -> None:
        """How far the job is, 0 to 100."""
        await self._do("Progress", id=id, token=token, progress=value, message=message, repeatable=True)

    async def log(self, id: str, text: str, level: str = "info") -> None:
        """Add a line to the job's log."""
        await self._do("AddLog", id=id, message=text, level=level)

    # single jobs

    async def cancel(self, id: str, *, active: bool = False) -> None:
        """Remove a job that has not started; with `active` its worker is told to stop."""
        await self._do("Cancel", id=id, active=active)

    async def promote(self, id: str) -> None:
        """Let a delayed job wait at once."""
        await self._do("Promote", id=id)

    async def snooze(self, id: str, *, until_ms: int | None = None, delay_ms: int | None = None) -> None:
        """Let a queued job wait until a time, or so long from now."""
        await self._do("Snooze", id=id, until=until_ms, delay=delay_ms)

    async def update(self, id: str, data: bytes) -> None:
        """Replace the data of a job that has not ended."""
        await self._do("Update", id=id, data=raw(data), repeatable=True)

    async def change_priority(self, id: str, priority: int) -> None:
        """Sort a queued job anew."""
        await self._do("ChangePriority", id=id, priority=priority, repeatable=True)

    async def change_delay(self, id: str, delay_ms: int) -> None:
        """Let a job run so long from now."""
        await self._do("ChangeDelay", id=id, delay=delay_ms)

    async def retry(self, id: str) -> Retried:
        """Run a job that has ended again. Errors: NotFound; WrongState where it stays as it is."""
        job = await self.get(id)
        match job.state:
            case State.FAILED:
                done = await self.ask("RetryDlq", replies.RetriedReply, queue=job.queue, jobId=id)
            case State.COMPLETED:
                done = await self.ask("RetryCompleted", replies.RetriedReply, queue=job.queue, id=id)
            case _:
                raise WrongState(f"only a job that has ended can be run again, this one is {LABELS[job.state]}")
        retried = done.value()
        if retried.kept or not retried.total:
            raise WrongState(retried.why)
        return retried

    # whole queues

    async def retry_dead(self, queue: str, *, limit: int | None = None) -> Retried:
        """Run dead letters again, the oldest first. limit: how many are looked at."""
        return (await self.ask("RetryDlq", replies.RetriedReply, queue=queue, count=limit)).value()

    async def promote_all(self, queue: str, *, limit: int | None = None) -> int:
        """Let the oldest delayed jobs wait at once; how many."""
        return await self._count("PromoteJobs", queue=queue, count=limit)

    async def purge(self, queue: str) -> int:
        """Delete the dead letters; how many."""
        return await self._count("PurgeDlq", queue=queue)

    async def clean(self, queue: str, grace_ms: int, limit: int = 1000, state: State = State.COMPLETED) -> list[str]:
        """Delete jobs that have been in this state for longer than grace_ms, oldest first; their ids."""
        asked = await self.ask("Clean", replies.IdsReply, queue=queue, grace=grace_ms, limit=limit, state=LABELS[state])
        return asked.ids

    async def drain(self, queue: str) -> int:
        """Delete what is queued; how many."""
        return await self._count("Drain", queue=queue)

    async def obliterate(self, queue: str, *, force: bool = True) -> None:
        """Delete a queue with everything in it. force False: only one that holds no job but completed ones."""
        await self._do("Obliterate", queue=queue, force=force)

    async def pause(self, queue: str) -> None:
        """Hand out no more jobs of a queue."""
        await self._do("Pause", queue=queue, repeatable=True)

    async def resume(self, queue: str) -> None:
        """Hand out jobs of a queue again."""
        await self._do("Resume", queue=queue, repeatable=True)

    async def delete_schedule(self, key: str) -> None:
        """Take a schedule away. Errors: NotFound."""
        await self._do("CronDelete", name=key)

    async def _do(self, cmd: str, /, *, repeatable: bool = False, **fields: object) -> None:
        await self.ask(cmd, replies.Done, repeatable=repeatable, **fields)

    async def _count(self, cmd: str, /, **fields: object) -> int:
        return int((await self.ask(cmd, replies.CountReply, repeatable=False, **fields)).count)
