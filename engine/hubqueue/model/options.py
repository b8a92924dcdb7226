"""THE table of job options: what may be said of a new job beside its queue, name and data, at every door.

Doors are made from it: the bodies of REST, Python's `add`, the keys of rules and sources, the flags of `hubqueue add`,
the forms of the dashboard; options.json beside it tells the same to those who are no Python. Rules for a change: an
option is one row; a door that leaves it out says why in that row; bounds are constants of `limits`; what it is if it
is not said is the default of its field in `model.job`. Then run script/options, and translate its label in ui/texts.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from operator import attrgetter
from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.model import limits
from hubqueue.model.job import PLAIN, Dedup, NewJob, OnFailure, Options, attempts_of
from hubqueue.model.option import Door, Kind, Option, Parent
from hubqueue.model.retry import Backoff

_FROM_OUTSIDE: Final = "what comes from outside names no job of this hub"
_BUNQUEUE: Final = "for clients of bunqueue"


def _without(why: str, *doors: Door) -> dict[Door, str]:
    return dict.fromkeys(doors, why)


OPTIONS: Final = (
    Option(
        name="id",
        kind=Kind.TEXT,
        help="An id of your own choice, under which the job is there once; refused while another queue has it",
        field="custom_id",
        wire="customId",
        low=1,
        high=limits.MAX_CUSTOM_ID_CHARS,
        left_out={
            **_without("each run is a job of its own: dedup has a key for all", Door.SCHEDULE),
            **_without("a rule makes many jobs: dedup has a key made of each message", Door.RULE, Door.SOURCE),
        },
    ),
    Option(
        name="priority",
        kind=Kind.WHOLE,
        help="Higher goes first",
        low=-limits.MAX_PRIORITY,
        high=limits.MAX_PRIORITY,
    ),
    Option(
        name="delay",
        kind=Kind.SPAN,
        help="It runs no sooner than this from now",
        field="delay_ms",
        high=limits.MAX_DELAY_MS,
    ),
    Option(
        name="run_at",
        kind=Kind.TIME,
        help="It runs no sooner than at this time; goes before a delay",
        field="run_at_ms",
        high=limits.MAX_TIME_MS,
        left_out={
            **_without("the schedule says when", Door.SCHEDULE),
            **_without("one time for many jobs: delay counts from each", Door.RULE, Door.SOURCE),
            **_without("a time in a page has no zone: delay says it", Door.FORM),
        },
    ),
    Option(
        name="attempts",
        kind=Kind.WHOLE,
        help="How often it may be tried: 3 times, or as long as it is to be kept trying",
        field="max_attempts",
        wire="maxAttempts",
        low=1,
        high=limits.MAX_ATTEMPTS,
    ),
    Option(
        name="backoff",
        kind=Kind.MAP,
        help="How long to wait before the next attempt: a first delay, which doubles, or all there is to say",
        make=Backoff,
        short="delay",
        parts=(
            Option(
                name="type",
                kind=Kind.CHOICE,
                help="Whether the wait between attempts doubles each time",
                field="kind",
                choices={"exponential": "", "fixed": ""},
            ),
            Option(
                name="delay",
                kind=Kind.SPAN,
                help="The wait before the second attempt",
                field="delay_ms",
                high=limits.MAX_BACKOFF_DELAY_MS,
            ),
            Option(
                name="max",
                kind=Kind.SPAN,
                help="The longest wait between attempts",
                field="max_ms",
                wire="maxDelay",
                high=limits.MAX_BACKOFF_DELAY_MS,
            ),
            Option(
                name="jitter",
                kind=Kind.FACTOR,
                help="How much of the wait between attempts is left to chance",
                low=0,
                high=1,
            ),
        ),
    ),
    Option(
        name="timeout",
        kind=Kind.SPAN,
        help="A run that takes longer has failed",
        field="timeout_ms",
        low=1,
        high=limits.MAX_TIMEOUT_MS,
    ),
    Option(
        name="ttl",
        kind=Kind.SPAN,
        help="A job that has waited so long is removed",
        field="ttl_ms",
        low=1,
        high=limits.MAX_DELAY_MS,
    ),
    Option(
        name="keep_trying",
        kind=Kind.SPAN,
        help="It is tried so long, however often it fails, and is a dead letter then",
        field="keep_trying_ms",
        low=1,
        high=limits.MAX_DELAY_MS,
    ),
    Option(
        name="stall_timeout",
        kind=Kind.SPAN,
        help="A worker that is silent for longer has lost the job",
        field="stall_timeout_ms",
        low=1,
        high=limits.MAX_TIMEOUT_MS,
    ),
    Option(name="lifo", kind=Kind.FLAG, help="It goes before older jobs of its priority"),
    Option(
        name="durable",
        kind=Kind.FLAG,
        help="It is synced to the disk before it is accepted, and survives a power cut",
    ),
    Option(
        name="dedup",
        kind=Kind.MAP,
        help="What tells a second job of the queue from a new one: a key, or all there is to say",
        wire="uniqueKey",
        make=Dedup,
        short="key",
        parts=(
            Option(
                name="key",
                kind=Kind.TEXT,
                help="While a job of the queue holds this key, no second one is made",
                low=1,
                high=limits.MAX_CUSTOM_ID_CHARS,
            ),
            Option(
                name="ttl",
                kind=Kind.SPAN,
                help="The key is held so long, even if the job ends before",
                field="ttl_ms",
                low=1,
                high=limits.MAX_DELAY_MS,
            ),
            Option(name="extend", kind=Kind.FLAG, help="Each further job begins the ttl anew"),
            Option(name="replace", kind=Kind.FLAG, help="A new job takes the place of one that has not started"),
        ),
        left_out=_without("a tree is stored whole or not at all", Door.FLOW),
    ),
    Option(name="remove_on_complete", kind=Kind.FLAG, help="It is deleted when it completes"),
    Option(name="remove_on_fail", kind=Kind.FLAG, help="It is deleted when it would be a dead letter"),
    Option(
        name="tags",
        kind=Kind.TEXTS,
        help="Words to find it by",
        high=limits.MAX_TAGS,
        chars=limits.MAX_NAME_CHARS,
    ),
    Option(
        name="group",
        kind=Kind.TEXT,
        help="Jobs of one group keep their order; groups take turns",
        wire="groupId",
        low=1,
        high=limits.MAX_NAME_CHARS,
    ),
    Option(
        name="group_max_size",
        kind=Kind.WHOLE,
        help="It is refused when so many of its group wait",
        needs="group",
        left_out=_without("for those who enqueue many", Door.FORM),
        low=1,
        high=limits.MAX_COUNT,
    ),
    Option(
        name="depends_on",
        kind=Kind.TEXTS,
        help="The ids of the jobs that have to complete before it",
        high=limits.MAX_RELATIVES,
        chars=limits.MAX_CUSTOM_ID_CHARS,
        left_out={
            **_without("the tree says it", Door.FLOW),
            **_without(_FROM_OUTSIDE, Door.RULE, Door.SOURCE, Door.FEED),
            **_without("the jobs of a schedule come again and again, those they would wait for do not", Door.SCHEDULE),
        },
    ),
    Option(
        name="parent",
        kind=Kind.MAP,
        help="The job that is to wait for this one as well, while it has not started",
        field="parent_id",
        wire="parentId",
        make=Parent,
        parts=(
            Option(
                name="queue",
                kind=Kind.TEXT,
                help="The queue of the job that is to wait for this one",
                low=1,
                high=limits.MAX_NAME_CHARS,
            ),
            Option(
                name="id",
                kind=Kind.TEXT,
                help="The id of the job that is to wait for this one",
                low=1,
                high=limits.MAX_CUSTOM_ID_CHARS,
            ),
        ),
        left_out={
            **_without("the tree says it", Door.FLOW),
            **_without(_FROM_OUTSIDE, Door.RULE, Door.SOURCE),
            **_without("it is told in the data of the job, which here is any device's own", Door.FEED, Door.INVOKE),
            **_without("the jobs of a schedule come again and again, a parent does not", Door.SCHEDULE),
            **_without("a form makes one job, not one of a tree", Door.FORM),
        },
    ),
    Option(
        name="on_failure",
        kind=Kind.CHOICE,
        help="What its parent does when it is dead: die too, run at once, or no longer wait for it",
        choices={
            OnFailure.FAIL.value: "failParentOnFailure",
            OnFailure.CONTINUE.value: "continueParentOnFailure",
            OnFailure.IGNORE.value: "ignoreDependencyOnFailure",
            OnFailure.REMOVE.value: "removeDependencyOnFailure",
        },
        needs="parent",
        left_out=_without(
            "there is no parent", Door.RULE, Door.SOURCE, Door.FEED, Door.INVOKE, Door.SCHEDULE, Door.FORM
        ),
    ),
    Option(
        name="stack_trace_limit",
        kind=Kind.WHOLE,
        help="How many lines of a failed run's stack are kept",
        high=limits.MAX_STACK_LIMIT,
        left_out={
            **_without(
                _BUNQUEUE, Door.FEED, Door.INVOKE, Door.RULE, Door.SOURCE, Door.CLI, Door.FORM, Door.HOME_ASSISTANT
            ),
            **_without("a flow tells why it failed, not with which stack", Door.NODE_RED),
        },
    ),
    Option(
        name="timestamp",
        kind=Kind.TIME,
        help="When it was made, if that was elsewhere",
        field="created_at_ms",
        high=limits.MAX_TIME_MS,
        left_out=_without("for those who pass on jobs of others", *Door),
    ),
    Option(
        name="children_ids",
        kind=Kind.TEXTS,
        help="Those of depends_on that are its children",
        high=limits.MAX_RELATIVES,
        chars=limits.MAX_CUSTOM_ID_CHARS,
        left_out=_without("a child names its parent, and a tree of jobs is enqueued as one", *Door),
    ),
    Option(
        name="repeat",
        kind=Kind.MAP,
        help="Each completed run pushes the next",
        left_out=_without(f"{_BUNQUEUE}: a schedule goes on when a run has failed", *Door),
    ),
)
BY_NAME: Final = {option.name: option for option in OPTIONS}


def options_at(door: Door) -> tuple[Option, ...]:
    """Those that a door takes."""
    return tuple(option for option in OPTIONS if door not in option.left_out)


def check_needs(given: Container[str], shown: Callable[[Option], str] = lambda option: option.name) -> None:
    """Nothing is said that would be without effect. shown: an option's name at a door. Errors: Invalid."""
    for option in _NEEDY:
        if option.name in given and option.needs not in given:
            raise Invalid(f"{shown(option)} needs {shown(BY_NAME[option.needs])} too")


def reworded(error: Invalid, shown: Callable[[Option], str] = lambda option: option.name) -> Invalid:
    """What the checks of `limits` say in the words of the wire, in those of a door. shown: an option's name there."""
    field, space, said = error.message.partition(" ")
    whole = _IN_TEXTS.get(field)
    words = [whole] if whole else [_BY_WIRE.get(word, word) for word in field.split(".")]
    named = ".".join(shown(word) if isinstance(word, Option) else word for word in words)
    return type(error)(named + space + said, hint=error.hint)


def new_job(name: str, data: bytes | None, given: Mapping[str, Any]) -> NewJob:
    """The job of what was said, by the names of the table, in the units of the model; None is not said.

    Still to be checked (limits). A parent must be in the data too: flowdata.with_parent. Errors: Invalid.
    """
    fields, rare = _fields(given)
    options = Options(**rare)
    fields["max_attempts"] = attempts_of(fields.get("max_attempts"), options)
    return NewJob(name=name, data=data, options=None if options == PLAIN else options, **fields)


def checked_job(name: str, data: bytes | None, given: Mapping[str, Any]) -> NewJob:
    """`new_job` within its bounds. Errors: Invalid, in the words of the table."""
    job = new_job(name, data, given)
    try:
        limits.check_new_job(job)
    except Invalid as error:
        raise reworded(error) from None
    return job


def rare_options(given: Mapping[str, Any]) -> Options:
    """Those of what was said that live in Options. Errors: Invalid."""
    return Options(**_fields(given)[1])


def said(options: Options) -> dict[str, Any]:
    """By its name each rare option that differs from its default."""
    found = {option.name: getattr(options, option.field) for option in OPTIONS if option.is_rare}
    return {name: value for name, value in found.items() if value != BY_NAME[name].default}


def _fields(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    check_needs(given)
    plain: dict[str, Any] = {}
    rare: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None:
            field, is_rare, read = _PLACES[name]
            (rare if is_rare else plain)[field] = value if read is None else read(value)
    return plain, rare


def _reader(option: Option) -> Callable[[Any], Any] | None:
    """How its value becomes that of its field."""
    if option.kind is Kind.TEXTS:
        return tuple
    if option.name == "parent":
        return attrgetter("id")
    return OnFailure if option.name == "on_failure" else None


# worked out once: every job of Python and of rules comes through here
_PLACES: Final = {option.name: (option.field, option.is_rare, _reader(option)) for option in OPTIONS}
_BY_WIRE: Final = {option.wire: option for option in (*(part for each in OPTIONS for part in each.parts), *OPTIONS)}
# fields that the texts of the wire, which its clients know, call otherwise than the commands do
_IN_TEXTS: Final = {
    "jobId": BY_NAME["id"],
    "group.maxSize": BY_NAME["group_max_size"],
    "group.priority": BY_NAME["priority"],
}
_NEEDY: Final = [option for option in OPTIONS if option.needs]
