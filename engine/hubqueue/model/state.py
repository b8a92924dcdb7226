"""The states of a job and which verb leads from which state to which.

Rules:
- `failed` is the dead-letter queue: a failed job is never tried again by itself.
- `prioritized` and `paused` are views of `waiting`, made when somebody reads (see `shown`).
- Only a lease makes a job active, and only its lease (or its end) makes it leave that state.
- `gone` means the row is deleted.
The diagram in docs/states.md is tested against TRANSITIONS.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


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
TERMINAL: Final = frozenset({State.COMPLETED, State.FAILED})
QUEUED: Final = frozenset({State.WAITING, State.DELAYED})

_W, _D, _A, _C, _F = State.WAITING, State.DELAYED, State.ACTIVE, State.COMPLETED, State.FAILED
_P = State.WAITING_CHILDREN
GONE: Final = None

# verb -> state before -> the states it may lead to
TRANSITIONS: Final[dict[str, dict[State, frozenset[State | None]]]] = {
    "lease": {_W: frozenset({_A})},
    "promote": {_D: frozenset({_W})},
    "complete": {_A: frozenset({_C, GONE})},
    "fail": {_A: frozenset({_W, _D, _F, GONE})},
    "release": {_A: frozenset({_W, _D})},
    "expire": {
        _A: frozenset({_W, _D, _F, GONE}),
        _W: frozenset({_F, GONE}),
        _D: frozenset({_F, GONE}),
        _P: frozenset({_F}),
    },
    "discard": {s: frozenset({_F}) for s in (_W, _D, _A)},
    "cancel": {s: frozenset({GONE}) for s in (_W, _D, _P)},
    "delay": {s: frozenset({_D, _W}) for s in (_W, _D, _A)},
    "retry": {s: frozenset({_W}) for s in (_C, _F)},
    "purge": {_F: frozenset({GONE})},
    "clean": {s: frozenset({GONE}) for s in (_W, _D, _C, _F)},
    "drain": {s: frozenset({GONE}) for s in (_W, _D)},
    "obliterate": {s: frozenset({GONE}) for s in State},
}


def shown(state: State, priority: int) -> str:
    """The word a reader sees: a waiting job with a positive priority is `prioritized`."""
    if state is State.WAITING and priority > 0:
        return "prioritized"
    return LABELS[state]
