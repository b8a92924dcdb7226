"""Invoke topics: a message on `hubqueue/<queue>/invoke` is a job for a named handler, and may ask for its result.

The result goes to the MQTT 5 response topic, with its correlation data, or to `responseTopic` of the payload, for
devices that speak 3.1.1. What is to be answered is a job of its own in `_responses`, enqueued in the same
transaction, so that no crash forgets it; `answers` works these off.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, UnsetType

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model.decode import encoded
from hubqueue.model.job import NewJob, Options
from hubqueue.model.jsontext import read_json
from hubqueue.model.limits import check_new_job, check_queue
from hubqueue.model.option import Door
from hubqueue.model.options import check_needs, new_job
from hubqueue.model.outcome import Output
from hubqueue.model.topic import TopicFilter, check_topic
from hubqueue.mqttclient.message import Message
from hubqueue.wire.fieldhints import field_hint
from hubqueue.wire.optiontypes import given_of, table_fields
from hubqueue.wire.texts import field_text
from hubqueue.wire.whole import converted

INVOKE: Final = TopicFilter("hubqueue/{queue}/invoke")
RESPONSES: Final = "_responses"
ANSWER_TTL_MS: Final = 86_400_000  # who asked has not waited longer than a day

_HEAD, _TAIL = "hubqueue/", "/invoke"
_FORM: Final = 'send {"method": "name", "data": ...}'


if TYPE_CHECKING:  # its fields come from the table of job options
    from msgspec import Struct as _Options
else:
    _Options = msgspec.defstruct(
        "Options", table_fields(Door.INVOKE), rename="camel", kw_only=True, frozen=True, module=__name__
    )


class Invoke(_Options, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """The payload. Units: milliseconds. id: a custom id, under which the same invoke runs once."""

    method: str
    data: object | UnsetType = UNSET
    response_topic: str | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The data of a job in `_responses`: whose result goes where."""

    job: str
    queue: str
    topic: str
    correlation: bytes | None = None


_encode: Final = msgspec.msgpack.Encoder().encode


def invoked(topic: str) -> str | None:
    """The queue that an invoke topic names; None for any other topic."""
    if not topic.startswith(_HEAD) or not topic.endswith(_TAIL) or topic.count("/") != 2:
        return None
    return topic[len(_HEAD) : -len(_TAIL)]


def read_invoke(message: Message, queue: str) -> tuple[NewJob, Callable[[str], Output] | None]:
    """The job that a message asks for, and what answers it. Errors: Invalid."""
    check_queue(queue)
    if queue.startswith("_"):
        raise Invalid(f"queue {queue!r} is internal")
    if message.missing:
        raise Invalid("the message is larger than what is read of one")
    try:
        invoke: Invoke = converted(read_json(message.payload), Invoke)
    except Undecodable as error:  # its hint names an option of rules, and no rule reads this
        raise Invalid(f"not a valid invoke: {error.message}", hint=_FORM) from error
    except msgspec.ValidationError as error:
        hint = field_hint(str(error), Invoke) or _FORM
        raise Invalid(f"not a valid invoke: {field_text(str(error))}", hint=hint) from error
    given = given_of(invoke, Door.INVOKE)
    if given.get("id", "").startswith("fwd:"):
        raise Invalid("ids that start with fwd: are those of forwarders", hint="choose another id")
    check_needs(given, lambda option: option.json)
    job = new_job(invoke.method, None if invoke.data is UNSET else encoded(invoke.data), given)
    check_new_job(job)
    topic = message.extras.response_topic or invoke.response_topic
    if topic is None:
        return job, None
    return job, partial(_answer, queue, _response_topic(topic), message.extras.correlation)


def _answer(queue: str, topic: str, correlation: bytes | None, id: str) -> Output:
    """The job that answers job `id`."""
    data = _encode(Answer(id, queue, topic, correlation))
    return Output(RESPONSES, NewJob(name="response", data=data, options=Options(ttl_ms=ANSWER_TTL_MS)))


def _response_topic(topic: str) -> str:
    """Answers are sent with the rights of the hub: not to `$` topics, and not to make the hub invoke itself."""
    check_topic(topic)
    if topic.startswith("$") or invoked(topic) is not None:
        raise Invalid(f"{topic!r} cannot be a response topic")
    return topic
