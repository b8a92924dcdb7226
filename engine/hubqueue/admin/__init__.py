"""What an operator asks of a running hub process beyond the verbs; one module for each theme.

The command line, the dashboard and Home Assistant ask for these through the doors, since nobody but the hub may touch
its live file. A client never names a path on the hub's machine. app.py hands them to the doors.
"""

from __future__ import annotations

from collections.abc import Mapping

from hubqueue.admin import configuration, files, forwarders, pipelines, rules, sources
from hubqueue.admin.running import Running
from hubqueue.commands.call import Operation
from hubqueue.config.settings import Config
from hubqueue.forward.forwarders import Forwarders
from hubqueue.hub.hub import Hub


def operations(config: Config, hub: Hub, fleet: Forwarders, running: Running) -> Mapping[str, Operation]:
    """The commands of this process by their name on the wire."""
    return {
        **files.operations(hub, config.data_path),
        **forwarders.operations(fleet),
        **pipelines.operations(running),
        **rules.operations(config.mqtt, running, hub.now_ms),
        **sources.operations(running),
        **configuration.operations(config),
    }
