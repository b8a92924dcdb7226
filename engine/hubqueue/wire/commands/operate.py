"""Commands for the operator of a hub process, ours: forwarders, backup, check of the file.

None takes a field: a client never names a path on the hub's machine.
"""

from __future__ import annotations

from hubqueue.wire.commands.base import Command


class Forwarders(Command, tag="Forwarders", gc=False, kw_only=True):
    """How the forwarders of this process are doing."""


class Backup(Command, tag="Backup", gc=False, kw_only=True):
    """Write a backup into the folder `backups` beside the job file."""


class CheckFile(Command, tag="CheckFile", gc=False, kw_only=True):
    """Look a copy of the job file over."""
