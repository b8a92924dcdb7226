"""Commands of subscriptions: to events of jobs, summaries of queues and channels; and of what a client publishes.

A session keeps what ends each of them under (kind, name), at most MAX_SUBSCRIPTIONS at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Raw

from hubqueue.commands.call import OK, Call, Session
from hubqueue.commands.command import ANYBODY, ENQUEUE, FILTERED, NOTHING, READ, WHOLE_HUB, Command, command
from hubqueue.commands.notifications import Gap
from hubqueue.errors import Busy, Forbidden, Invalid
from hubqueue.hub.summaries import Summaries
from hubqueue.model.limits import check_queue
from hubqueue.model.verbs import Event, wants
from hubqueue.wire.fields import ABSENT, NULL, Count, number, value_bytes

EVERY: Final = "*"
EVENTS, CHANNEL, SUMMARIES = "events", "channel", "summaries"
MAX_SUBSCRIPTIONS: Final = 1000
MAX_KINDS: Final = 100
End = Callable[[], None]


@command(READ, FILTERED)
class SubscribeEvents(Command):
    """Send events of one queue, or of all (`*`), on this connection; ours: how, and since when."""

    queue: str
    kinds: list[str] | None = None
    add: bool = False
    since: Count | None = None
    epoch: str | None = None

    def handle(self, call: Call) -> None:
        session, recent, broadcasts = call.session, call.session.context.hub.recent, call.session.context.broadcasts
        queue = None if self.queue == EVERY else check_queue(self.queue)
        if self.kinds is not None and len(self.kinds) > MAX_KINDS:
            raise Invalid(f"kinds must hold at most {MAX_KINDS} entries")
        topics = _topics(call, queue)
        if not self.add:
            _stop_events(session)
        kinds = None if self.kinds is None else frozenset(self.kinds)
        missed: list[Event] = []
        whole = True
        if self.since is not None:
            for topic in topics:
                after, complete = recent.since(topic, self.since, self.epoch)
                missed += after
                whole = whole and complete
        _check_room(session, (EVENTS, queue))
        session.event_topics[queue] = frozenset((topic, kinds) for topic in topics)
        broadcasts.move(session)
        session.subscriptions[(EVENTS, queue)] = lambda: _end_events(session, queue)
        call.answer({"epoch": recent.epoch, "seq": number(recent.seq)})
        if not whole:
            session.notify(Gap(self.queue, session.context.hub.now_ms(), None))
        for event in sorted(missed, key=lambda event: event.seq):
            if wants(kinds, event):
                session.notify(event)


@command(ANYBODY, NOTHING)
class UnsubscribeEvents(Command):
    """Send no more events; ours: of this queue, by the name it was asked for."""

    queue: str | None = None

    def handle(self, call: Call) -> None:
        if self.queue is None:
            _stop_events(call.session)
        else:
            _stop_one(call.session, EVENTS, None if self.queue == EVERY else self.queue)
        call.answer(OK)


class Receivers(msgspec.Struct):
    """How many listened here at this moment."""

    receivers: int


@command(ENQUEUE, WHOLE_HUB, answers=Receivers)
class Publish(Command):
    """Tell everybody who listens to a channel now."""

    channel: str
    data: Raw = ABSENT

    def handle(self, call: Call) -> None:
        data = value_bytes(self.data)
        receivers = call.session.context.hub.channels.publish(self.channel, NULL if data is None else data)
        call.answer({"receivers": receivers})


@command(READ, WHOLE_HUB)
class SubscribeChannel(Command):
    """Send the messages of a channel, or of all (`*`), on this connection."""

    channel: str

    def handle(self, call: Call) -> None:
        session, channels = call.session, call.session.context.hub.channels
        _subscribe(session, CHANNEL, self.channel, lambda: [channels.subscribe(self.channel, session.notify)])
        call.answer(OK)


@command(ANYBODY, NOTHING)
class UnsubscribeChannel(Command):
    """Send no more messages of a channel."""

    channel: str

    def handle(self, call: Call) -> None:
        _stop_one(call.session, CHANNEL, self.channel)
        call.answer(OK)


@command(READ, FILTERED)
class SubscribeSummaries(Command):
    """Send the state of a queue, or of all, whenever it has changed, at most once a second."""

    queue: str | None = None

    def handle(self, call: Call) -> None:
        session, watch = call.session, call.session.context.hub.summaries
        queue = None if self.queue is None else check_queue(self.queue)
        topics = _topics(call, queue)

        def receive(news: Summaries | Event) -> bool:
            followed = isinstance(news, Event) and not session.subscriptions.keys().isdisjoint(
                {(EVENTS, None), (EVENTS, news.queue)}
            )
            return followed or session.notify(news)  # followed: it is among the events that the client asked for

        _subscribe(session, SUMMARIES, queue, lambda: [watch.subscribe(topic, receive) for topic in topics])
        call.answer(OK)


@command(ANYBODY, NOTHING)
class UnsubscribeSummaries(Command):
    """Send no more of the summaries that were asked for by this name, or of all queues."""

    queue: str | None = None

    def handle(self, call: Call) -> None:
        _stop_one(call.session, SUMMARIES, self.queue)
        call.answer(OK)


def _topics(call: Call, queue: str | None) -> tuple[str | None, ...]:
    """What to listen to: the queue, or all queues (None), or all that the client may see. Errors: Forbidden."""
    grant = call.session.grant
    own = None if grant is None else grant.queues
    if own is None:
        return (queue,)
    if queue is None:
        return tuple(own)
    if queue not in own:
        raise Forbidden("This token may not see that queue", hint=f"its queues: {', '.join(sorted(own))}")
    return (queue,)


def _subscribe(session: Session, kind: str, name: str | None, begin: Callable[[], Iterable[End]]) -> None:
    """Listen, instead of what was listened to under the same name. Errors: Busy."""
    _check_room(session, (kind, name))
    ends = tuple(begin())
    _stop_one(session, kind, name)

    def end() -> None:
        for each in ends:
            each()

    session.subscriptions[(kind, name)] = end


def _check_room(session: Session, key: tuple[str, str | None]) -> None:
    if not session.listens:
        raise Invalid("This needs a connection that stays", hint="/api/v1/ws and /api/v1/events are one")
    if key not in session.subscriptions and len(session.subscriptions) >= MAX_SUBSCRIPTIONS:
        raise Busy("This connection listens to too much", hint="ask for all queues, or use another connection")


def _end_events(session: Session, queue: str | None) -> None:
    if session.event_topics.pop(queue, None) is not None:
        session.context.broadcasts.move(session)


def _stop_one(session: Session, kind: str, name: str | None) -> None:
    end = session.subscriptions.pop((kind, name), None)
    if end is not None:
        end()


def _stop_events(session: Session) -> None:
    session.event_topics.clear()
    session.context.broadcasts.move(session)
    for key in [key for key in session.subscriptions if key[0] == EVENTS]:
        del session.subscriptions[key]
