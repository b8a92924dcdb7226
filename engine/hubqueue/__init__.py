"""hubqueue: a durable job queue for home and edge hubs.

Public names are imported when they are first used: `import hubqueue` alone costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hubqueue.api.client import Client as Client
    from hubqueue.api.embedded import Embedded as Embedded
    from hubqueue.api.embedded import open as open  # noqa: A004 - hubqueue.open, as gzip.open
    from hubqueue.api.forwarding import Forwarding as Forwarding
    from hubqueue.api.jobs import JobHandle as JobHandle
    from hubqueue.api.jobs import JobView as JobView
    from hubqueue.api.newjob import dedup as dedup
    from hubqueue.api.newjob import exponential as exponential
    from hubqueue.api.newjob import fixed as fixed
    from hubqueue.api.newjob import job as job
    from hubqueue.api.queue import Queue as Queue
    from hubqueue.errors import HubqueueError as HubqueueError
    from hubqueue.model.outcome import Complete as Complete
    from hubqueue.model.outcome import Fail as Fail
    from hubqueue.model.outcome import Reject as Reject
    from hubqueue.model.outcome import Release as Release
    from hubqueue.model.outcome import Retry as Retry
    from hubqueue.work.listener import Message as Message
    from hubqueue.work.listener import channel as channel
    from hubqueue.work.registry import task as task
    from hubqueue.work.running import RunningJob as RunningJob
    from hubqueue.work.worker import Worker as Worker

_HOME: Final = {
    "Client": "hubqueue.api.client",
    "Complete": "hubqueue.model.outcome",
    "Embedded": "hubqueue.api.embedded",
    "Fail": "hubqueue.model.outcome",
    "Forwarding": "hubqueue.api.forwarding",
    "HubqueueError": "hubqueue.errors",
    "JobHandle": "hubqueue.api.jobs",
    "JobView": "hubqueue.api.jobs",
    "Message": "hubqueue.work.listener",
    "Queue": "hubqueue.api.queue",
    "Reject": "hubqueue.model.outcome",
    "Release": "hubqueue.model.outcome",
    "Retry": "hubqueue.model.outcome",
    "RunningJob": "hubqueue.work.running",
    "Worker": "hubqueue.work.worker",
    "channel": "hubqueue.work.listener",
    "dedup": "hubqueue.api.newjob",
    "exponential": "hubqueue.api.newjob",
    "fixed": "hubqueue.api.newjob",
    "job": "hubqueue.api.newjob",
    "open": "hubqueue.api.embedded",
    "task": "hubqueue.work.registry",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
