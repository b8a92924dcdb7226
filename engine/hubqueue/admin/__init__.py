"""What an operator asks of a running hub process beyond the verbs; one module for each theme.

The command line, the dashboard and Home Assistant ask for these through the doors, since nobody but the hub may touch
its live file. A client never names a path on the hub's machine. app.py hands them to the doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hubqueue.admin import configuration, files, forwarders, pipelines, rules, sources
from hubqueue.servers.door import Operation

if TYPE_CHECKING:
    from hubqueue.app import App


def operations(app: App) -> Mapping[str, Operation]:
    """The commands of this process by their name on the wire."""
    return {
        **files.operations(app),
        **forwarders.operations(app),
        **pipelines.operations(app),
        **rules.operations(app),
        **sources.operations(app),
        **configuration.operations(app),
    }
