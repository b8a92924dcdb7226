"""Handlers of what a client listens to: events of jobs, summaries of queues, channels; and of what it publishes.

A session keeps what ends each of them under (kind, name), at most MAX_LISTENING at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from hubqueue.errors import Busy, Forbidden, Invalid
from hubqueue.hub.summaries import Summaries
from hubqueue.model.limits import check_queue
from hubqueue.model.verbs import Event, wants
from hubqueue.servers.door import OK, Call, Handlers, Session
from hubqueue.servers.told import Gap
from hubqueue.wire.commands import channels as wire
from hubqueue.wire.commands.session import SubscribeEvents, UnsubscribeEvents
from hubqueue.wire.fields import NULL, number, value_bytes

EVERY: Final = "*"
EVENTS, CHANNEL, SUMMARIES = "events", "channel", "summaries"
MAX_LISTENING: Final = 1000
MAX_KINDS: Final = 100

End = Callable[[], None]


def subscribe_events(call: Call, command: SubscribeEvents) -> None:
    session, recent, choirs = call.session, call.session.door.hub.recent, call.session.door.choirs
    queue = None if command.queue == EVERY else check_queue(command.queue)
    if command.kinds is not None and len(command.kinds) > MAX_KINDS:
        raise Invalid(f"kinds must hold at most {MAX_KINDS} entries")
    topics = _topics(call, queue)
    if not command.add:
        _stop_events(session)
    kinds = None if command.kinds is None else frozenset(command.kinds)
    missed: list[Event] = []
    whole = True
    if command.since is not None:
        for topic in topics:
            after, complete = recent.since(topic, command.since, command.epoch)
            missed += after
            whole = whole and complete
    _check_room(session, (EVENTS, queue))
    session.wishes[queue] = frozenset((topic, kinds) for topic in topics)
    choirs.move(session)
    session.listening[(EVENTS, queue)] = lambda: _wish_no_more(session, queue)
    call.answer({"epoch": recent.epoch, "seq": number(recent.seq)})
    if not whole:
        session.tell(Gap(command.queue, session.door.hub.now_ms(), None))
    for event in sorted(missed, key=lambda event: event.seq):
        if wants(kinds, event):
            session.tell(event)


def unsubscribe_events(call: Call, command: UnsubscribeEvents) -> None:
    if command.queue is None:
        _stop_events(call.session)
    else:
        _stop_one(call.session, EVENTS, None if command.queue == EVERY else command.queue)
    call.answer(OK)


def subscribe_summaries(call: Call, command: wire.SubscribeSummaries) -> None:
    session, watch = call.session, call.session.door.hub.summaries
    queue = None if command.queue is None else check_queue(command.queue)
    topics = _topics(call, queue)

    def receive(told: Summaries | Event) -> bool:
        followed = isinstance(told, Event) and not session.listening.keys().isdisjoint(
            {(EVENTS, None), (EVENTS, told.queue)}
        )
        return followed or session.tell(told)  # followed: it is among the events that the client asked for

    _listen(session, SUMMARIES, queue, lambda: [watch.subscribe(topic, receive) for topic in topics])
    call.answer(OK)


def unsubscribe_summaries(call: Call, command: wire.UnsubscribeSummaries) -> None:
    _stop_one(call.session, SUMMARIES, command.queue)
    call.answer(OK)


def publish(call: Call, command: wire.Publish) -> None:
    data = value_bytes(command.data)
    receivers = call.session.door.hub.channels.publish(command.channel, NULL if data is None else data)
    call.answer({"receivers": receivers})


def subscribe_channel(call: Call, command: wire.SubscribeChannel) -> None:
    session, channels = call.session, call.session.door.hub.channels
    _listen(session, CHANNEL, command.channel, lambda: [channels.subscribe(command.channel, session.tell)])
    call.answer(OK)


def unsubscribe_channel(call: Call, command: wire.UnsubscribeChannel) -> None:
    _stop_one(call.session, CHANNEL, command.channel)
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


def _listen(session: Session, kind: str, name: str | None, begin: Callable[[], Iterable[End]]) -> None:
    """Listen, instead of what was listened to under the same name. Errors: Busy."""
    _check_room(session, (kind, name))
    ends = tuple(begin())
    _stop_one(session, kind, name)

    def end() -> None:
        for each in ends:
            each()

    session.listening[(kind, name)] = end


def _check_room(session: Session, key: tuple[str, str | None]) -> None:
    if key not in session.listening and len(session.listening) >= MAX_LISTENING:
        raise Busy("This connection listens to too much", hint="ask for all queues, or use another connection")


def _wish_no_more(session: Session, queue: str | None) -> None:
    if session.wishes.pop(queue, None) is not None:
        session.door.choirs.move(session)


def _stop_one(session: Session, kind: str, name: str | None) -> None:
    end = session.listening.pop((kind, name), None)
    if end is not None:
        end()


def _stop_events(session: Session) -> None:
    session.wishes.clear()
    session.door.choirs.move(session)
    for key in [key for key in session.listening if key[0] == EVENTS]:
        del session.listening[key]


HANDLERS: Final[Handlers] = {
    SubscribeEvents: subscribe_events,
    UnsubscribeEvents: unsubscribe_events,
    wire.SubscribeSummaries: subscribe_summaries,
    wire.UnsubscribeSummaries: unsubscribe_summaries,
    wire.Publish: publish,
    wire.SubscribeChannel: subscribe_channel,
    wire.UnsubscribeChannel: unsubscribe_channel,
}
