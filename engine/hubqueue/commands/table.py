"""The command table: every command of the protocol, collected from the families."""

from __future__ import annotations

from typing import Final

from hubqueue.commands import (
    change,
    dashboard,
    dead,
    enqueue,
    exposition,
    flows,
    groups,
    health,
    leases,
    limits,
    operator,
    overview,
    queues,
    read,
    schedules,
    search,
    sessions,
    settle,
    stats,
    subscribe,
    tokens,
    waiting,
    webhooks,
)
from hubqueue.commands.command import Command
from hubqueue.commands.enqueue import PlainPush, PlainPushB, Push

FAMILIES: Final = (
    enqueue,
    leases,
    settle,
    read,
    waiting,
    search,
    overview,
    change,
    queues,
    dead,
    schedules,
    flows,
    limits,
    groups,
    sessions,
    subscribe,
    health,
    stats,
    dashboard,
    exposition,
    webhooks,
    tokens,
    operator,
)
Request = Command | Push
COMMANDS: Final[tuple[type[Request], ...]] = tuple(
    each
    for family in FAMILIES
    for each in vars(family).values()
    if isinstance(each, type) and "row" in vars(each) and each.__module__ == family.__name__
)
PLAIN_FORMS: Final = {"PUSH": PlainPush, "PUSHB": PlainPushB}  # both have a full form too
BY_NAME: Final = {str(each.__struct_config__.tag): each for each in COMMANDS if each not in PLAIN_FORMS.values()}
