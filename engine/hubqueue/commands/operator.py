"""Commands for the operator of a hub process, ours: forwarders, rules, configuration, backup, check of the file.

None takes a path: a client never names a file on the hub's machine.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.commands.call import Call, Work
from hubqueue.commands.command import ADMIN, READ, WHOLE_HUB, WORK, Command, command
from hubqueue.errors import UnknownCommand
from hubqueue.model.limits import WRITE_TIMEOUT_S
from hubqueue.wire.fields import ABSENT, WHOLE

MAX_TEXT = 100_000  # of a certificate or a topic's rule: more is no honest mistake
_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
_Milliseconds = Annotated[int, Meta(ge=1, le=3_600_000)]


class Schedule(msgspec.Struct):
    """When a forwarder may run: windows as in `22:00-06:00`."""

    windows: list[str]
    timezone: str | None = None


class OperatorCommand(Command):
    """A command that belongs to the process, which hands what it does to the context by name."""

    def handle(self, call: Call) -> Work:
        """Whatever the process has under the command's name. Errors: UnknownCommand."""
        name = type(self).__name__
        lent = call.session.context.operations.get(name)
        if lent is None:
            raise UnknownCommand(f"Unknown command: {name}", hint="this hub is embedded; ask the program it lives in")
        return lent(self)


@command(READ, WHOLE_HUB)
class Forwarders(OperatorCommand):
    """How the forwarders of this process are doing."""


@command(READ, WHOLE_HUB)
class Pipelines(OperatorCommand):
    """How the pipelines of this process are doing."""


@command(READ, WHOLE_HUB)
class Sources(OperatorCommand):
    """How the sources of this process are doing."""


@command(ADMIN, WHOLE_HUB)
class ForwarderPut(OperatorCommand, kw_only=True):
    """Make a forwarder, or let the one of this name be another. Its secrets are never shown again.

    test: only look whether the other side answers, takes the token and lets it enqueue; nothing is changed.
    """

    name: str = ""
    queue: str = ""
    to: str
    target: str | None = None
    token: _Text | UnsetType | None = UNSET
    ca_cert: _Text | UnsetType | None = UNSET
    client_cert: _Text | UnsetType | None = UNSET
    server_name: _Text | None = None
    verify: bool = True
    durable: bool = True
    schedule: Schedule | None = None
    rate: Annotated[float, Meta(ge=0.001, le=1_000_000)] | None = None
    batch: Annotated[int, Meta(ge=1, le=1000, extra=WHOLE)] = 100
    concurrency: Annotated[int, Meta(ge=1, le=64, extra=WHOLE)] = 1
    backoff: _Milliseconds = 500
    backoff_cap: _Milliseconds = 60_000
    write_timeout: _Milliseconds = WRITE_TIMEOUT_S * 1000
    test: bool = False


@command(ADMIN, WHOLE_HUB)
class ForwarderDelete(OperatorCommand):
    """End and forget a forwarder; its queue keeps the jobs.

    when_empty: only as soon as its queue holds nothing to forward.
    """

    name: str = ""
    when_empty: bool = False


@command(ADMIN, WHOLE_HUB)
class ForwarderPause(OperatorCommand):
    """Forward nothing until it is resumed, over restarts too."""

    name: str = ""


@command(ADMIN, WHOLE_HUB)
class ForwarderResume(OperatorCommand):
    """Go on."""

    name: str = ""


@command(WORK, WHOLE_HUB)
class ForwarderDrain(OperatorCommand):
    """Try at once what waits now or is delayed, whatever its schedule and back-off say."""

    name: str = ""


@command(READ, WHOLE_HUB)
class Rules(OperatorCommand):
    """The MQTT rules of this process, what each has done, and the link to the broker."""


@command(ADMIN, WHOLE_HUB)
class RuleTest(OperatorCommand):
    """What the rules would make of a message; with `rule`, what that rule would. Nothing is enqueued.

    rule: in the words of the configuration, or as text that would stand there.
    """

    topic: _Text
    payload: msgspec.Raw = ABSENT  # binary, or text for those who write JSON
    qos: Annotated[int, Meta(ge=0, le=2, extra=WHOLE)] = 1
    retain: bool = False
    rule: dict[str, Any] | str | None = None


@command(ADMIN, WHOLE_HUB)
class Config(OperatorCommand):
    """What this process was told at its start, without secrets."""


@command(ADMIN, WHOLE_HUB)
class Backup(OperatorCommand):
    """Write a backup into the folder `backups` beside the job file."""


@command(ADMIN, WHOLE_HUB)
class Backups(OperatorCommand):
    """The backups in that folder, newest first."""


@command(ADMIN, WHOLE_HUB)
class CheckFile(OperatorCommand):
    """Look a copy of the job file over."""
