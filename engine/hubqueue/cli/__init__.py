"""The command `hubqueue`. Each command is one module here, imported only when it is used or listed.

Commands talk to the running hub over TCP and never open its file; only `run`, `restore`, `adopt` and
`doctor --file` touch files, under the hub's lock.
"""

from hubqueue.cli.group import main

__all__ = ["main"]
