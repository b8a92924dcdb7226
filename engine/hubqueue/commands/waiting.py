"""WaitJob: one answer, from whatever comes first: the end of the job, or the end of the time."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Raw

from hubqueue.commands.call import Call
from hubqueue.commands.command import READ, Command, command, its_job
from hubqueue.errors import HubqueueError
from hubqueue.hub.verbs import query
from hubqueue.model.job import Job
from hubqueue.model.state import State
from hubqueue.wire.fields import WaitJobMs

NOT_YET = {"completed": False}


@command(READ, its_job)
class WaitJob(Command):
    """Wait until a job has ended."""

    id: str
    timeout: WaitJobMs = 30_000

    def handle(self, call: Call) -> None:
        """Answers at once when the job has ended, also when it has failed. Errors: NotFound, Busy."""
        if self.timeout <= 0:
            call.run(lambda tx: query.get(tx, self.id), _ended)
            return
        call.session.check_room()
        wait = _Wait(call, self)
        call.session.park(call, wait.cancel)


class _Wait:
    """One who waits. The timer and the end of the job race; the loser is called off."""

    def __init__(self, call: Call, command: WaitJob) -> None:
        self._call = call
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(command.timeout / 1000, self._time_over)
        self._stop = call.session.context.hub.when_ended(command.id, self._job_ended, call.check)

    def cancel(self) -> None:
        self._timer.cancel()
        self._stop()

    def _time_over(self) -> None:
        self._stop()
        self._call.answer(NOT_YET)

    def _job_ended(self, result: Job | HubqueueError) -> None:
        self._timer.cancel()
        self._call.answer(result if isinstance(result, HubqueueError) else _ended(result))


def _ended(job: Job) -> dict[str, Any]:
    if job.state is not State.COMPLETED:
        return NOT_YET
    return {"completed": True} if job.result is None else {"completed": True, "result": Raw(job.result)}
