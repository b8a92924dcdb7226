"""Which jobs messages become: what every door that takes messages lets its users say. `mapper` compiles and runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hubqueue.model.decode import Payload
from hubqueue.model.job import DEFAULT_ATTEMPTS, PLAIN, NewJob, Options
from hubqueue.model.limits import check_new_job

OnFull = Literal["wait", "overflow", "drop"]
Shape = Literal["message", "payload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Into:
    """The jobs of messages.

    queue, name, options.dedup.key and options.group are templates, `where` is an expression, over the names that the
    door gives. shape: whether the data of a job is the payload alone, or says where it came from as well. on_full, when
    the queue is full: wait holds the door back, overflow and drop do not. Units: delay_ms milliseconds.
    """

    queue: str
    name: str = "default"
    payload: Payload = field(default_factory=Payload)
    shape: Shape = "payload"
    where: str | None = None
    on_full: OnFull = "wait"
    priority: int = 0
    delay_ms: int = 0
    max_attempts: int = DEFAULT_ATTEMPTS
    options: Options = PLAIN

    def check(self) -> None:
        """What can be known before a message comes, templates and expressions apart. Errors: Invalid."""
        check_new_job(
            NewJob(
                priority=self.priority,
                delay_ms=self.delay_ms,
                max_attempts=self.max_attempts,
                options=self.options,
            )
        )
