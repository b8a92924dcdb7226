"""Messages that were kept, through the settings of their source today: what `hub.verbs.reroute` asks for these."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hubqueue.hub.verbs.reroute import Rerouted
from hubqueue.model.job import Dedup, Job
from hubqueue.sources.message import message_of, unread
from hubqueue.sources.routing import Routing
from hubqueue.sources.settings import AmqpSource, Source


class SourcesAgain:
    """Every source by its name. Errors: Invalid."""

    def __init__(self, sources: Sequence[Source], now_ms: Callable[[], int]) -> None:
        self._sources: dict[str, tuple[Routing, Dedup | None]] = {
            source.name: (
                Routing(source.name, source.into),
                source.remember if isinstance(source, AmqpSource) else None,
            )
            for source in sources
        }
        self._now_ms = now_ms

    def reroute(self, job: Job) -> Rerouted | None:
        """None: the job is no message of a source."""
        kept = unread(job)
        if kept is None:
            return None
        if kept.source not in self._sources:
            return Rerouted(reason="no_source", error=f"there is no source {kept.source!r} any more")
        if kept.size > len(kept.payload):
            return Rerouted(reason="too_large", error=f"only {len(kept.payload)} of its {kept.size} bytes are kept")
        routing, remember = self._sources[kept.source]
        routed = routing.route([message_of(kept)], self._now_ms(), remember)
        for _, reason, error in routed.dead:
            return Rerouted(reason=reason, error=error)
        return Rerouted(routed.taken)
