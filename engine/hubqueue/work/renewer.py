"""Keeps the leases of a worker's runs alive: one extend for all of them in every third of a lease.

A lease that the hub calls lost or cancelled is told to the worker. While the hub cannot be asked, a lease counts
as good until its own deadline: then somebody else may run the job, so this run has to end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from hubqueue.errors import HubqueueError
from hubqueue.model.verbs import Renewal, Verbs
from hubqueue.work.running import RunningJob

BEATS_PER_LEASE: Final = 3  # two may fail before a lease runs out

log = logging.getLogger(__name__)


class Renewer:
    """Runs until it is cancelled. `runs`: the leases to keep now; `gone(run, renewal)`: one cannot be kept."""

    def __init__(
        self,
        verbs: Verbs,
        lease_ms: int,
        runs: Callable[[], Iterable[RunningJob]],
        gone: Callable[[RunningJob, Renewal], None],
    ) -> None:
        self._verbs = verbs
        self._lease_ms = lease_ms
        self._runs = runs
        self._gone = gone

    async def run(self) -> None:
        every_s = self._lease_ms / 1000 / BEATS_PER_LEASE
        while True:
            await asyncio.sleep(every_s)
            by_length: dict[int | None, list[RunningJob]] = {}
            for run in self._runs():
                by_length.setdefault(run.lease_ms, []).append(run)
            for lease_ms, runs in by_length.items():
                try:
                    async with asyncio.timeout(every_s):
                        await self._renew(runs, lease_ms)
                except (HubqueueError, TimeoutError) as error:
                    log.warning("leases not renewed, tried again count=%d error=%s", len(runs), error or "no answer")
                    self._give_up(runs)

    async def _renew(self, runs: list[RunningJob], lease_ms: int | None) -> None:
        asked_at_s = asyncio.get_running_loop().time()
        renewals = await self._verbs.extend([(run.id, run.token) for run in runs], lease_ms)
        for run, renewal in zip(runs, renewals, strict=True):
            if renewal is Renewal.RENEWED:
                run.expires_at_s = asked_at_s + (lease_ms or self._lease_ms) / 1000
            else:
                self._gone(run, renewal)

    def _give_up(self, runs: list[RunningJob]) -> None:
        now_s = asyncio.get_running_loop().time()
        for run in runs:
            if now_s >= run.expires_at_s:
                self._gone(run, Renewal.LOST)
