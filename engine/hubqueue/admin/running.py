"""What runs in this process beside the hub and its forwarders, as far as it has started: the doors open before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubqueue.mqtt.bridge import Bridge
    from hubqueue.pipeline.pipelines import Pipelines
    from hubqueue.sources.sources import Sources


@dataclass(slots=True)
class Running:
    """None: it is not configured, or has not started yet. app.py fills it, what is asked of the process reads it."""

    pipelines: Pipelines | None = None
    bridge: Bridge | None = None
    sources: Sources | None = None
