"""The states of a job, and the table of what may change them. The verbs and their SQL take each change from it.

Rules:
- `failed` is the dead-letter queue: only a retry, by hand or by its queue's `autoRetry`, takes a job out of it.
- `prioritized` and `paused` are views of `waiting`, made when somebody reads (see `shown`).
- Only a lease makes a job active, and only its lease, or its end, makes it leave that state.
- None is no row: before a job is enqueued, and when it is gone.
- A change that its move does not name is a defect: `to` raises, and nothing of the verb is stored.

To add a move, add it here and run script/states, which draws docs/states.md. A trigger that the tests put into every
job file they open refuses what no move names, whoever writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, IntEnum, unique
from typing import Final, TypeVar


class State(IntEnum):
    """Numbers are stored in the file: never change one."""

    WAITING = 0
    DELAYED = 1
    ACTIVE = 2
    WAITING_CHILDREN = 3
    COMPLETED = 4
    FAILED = 5


LABELS: Final = {
    State.WAITING: "waiting",
    State.DELAYED: "delayed",
    State.ACTIVE: "active",
    State.WAITING_CHILDREN: "waiting-children",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
}
BY_LABEL: Final = {label: state for state, label in LABELS.items()}
VIEWS: Final = ("prioritized", "paused")
TERMINAL: Final = frozenset({State.COMPLETED, State.FAILED})
QUEUED: Final = frozenset({State.WAITING, State.DELAYED})
UNSTARTED: Final = frozenset({State.WAITING, State.DELAYED, State.WAITING_CHILDREN})

S = TypeVar("S", bound=State | None)


class WrongMove(RuntimeError):
    """A verb was about to change a state in a way that the table does not know: a defect of that verb."""


_W, _D, _A, _C, _F = State.WAITING, State.DELAYED, State.ACTIVE, State.COMPLETED, State.FAILED
_P = State.WAITING_CHILDREN


@unique
class Move(Enum):
    """What changes the state of a job: what it is, from which states, to which."""

    ENQUEUE = "it comes in", {None}, {_W, _D}
    SET_ASIDE = "a message that became no job is kept as a dead letter", {None}, {_F}
    LEASE = "a worker gets it", {_W}, {_A}
    PROMOTE = "its time has come, or somebody lets it wait at once", {_D}, {_W}
    WAIT = "it waits for other jobs", {_W, _D, _A}, {_P}
    GO_ON = "nothing is left that it waits for", {_P}, {_W, _D}
    COMPLETE = "its worker completes it", {_A}, {_C, None}
    FAIL = "its worker fails it, asks for a retry, or rejects it", {_A}, {_W, _D, _F, None}
    RELEASE = "its worker gives it back; one that was cancelled meanwhile ends", {_A}, {_W, _D, _F, None}
    LAPSE = "its lease ends without an answer: a stall, a timeout, a lost worker", {_A}, {_W, _D, _F, None}
    EXPIRE = "its time is over: its `ttl` or `keep_trying`", {_W, _D, _A, _P}, {_F, None}
    CHILD_FAILED = "a child that it waits for failed for good", UNSTARTED, {_F, None}
    DISCARD = "somebody makes a dead letter of it", {_W, _D, _A}, {_F, None}
    CANCEL = "somebody takes it back", UNSTARTED, {None}
    DELAY = "it is to run at another time", {_W, _D, _A}, {_W, _D}
    SNOOZE = "somebody lets it wait until later", QUEUED, {_W, _D}
    RETRY = "it runs again: by hand, or a dead letter by its queue's `autoRetry`", TERMINAL, {_W}
    REROUTE = "a message that was set aside goes through the rules again", {_F}, {None}
    REPLACE = "a new job takes its deduplication key or, once it has ended, its id", UNSTARTED | TERMINAL, {None}
    MAKE_ROOM = "a bound of its queue or of the file drops it", QUEUED | TERMINAL, {None}
    COME_BACK = "its queue has room for it again; a job that stands for it may be there", QUEUED, {_W, _D, None}
    CLEAN = "drained, cleaned or purged", QUEUED | TERMINAL, {None}
    OBLITERATE = "its queue is deleted", frozenset(State), {None}

    def __init__(self, means: str, sources: set[State | None], targets: set[State | None]) -> None:
        self.event = self.name.lower().replace("_", " ")
        self.means = means
        self.sources = frozenset(sources)
        self.targets = frozenset(targets)

    def to(self, source: int | None, target: S) -> S:
        """The target, if this move leads there from the source. Errors: WrongMove."""
        if source in self.sources and target in self.targets:
            return target
        raise WrongMove(f"{self.event} leads no job from {_label(source)} to {_label(target)}")


def due_state(run_at_ms: int, now_ms: int) -> State:
    """What a queued job is that is to run at this time."""
    return State.DELAYED if run_at_ms > now_ms else State.WAITING


def shown(state: State, priority: int) -> str:
    """The word a reader sees: a waiting job with a positive priority is `prioritized`."""
    if state is State.WAITING and priority > 0:
        return "prioritized"
    return LABELS[state]


def words_of(states: Iterable[State]) -> list[str]:
    """The words that stand for these states on the wire: `waiting` has two more, which are views of it."""
    return [word for state in states for word in (LABELS[state], *(VIEWS if state is State.WAITING else ()))]


def _label(state: int | None) -> str:
    return "nothing" if state is None else LABELS[State(state)]
