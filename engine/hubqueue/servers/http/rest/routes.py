"""The table of all routes, by theme. A new route needs an example in docs/http.md (tested)."""

from __future__ import annotations

from typing import Final

from hubqueue.servers.http.rest import dead, feed, flows, forwarders, jobs, leases, operate, queues, schedules, webhooks
from hubqueue.servers.http.rest.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *queues.ROUTES,
    *jobs.ROUTES,
    *feed.ROUTES,
    *leases.ROUTES,
    *dead.ROUTES,
    *flows.ROUTES,
    *schedules.ROUTES,
    *webhooks.ROUTES,
    *operate.ROUTES,
    *forwarders.ROUTES,
)
