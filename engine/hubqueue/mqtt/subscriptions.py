"""What a lane asks the broker for, and which rules a copy of a message is for: one message reaches a rule once.

A broker may send a message once for each subscription that takes it, and two equal messages may be two events, so
copies are told apart by how they came, never by what they say. Each rule belongs to one subscription, and a copy makes
jobs only for the rules of the subscriptions it came through. Which these are
- the broker says where it knows subscription identifiers (MQTT 5): all filters are on one connection;
- else the topic says, for filters that overlap have connections of their own (`apart`): on none of them do two
  subscriptions take one message.
A copy that no present subscription explains waited at the broker since there were others: it is for every rule that
takes its topic. In doubt a message makes a second job.
Pure; `lanes` makes the connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hubqueue.model.topic import TopicFilter, widest
from hubqueue.mqttclient.message import Message

_REMEMBERED: Final = 10_000  # topics; a few hundred bytes each

Through = frozenset[str] | None  # the subscriptions of a copy; None: every one that takes the topic


def owners(filters: Iterable[TopicFilter], numbers: Mapping[str, int]) -> dict[str, str]:
    """Filter of a rule to the subscription that it belongs to: of those that cover it the oldest.

    The oldest, so that a rule stays with its subscription while others come: copies may wait at the broker.
    """
    rules = list(filters)
    wide = sorted(widest(rules), key=lambda each: numbers.get(each.subscription, 0))
    return {rule.subscription: next(each.subscription for each in wide if each.covers(rule)) for rule in rules}


def apart(
    filters: Sequence[TopicFilter], taken: Sequence[TopicFilter], known: Mapping[int, Iterable[str]]
) -> dict[int, list[TopicFilter]]:
    """Filters by connection, so that no two that overlap share one; 0 has those that overlap nothing, nor `taken`.

    known: which filters the connections had before: they keep them.
    """
    found: dict[int, list[TopicFilter]] = {0: []}
    before = {text: number for number, texts in known.items() for text in texts if number}
    for each in filters:
        if not any(each.overlaps(other) for other in (*filters, *taken) if other is not each):
            found[0].append(each)
    rest = [each for each in filters if each not in found[0]]
    for each in sorted(rest, key=lambda each: each.subscription not in before):
        first = before.get(each.subscription, 1)
        numbers = (first, *range(1, len(rest) + 1))
        free = (number for number in numbers if not any(each.overlaps(other) for other in found.get(number, ())))
        found.setdefault(next(free), []).append(each)
    return found


class Paths:
    """The ways on which messages of one lane come over one connection."""

    def __init__(self, every: Sequence[TopicFilter]) -> None:
        """every: the subscriptions of the whole lane, on this connection or another."""
        self._every = every
        self._here: Sequence[TopicFilter] = ()
        self._only = False
        self._names: dict[int, str] = {}
        self._remembered: dict[tuple[str, tuple[int, ...]], tuple[Through, bool]] = {}

    def turn(self, here: Sequence[TopicFilter], numbers: Mapping[str, int]) -> None:
        """From now on these are subscribed here; numbers: with which identifiers, empty without."""
        self._here = here
        self._only = len(here) == len(self._every) == 1
        self._names = {numbers[each.subscription]: each.subscription for each in here if numbers}
        self._remembered.clear()

    def of(self, message: Message) -> tuple[Through, bool]:
        """The subscriptions that this copy came through, and whether another copy of the message counts for it."""
        if self._only:
            return None, False
        key = (message.topic, message.ids)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = self._of(*key)
        return found

    def _of(self, topic: str, ids: tuple[int, ...]) -> tuple[Through, bool]:
        if ids and self._names:
            through = frozenset(self._names[id] for id in ids if id in self._names)
        else:
            through = frozenset(each.subscription for each in self._here if each.match(topic) is not None)
        if not through:
            return None, False
        takers = [each for each in self._every if each.match(topic) is not None]
        counting = next((each for each in takers if not each.shared), takers[0] if takers else None)
        return through, counting is not None and counting.subscription not in through
