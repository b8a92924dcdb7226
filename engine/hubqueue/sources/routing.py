"""From messages to jobs: what a source's settings make of each message. Pure and synchronous."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.expression import Condition, ExpressionFailed, Text
from hubqueue.hub.verbs.ingest import Dead
from hubqueue.model.dataname import escaped, queue_from_data
from hubqueue.model.decode import SKIPPED, Payload
from hubqueue.model.job import DEFAULT_ATTEMPTS, PLAIN, Dedup, NewJob, Options
from hubqueue.model.limits import check_group, check_name, check_new_job, check_options, check_queue, check_size
from hubqueue.model.outcome import Output
from hubqueue.sources.message import NAMES, Message, encoded, envelope, unread_job, values

log = logging.getLogger(__name__)

OnFull = Literal["wait", "overflow", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Into:
    """Which jobs messages become.

    queue, name, options.dedup.key and options.group are Jinja2 templates, `where` is an expression, over
    message.NAMES. on_full: wait holds the source back, overflow and drop are those of MQTT rules.
    Units: delay_ms milliseconds.
    """

    queue: str
    name: str = "default"
    payload: Payload = field(default_factory=Payload)
    shape: Literal["message", "payload"] = "payload"
    where: str | None = None
    on_full: OnFull = "wait"
    priority: int = 0
    delay_ms: int = 0
    max_attempts: int = DEFAULT_ATTEMPTS
    options: Options = PLAIN


class Taken(msgspec.Struct, frozen=True, gc=False):
    """A message that became a job."""

    queue: str
    job: NewJob
    on_full: OnFull
    follow: Callable[[str], Output] | None = None


class Routed(msgspec.Struct):
    """What became of a batch. passed: left out by `where`, as its author wants it."""

    taken: list[Taken]
    dead: list[Dead]
    passed: int = 0


class Routing:
    """The settings of one source, ready to run. Errors: Invalid names the first mistake."""

    def __init__(self, source: str, into: Into) -> None:
        self._source = source
        self._into = into
        self._decode = into.payload.decoder()
        self._where = None if into.where is None else Condition(into.where, NAMES)
        self._queue = _Template("queue", into.queue, check_queue, _queue(into.queue))
        self._name = _Template("name", into.name, check_name)
        dedup = into.options.dedup
        self._dedup = None if dedup is None else _Template("dedup key", dedup.key)
        group = into.options.group
        self._group = None if group is None else _Template("group", group, check_group)
        check_new_job(
            NewJob(
                priority=into.priority,
                delay_ms=into.delay_ms,
                max_attempts=into.max_attempts,
                options=into.options,
            )
        )

    def route(self, messages: Sequence[Message], now_ms: int, remember: Dedup | None = None) -> Routed:
        """Jobs of the messages, in order. remember: tells a message with an id that came again from a new one."""
        routed = Routed([], [])
        for message in messages:
            try:
                taken = self._one(message, now_ms, remember)
            except Undecodable as error:
                reason, text = "undecodable", f"{self._into.payload.kind}: {error}"
            except (ExpressionFailed, Invalid) as error:
                reason, text = "bad_message", str(error)
            except Exception as error:  # a defect that one message found must not stop the source
                log.exception("a message could not be routed source=%s", self._source)
                reason, text = "failed", repr(error)
            else:
                if taken is None:
                    routed.passed += 1
                else:
                    routed.taken.append(taken)
                continue
            routed.dead.append((unread_job(message, self._source), reason, text))
        return routed

    def _one(self, message: Message, now_ms: int, remember: Dedup | None) -> Taken | None:
        value = self._decode(message.payload)
        if value is SKIPPED:
            return None
        known = values(message, value)
        if self._where is not None and not self._where.holds(known):
            return None
        data = envelope(message, value) if self._into.shape == "message" else encoded(value)
        check_size(data)
        at_ms = message.at_ms
        job = NewJob(
            name=self._name.of(known),
            data=data,
            priority=self._into.priority,
            delay_ms=self._into.delay_ms,
            max_attempts=self._into.max_attempts,
            created_at_ms=None if at_ms is None or at_ms < 0 else min(at_ms, now_ms),
            options=self._options(message, known, remember),
        )
        return Taken(self._queue.of(known), job, self._into.on_full)

    def _options(self, message: Message, known: dict[str, object], remember: Dedup | None) -> Options | None:
        options = self._into.options
        if self._group is not None:
            options = msgspec.structs.replace(options, group=self._group.of(known))
        if options.dedup is not None and self._dedup is not None:
            dedup = msgspec.structs.replace(options.dedup, key=self._dedup.of(known))
        elif remember is not None and message.id:
            dedup = msgspec.structs.replace(remember, key=f"{remember.key}:{message.id}")
        else:
            return None if options == PLAIN else options
        options = msgspec.structs.replace(options, dedup=dedup)
        check_options(options)
        return options


class _Template:
    """Text with values in it; one without is checked once and costs nothing."""

    def __init__(
        self,
        what: str,
        text: str,
        check: Callable[[str], object] = str,
        made: Callable[[str], str] | None = None,
    ) -> None:
        """check: of a name as it is written; made: makes one of a text with values in it, where that is another."""
        self._what: Final = what
        self._check: Final = check
        self._made: Final = made
        self._fixed: Final = text if "{" not in text else None
        self._text: Final = Text(text, NAMES)
        if self._fixed is not None:
            check(text)

    def of(self, known: dict[str, object]) -> str:
        if self._fixed is not None:
            return self._fixed
        try:
            text = self._text.render(known)
        except ExpressionFailed as error:
            raise ExpressionFailed(f"no {self._what}: {error}") from error
        if self._made is not None:
            return self._made(text)
        self._check(text)
        return text


def _queue(template: str) -> Callable[[str], str]:
    internal = template.startswith("_")
    return lambda made: queue_from_data(escaped(made), internal=internal)
