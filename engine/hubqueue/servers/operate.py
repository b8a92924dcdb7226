"""Handlers of the operator's commands. What they do belongs to the process, which hands it to the door by name."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import UnknownCommand
from hubqueue.servers.door import Call, Handlers, Work
from hubqueue.wire.commands import operate as wire


def operation(call: Call, command: Any) -> Work:
    """Whatever the process has under the command's name. Errors: UnknownCommand."""
    name = type(command).__name__
    lent = call.session.door.operations.get(name)
    if lent is None:
        raise UnknownCommand(f"Unknown command: {name}", hint="this hub is embedded; ask the program it lives in")
    return lent(command)


HANDLERS: Final[Handlers] = dict.fromkeys(
    (
        wire.Forwarders,
        wire.ForwarderPut,
        wire.ForwarderDelete,
        wire.ForwarderPause,
        wire.ForwarderResume,
        wire.ForwarderDrain,
        wire.Pipelines,
        wire.Sources,
        wire.Rules,
        wire.RuleTest,
        wire.Config,
        wire.Backup,
        wire.Backups,
        wire.CheckFile,
    ),
    operation,
)
