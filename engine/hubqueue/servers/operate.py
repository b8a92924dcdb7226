"""Handlers of the operator's commands. What they do belongs to the process, which hands it to the door by name."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import UnknownCommand
from hubqueue.servers.door import Call, Handlers, Work
from hubqueue.wire.commands import operate as wire


def forwarders(call: Call, command: wire.Forwarders) -> Work:
    return _operation(call, command)


def backup(call: Call, command: wire.Backup) -> Work:
    return _operation(call, command)


def check_file(call: Call, command: wire.CheckFile) -> Work:
    return _operation(call, command)


def _operation(call: Call, command: Any) -> Work:
    name = type(command).__name__
    operation = call.session.door.operations.get(name)
    if operation is None:
        raise UnknownCommand(f"Unknown command: {name}", hint="this hub is embedded; ask the program it lives in")
    return operation(command)


HANDLERS: Final[Handlers] = {wire.Forwarders: forwarders, wire.Backup: backup, wire.CheckFile: check_file}
