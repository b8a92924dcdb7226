"""Commands of channels and summaries, ours: broadcasts that are kept nowhere, and the state of queues each second."""

from __future__ import annotations

from msgspec import Raw

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import ABSENT


class Publish(Command, tag="Publish", gc=False, kw_only=True):
    """Tell everybody who listens to a channel now."""

    channel: str
    data: Raw = ABSENT


class SubscribeChannel(Command, tag="SubscribeChannel", gc=False, kw_only=True):
    """Send the messages of a channel, or of all (`*`), on this connection."""

    channel: str


class UnsubscribeChannel(Command, tag="UnsubscribeChannel", gc=False, kw_only=True):
    """Send no more messages of a channel."""

    channel: str


class SubscribeSummaries(Command, tag="SubscribeSummaries", gc=False, kw_only=True):
    """Send the state of a queue, or of all, whenever it has changed, at most once a second."""

    queue: str | None = None


class UnsubscribeSummaries(Command, tag="UnsubscribeSummaries", gc=False, kw_only=True):
    """Send no more of the summaries that were asked for by this name, or of all queues."""

    queue: str | None = None
