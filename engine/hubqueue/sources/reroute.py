"""Messages that were kept, through the settings of their source today: what `hub.verbs.reroute` asks for these."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hubqueue.hub.verbs.reroute import Rerouted
from hubqueue.ingest.outcome import Refused, Taken
from hubqueue.ingest.unread import unread
from hubqueue.model.job import Job
from hubqueue.sources.message import UNREAD, message_of
from hubqueue.sources.settings import Source, routing_of


class SourcesAgain:
    """Every source by its name. Errors: Invalid."""

    def __init__(self, sources: Sequence[Source], now_ms: Callable[[], int]) -> None:
        self._sources = {source.name: routing_of(source) for source in sources}
        self._now_ms = now_ms

    def reroute(self, job: Job) -> Rerouted | None:
        """None: the job is no message of a source."""
        kept = unread(job, UNREAD)
        if kept is None:
            return None
        if kept.source not in self._sources:
            return Rerouted(reason="no_source", error=f"there is no source {kept.source!r} any more")
        outcome = self._sources[kept.source].one(message_of(kept), self._now_ms())
        if isinstance(outcome, Refused):
            return Rerouted(reason=outcome.reason, error=outcome.error)
        return Rerouted([outcome] if isinstance(outcome, Taken) else ())
