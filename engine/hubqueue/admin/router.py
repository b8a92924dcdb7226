"""Which way the messages of `_unroutable` go again: by the rules and sources of this process's configuration."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from hubqueue.config.settings import Config
from hubqueue.hub.verbs.reroute import Rerouted, Router
from hubqueue.model.job import Job

if TYPE_CHECKING:
    from hubqueue.mqtt.reroute import RulesAgain
    from hubqueue.sources.reroute import SourcesAgain


def router_of(config: Config) -> Router | None:
    """None where there is neither MQTT nor a source: then nothing knows what a message is to become."""
    return None if config.mqtt is None and not config.sources else _Configured(config)


class _Configured:
    """Rules are compiled, and their libraries loaded, when the first message is routed again."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def reroute(self, job: Job) -> Rerouted:
        found = self._rules.reroute(job) or self._sources.reroute(job)
        return found or Rerouted(reason="invalid", error="it is no message of a topic or of a source")

    @cached_property
    def _rules(self) -> RulesAgain:
        from hubqueue.mqtt.reroute import RulesAgain

        mqtt = self._config.mqtt
        return RulesAgain(() if mqtt is None else mqtt.rules, invoke=mqtt is not None)

    @cached_property
    def _sources(self) -> SourcesAgain:
        from hubqueue.sources.reroute import SourcesAgain

        return SourcesAgain(self._config.sources, lambda: time.time_ns() // 1_000_000)
