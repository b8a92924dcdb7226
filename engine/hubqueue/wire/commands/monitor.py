"""Commands of those who watch a hub: metrics and dashboards."""

from __future__ import annotations

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import Count, Whole


class Metrics(Command, tag="Metrics", gc=False, kw_only=True):
    """Totals since the start; with `queue` and `type` the ended jobs of that queue per minute."""

    queue: str | None = None
    type: str | None = None
    start: Whole = 0
    end: Whole = -1


class Prometheus(Command, tag="Prometheus", gc=False, kw_only=True):
    """The hub's figures in Prometheus' text format."""


class TrimEvents(Command, tag="TrimEvents", gc=False, kw_only=True):
    """Keep at most `maxLength` old events of a queue; a hub keeps none."""

    queue: str
    max_length: Whole


class DashboardOverview(Command, tag="DashboardOverview", gc=False, kw_only=True):
    """The whole hub at a glance."""


class DashboardQueues(Command, tag="DashboardQueues", gc=False, kw_only=True):
    """All queues at a glance."""


class DashboardQueue(Command, tag="DashboardQueue", gc=False, kw_only=True):
    """One queue at a glance; with `includeJobs` its first jobs too."""

    queue: str
    include_jobs: bool = False
    jobs_limit: Count = 10
