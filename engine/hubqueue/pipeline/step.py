"""What a step of a pipeline is, and what it can remember.

Rules: run and close are synchronous and depend on nothing but the record and the state, so that a batch can be
run again after a failure; only prepare waits for others. State is read and written through State alone, and a
value that was got from it or put into it is never changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from hubqueue.pipeline.record import Record

CLOSED: Final = 500  # windows and lists closed at a time: what follows them is one transaction


class State(Protocol):
    """What one step of one pipeline remembers: values that MessagePack carries, by key.

    generation: another number whenever values became others without a put, as after a roll-back; what a step has
    worked out from the state holds as long as it is the same.
    """

    @property
    def generation(self) -> int: ...

    def get(self, key: str) -> Any | None: ...
    def put(self, key: str, value: Any) -> None: ...
    def delete(self, key: str) -> None: ...
    def keys(self) -> Iterable[str]: ...


class Step(Protocol):
    """A step. `run` gives none, one or several records, or raises Refused for this record alone."""

    def run(self, record: Record, state: State) -> Iterable[Record]: ...


@runtime_checkable
class Prepared(Step, Protocol):
    """A step that looks things up elsewhere before its records run, outside any transaction.

    The records of one batch run after their prepare and before the next. Errors: LinkDown means that the whole batch
    waits and is tried again later.
    """

    async def prepare(self, records: Sequence[Record]) -> None: ...
    async def aclose(self) -> None: ...


@runtime_checkable
class Timed(Step, Protocol):
    """A step that gives records when time has passed: windows and batches. Units: Unix milliseconds, hub time.

    close comes after every batch of records and when it is due, until it is due no more. waiting: more records wait
    already, so only what the records themselves have ended is given. limit: about so many records at a time.
    shift: the hub's clock has jumped by so much.
    """

    def due_ms(self, state: State) -> int | None: ...
    def close(self, now_ms: int, state: State, *, waiting: bool = False, limit: int = CLOSED) -> Iterable[Record]: ...
    def shift(self, jump_ms: int, state: State) -> None: ...
    def open_count(self, state: State) -> int: ...


@runtime_checkable
class Shaped(Timed, Protocol):
    """A step that cannot go on with what it has gathered once its settings are others. shape: these, as text.

    hand_over: what the one of a former shape had gathered, as it stands, about so many records at a time. When
    nothing is left the state is empty.
    """

    shape: str

    def hand_over(self, former: str, state: State, limit: int) -> Sequence[Record]: ...


class Memory:
    """State in a dict: for trials, for a look-up that runs ahead, and for consumers that have no hub."""

    generation: Final = 0

    def __init__(self, beneath: State | None = None) -> None:
        self._own: dict[str, Any] = {}
        self._gone: set[str] = set()
        self._beneath = beneath

    def get(self, key: str) -> Any | None:
        if key in self._own:
            return self._own[key]
        return None if self._beneath is None or key in self._gone else self._beneath.get(key)

    def put(self, key: str, value: Any) -> None:
        self._own[key] = value

    def delete(self, key: str) -> None:
        self._own.pop(key, None)
        if self._beneath is not None:
            self._gone.add(key)

    def keys(self) -> list[str]:
        """A copy: the state may be changed while it is walked."""
        beneath = () if self._beneath is None else self._beneath.keys()
        return [*self._own, *(key for key in beneath if key not in self._own and key not in self._gone)]
