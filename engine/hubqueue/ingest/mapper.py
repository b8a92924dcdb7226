"""One message to one job: what the settings of a rule or a source (`Into`) make of each. Pure and synchronous.

Rule: what is left out is left out before anything is refused, so that a message that nobody wants is no dead letter
for a queue that it will never see. What one message finds, a defect too, costs that message and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from copy import copy
from typing import Final, Protocol, Self, TypeVar

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.expression import Condition, ExpressionFailed
from hubqueue.ingest.into import Into
from hubqueue.ingest.outcome import DEFECT, Outcome, Passed, Refused, Taken
from hubqueue.ingest.template import QueueTemplate, Template
from hubqueue.ingest.unread import Unread, unread_job
from hubqueue.model import payload as carried
from hubqueue.model.decode import SKIPPED
from hubqueue.model.job import PLAIN, Dedup, NewJob, Options
from hubqueue.model.limits import check_group, check_name, check_options, check_size

log = logging.getLogger(__name__)


class Message(Protocol):
    """As every door has it. Units: missing bytes at the end of the payload that were too large to be read or kept."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def missing(self) -> int: ...


M = TypeVar("M", bound=Message, contravariant=True)


class Carrier(Protocol[M]):
    """What a door knows of its messages beside the payload."""

    def values(self, message: M, value: object) -> dict[str, object]:
        """What templates and `where` may name; value: the payload, decoded."""
        ...

    def envelope(self, message: M, value: object, now_ms: int) -> object:
        """The data of a job of shape `message`."""
        ...

    def unread(self, message: M, now_ms: int) -> Unread:
        """What is kept of a message that becomes no job."""
        ...


class Mapper:
    """Settings, ready to run. Errors: Invalid names the first mistake."""

    __slots__ = (
        *("_decode", "_dedup", "_fixed", "_group", "_is_message", "_name", "_options", "_passed", "_queue"),
        *("_where", "into"),
    )

    def __init__(
        self,
        into: Into,
        names: Collection[str],
        *,
        early: Collection[str] = (),
        template: Callable[[str], str] = str,
    ) -> None:
        """names: what templates and `where` may name; early: those of them that are known before a message, see `at`.

        template: makes one of a text that is written in the door's own short form.
        """
        into.check()
        dedup, group = into.options.dedup, into.options.group
        self.into = into
        self._decode = into.payload.decoder()
        self._where = None if into.where is None else Condition(into.where, names)
        self._queue: Template = QueueTemplate(template(into.queue), names, early=early)
        self._name = Template("name", template(into.name), names, early=early, written=check_name, made=check_name)
        self._dedup = None if dedup is None else Template("dedup key", template(dedup.key), names, early=early)
        self._group = (
            None if group is None else Template("group", template(group), names, early=early, made=check_group)
        )
        self._options = None if into.options == PLAIN else into.options
        self._is_message = into.shape == "message"
        self._passed: Final = Passed(into)
        self._work_out()

    def at(self, early: Mapping[str, object]) -> Self:
        """The mapper of messages for which the early names have these values: what they decide is worked out now."""
        found = copy(self)
        found._queue, found._name = self._queue.at(early), self._name.at(early)
        found._dedup = None if self._dedup is None else self._dedup.at(early)
        found._group = None if self._group is None else self._group.at(early)
        found._work_out()
        return found

    def map(
        self,
        message: M,
        carrier: Carrier[M],
        now_ms: int,
        *,
        made_at_ms: int | None = None,
        remember: Dedup | None = None,
    ) -> Outcome:
        """The job of a message. made_at_ms: when it was made, where it says so; a time to come is none.

        remember: tells a message that comes again from a new one, where the settings have no key of their own.
        """
        try:
            if message.missing:
                return self._refused(message, carrier, now_ms, "too_large", _too_large(message))
            value = self._decode(message.payload)
            if value is SKIPPED:
                return self._passed
            into, fixed = self.into, self._fixed
            if fixed is not None:
                queue, name, options = fixed
            else:
                values = carrier.values(message, value)
                if self._where is not None and not self._where.holds(values):
                    return self._passed
                try:
                    queue = self._queue.of(values)
                except (ExpressionFailed, Invalid) as error:
                    return self._refused(message, carrier, now_ms, "bad_queue", str(error))
                name = self._name.of(values)
                options = self._options_of(values)
            if remember is not None and self._dedup is None:
                options = msgspec.structs.replace(options or PLAIN, dedup=remember)
                check_options(options)
            data = carried.encode(carrier.envelope(message, value, now_ms) if self._is_message else value)
            check_size(data)
            if made_at_ms is not None:
                made_at_ms = min(made_at_ms, now_ms) if made_at_ms >= 0 else None
            job = NewJob(
                name=name,
                data=data,
                priority=into.priority,
                delay_ms=into.delay_ms,
                max_attempts=into.max_attempts,
                created_at_ms=made_at_ms,
                options=options,
            )
            return Taken(queue, job, into.on_full, into)
        except Undecodable as error:
            return self._refused(message, carrier, now_ms, "undecodable", str(error))
        except (ExpressionFailed, Invalid) as error:
            return self._refused(message, carrier, now_ms, "bad_message", str(error))
        except Exception:  # a defect that one message found must not stop the others
            log.exception("a message could not be read topic=%s", message.topic)
            return self._refused(message, carrier, now_ms, "failed", DEFECT)

    def _options_of(self, values: Mapping[str, object]) -> Options | None:
        """The job's options, with its deduplication key and its group worked out. Errors: ExpressionFailed, Invalid."""
        options = self._options
        if options is None or (self._group is None and self._dedup is None):
            return options
        if self._dedup is not None and options.dedup is not None:
            dedup = msgspec.structs.replace(options.dedup, key=self._dedup.of(values))
            options = msgspec.structs.replace(options, dedup=dedup)
        if self._group is not None:
            options = msgspec.structs.replace(options, group=self._group.of(values))
        check_options(options)
        return options

    def _refused(self, message: M, carrier: Carrier[M], now_ms: int, reason: str, error: str) -> Refused:
        return Refused(unread_job(carrier.unread(message, now_ms)), reason, error, self.into)

    def _work_out(self) -> None:
        """Queue, name and options, where no message has a part in them, nor is asked for.

        What cannot be made of them cannot be made for any message: it is left to `map` to say so.
        """
        waiting = [each for each in (self._dedup, self._group) if each is not None and each.fixed is None]
        queue, name = self._queue.fixed, self._name.fixed
        self._fixed: tuple[str, str, Options | None] | None = None
        if self._where is None and not waiting and queue is not None and name is not None:
            try:
                self._fixed = queue, name, self._options_of({})
            except Invalid:
                pass


def _too_large(message: Message) -> str:
    there = len(message.payload)
    return f"the message is larger than what is kept of one: {there} of its {there + message.missing} bytes are there"
