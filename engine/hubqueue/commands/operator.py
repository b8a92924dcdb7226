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


class BrokerLink(msgspec.Struct, kw_only=True):
    """A connection to the MQTT broker."""

    lane: str
    up: bool
    since: float
    version: str | None
    error: str | None
    hint: str | None


class MqttCounts(msgspec.Struct, kw_only=True):
    """Messages since the start; enqueued, overflowed and answered are jobs. Empty until the bridge has started."""

    received: int = 0
    copies: int = 0
    redelivered: int = 0
    enqueued: int = 0
    passed: int = 0
    unroutable: int = 0
    overflowed: int = 0
    dropped: int = 0
    acknowledged: int = 0
    answered: int = 0


class BrokerStanding(msgspec.Struct, kw_only=True):
    """The MQTT broker: links to it, messages that wait for their acknowledgement, and what was done."""

    url: str
    links: list[BrokerLink]
    unacknowledged: int
    counts: MqttCounts


class RuleStanding(msgspec.Struct, rename="camel", kw_only=True):
    """A rule as the configuration has it, and what it has done."""

    index: int
    settings: dict[str, Any]
    matched: int
    passed: int
    failed: int
    last_at: float | None
    failed_at: float | None
    error: str | None


class PipelineStanding(msgspec.Struct, rename="camel", kw_only=True):
    """A pipeline. Counters run since its start; trouble: why it waits."""

    name: str
    queue: str | None
    to: list[str]
    steps: list[str]
    process: str
    trouble: str | None
    shared: bool
    taken: int
    given: int
    refused: int
    failed: int
    late: int
    lost: int
    released: int
    batches: int
    restarts: int
    open: int
    lag_ms: float
    us_per_record: float


class HoursShown(msgspec.Struct, kw_only=True):
    """When a forwarder may run."""

    windows: list[str]
    timezone: str | None


class ForwarderStanding(msgspec.Struct, rename="camel", kw_only=True):
    """A forwarder, without its secrets. Counters run since its start."""

    name: str
    declared: str
    queue: str
    to: str
    target: str
    paused: bool
    draining: bool
    retiring: bool
    link: str
    link_since: float
    reason: str | None
    error: str | None
    hint: str | None
    alert: bool
    retry_in: int | None
    open: bool
    opens_at: float | None
    closes_at: float | None
    waiting: int
    delayed: int
    in_flight: int
    oldest_ms: float | None
    forwarded: int
    rejected: int
    released: int
    batches: int
    losses: int
    rate_per_s: float
    has_token: bool
    has_ca_cert: bool
    has_client_cert: bool
    server_name: str | None
    verify: bool
    durable: bool
    schedule: HoursShown | None
    rate: float | None
    batch: int
    concurrency: int
    backoff: int
    backoff_cap: int
    write_timeout: int


class ForwardersReply(msgspec.Struct):
    """How the forwarders are doing."""

    forwarders: list[ForwarderStanding]


class PipelinesReply(msgspec.Struct):
    """How the pipelines are doing."""

    pipelines: list[PipelineStanding]


class RulesReply(msgspec.Struct):
    """The MQTT rules, what each has done, and the link to the broker."""

    rules: list[RuleStanding]
    broker: BrokerStanding | None


class ConfigReply(msgspec.Struct):
    """What the process was told at its start, without secrets."""

    config: dict[str, Any]
    origins: dict[str, str]


class BackedUp(msgspec.Struct):
    """Where the backup is, on the hub's machine, and how large."""

    path: str
    bytes: int


class BackupFile(msgspec.Struct, rename="camel"):
    """A backup on the hub's machine."""

    path: str
    bytes: int
    created_at: int


class BackupsReply(msgspec.Struct):
    """Backups beside the job file, newest first."""

    backups: list[BackupFile]


class OperatorCommand(Command):
    """A command that belongs to the process, which hands what it does to the context by name."""

    def handle(self, call: Call) -> Work:
        """Whatever the process has under the command's name. Errors: UnknownCommand."""
        name = type(self).__name__
        lent = call.session.context.operations.get(name)
        if lent is None:
            raise UnknownCommand(f"Unknown command: {name}", hint="this hub is embedded; ask the program it lives in")
        return lent(self)


@command(READ, WHOLE_HUB, answers=ForwardersReply)
class Forwarders(OperatorCommand):
    """How the forwarders of this process are doing."""


@command(READ, WHOLE_HUB, answers=PipelinesReply)
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


@command(READ, WHOLE_HUB, answers=RulesReply)
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


@command(ADMIN, WHOLE_HUB, answers=ConfigReply)
class Config(OperatorCommand):
    """What this process was told at its start, without secrets."""


@command(ADMIN, WHOLE_HUB, answers=BackedUp)
class Backup(OperatorCommand):
    """Write a backup into the folder `backups` beside the job file."""


@command(ADMIN, WHOLE_HUB, answers=BackupsReply)
class Backups(OperatorCommand):
    """The backups in that folder, newest first."""


@command(ADMIN, WHOLE_HUB)
class CheckFile(OperatorCommand):
    """Look a copy of the job file over."""
