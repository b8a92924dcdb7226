"""What a handler is: a function that `@task` gave a name, and the registry that finds it for a job.

User files import `task` from `hubqueue`; `loading` fills a Registry from a folder of such files. Nothing is
kept globally: a Task is a plain module attribute until a loader picks it up, so handlers can be unit-tested
by calling them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar

from hubqueue.errors import Invalid
from hubqueue.model.limits import check_name, check_queue

P = ParamSpec("P")
R = TypeVar("R")

MAX_CONCURRENCY = 1000  # runs of one task beside each other; a plain function costs a thread each
MAX_TIMEOUT_S = 86_400.0  # one day, as for a job's own timeout


@dataclass(frozen=True, eq=False)
class Task(Generic[P, R]):
    """A function that runs jobs. Calling it calls the function.

    Units: timeout_s seconds of one run; None leaves it to the job's own timeout.
    """

    function: Callable[P, R]
    name: str
    queue: str
    concurrency: int
    timeout_s: float | None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def place(self) -> tuple[str, int]:
        """File and line of the function."""
        code = inspect.unwrap(self.function).__code__
        return code.co_filename, code.co_firstlineno


def task(
    name: str, *, queue: str = "default", concurrency: int = 1, timeout_s: float | None = None
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function the handler of jobs called `name` in `queue`.

    Errors: Invalid for a name, queue or number that cannot be; the decorated thing must be a function.
    """
    check_name(name)
    check_queue(queue)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or not 1 <= concurrency <= MAX_CONCURRENCY:
        raise Invalid(f"concurrency of task '{name}' must be a whole number from 1 to {MAX_CONCURRENCY}")
    if timeout_s is not None and not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise Invalid(f"timeout_s of task '{name}' must be more than 0 and at most {MAX_TIMEOUT_S:g} seconds")

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        if not inspect.isroutine(function):
            raise Invalid(f"task '{name}' must decorate a function", hint="write @task(...) directly above a def")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise Invalid(f"task '{name}' is a generator", hint="return the result instead of yielding")
        return Task(function, name, queue, concurrency, timeout_s)

    return decorate


AnyTask = Task[..., Any]


@dataclass
class Registry:
    """Tasks by queue and name."""

    _tasks: dict[tuple[str, str], AnyTask] = field(default_factory=dict)

    def add(self, task: AnyTask) -> None:
        """Errors: Invalid if the queue has a task of this name already; the first one stays."""
        key = (task.queue, task.name)
        if (first := self._tasks.get(key)) is not None:
            file, line = first.place
            raise Invalid(
                f"task '{task.name}' of queue '{task.queue}' exists already", hint=f"the first one is at {file}:{line}"
            )
        self._tasks[key] = task

    def find(self, queue: str, name: str) -> AnyTask | None:
        return self._tasks.get((queue, name))

    def queues(self) -> dict[str, int]:
        """Each queue with the number of jobs its tasks may run beside each other."""
        total: dict[str, int] = {}
        for task in self._tasks.values():
            total[task.queue] = total.get(task.queue, 0) + task.concurrency
        return total

    def __iter__(self) -> Iterator[AnyTask]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)
