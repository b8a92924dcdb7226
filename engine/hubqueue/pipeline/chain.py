"""The steps of a pipeline, one after the other.

Runners call prepare (waits for look-ups), then run for each record, which is synchronous, then close for what is due.
Rule: the chain itself remembers nothing; every step has the State of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hubqueue.pipeline.late import Late
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import CLOSED, Memory, Prepared, Shaped, State, Step, Timed

# Is told what each step made of each record: (name of the step, record or None for what time closed, outcome).
Watch = Callable[[str, Record | None, Sequence[Record] | Refused], None]
# Is told of a record that a window or batch made and a later step refuses: no input is to blame for it.
Unfit = Callable[[Record, Refused], None]
States = Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Place:
    """A step and its name: its kind, with a number from the second of a kind on ("filter", "window", "filter-2")."""

    name: str
    step: Step


class Chain:
    """Steps in order. late: what came too late for those of them that wait for records."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places: Final = tuple(places)
        self.names: Final = tuple(place.name for place in places)
        self.late: Final = tuple(
            late for place in places if isinstance(late := getattr(place.step, "late", None), Late)
        )
        self.timed: Final = any(isinstance(place.step, Timed) for place in places)
        self._first_timed: Final = next(
            (index for index, place in enumerate(places) if isinstance(place.step, Timed)), len(places)
        )
        self._prepared: Final = [
            (index, place.step) for index, place in enumerate(places) if isinstance(place.step, Prepared)
        ]

    async def prepare(self, records: Sequence[Record], states: States) -> None:
        """Look up what these records will need, up to the first window or batch: what that gives is prepared by close.

        Changes no state. Errors: LinkDown, try the whole batch later.
        """
        done, ahead = 0, list(records)
        first = [(index, step) for index, step in self._prepared if index < self._first_timed]
        trial: States = {name: Memory(states[name]) for name in self.names} if first else {}
        for index, step in first:
            ahead = [made for record in ahead for made in self._ahead(record, done, index, trial)]
            done = index
            await step.prepare(ahead)

    def run(self, record: Record, states: States, unfit: Unfit, watch: Watch | None = None) -> list[Record]:
        """What comes out at the end for this record. Errors: Refused names the step."""
        return self._go([record], 0, len(self.places), states, unfit, watch)

    def due_ms(self, states: States) -> int | None:
        """When close has something to do, None for never. Units: Unix milliseconds."""
        due = [
            when
            for place in self.places
            if isinstance(place.step, Timed) and (when := place.step.due_ms(states[place.name])) is not None
        ]
        return min(due, default=None)

    async def close(
        self,
        now_ms: int,
        states: States,
        unfit: Unfit,
        watch: Watch | None = None,
        *,
        waiting: bool = False,
        limit: int = CLOSED,
    ) -> list[Record]:
        """What comes out at the end because it is now that late; see `Timed` for `waiting` and `limit`.

        Errors: LinkDown, roll back and try it later.
        """
        out: list[Record] = []
        for index, place in enumerate(self.places):
            if isinstance(place.step, Timed):
                records = list(place.step.close(now_ms, states[place.name], waiting=waiting, limit=limit))
                if records and watch is not None:
                    watch(place.name, None, records)
                out += await self._follow(records, index, states, unfit, watch)
        return out

    async def hand_over(self, name: str, former: str, states: States, unfit: Unfit, limit: int) -> list[Record] | None:
        """What the step of this name had gathered when its shape was the former one comes to; see Shaped.

        None: it had nothing more. Errors: LinkDown, roll back and try it later.
        """
        (index,) = (index for index, place in enumerate(self.places) if place.name == name)
        step = self.places[index].step
        records = list(step.hand_over(former, states[name], limit)) if isinstance(step, Shaped) else []
        return await self._follow(records, index, states, unfit, None) if records else None

    def shift(self, jump_ms: int, states: States) -> None:
        """The hub's clock has jumped: what waits for a time goes on waiting for as long as before."""
        for place in self.places:
            if isinstance(place.step, Timed):
                place.step.shift(jump_ms, states[place.name])

    def open_count(self, states: States) -> int:
        """Windows and lists that are not finished."""
        return sum(place.step.open_count(states[place.name]) for place in self.places if isinstance(place.step, Timed))

    async def aclose(self) -> None:
        """Let go of connections."""
        for _, step in self._prepared:
            await step.aclose()

    async def _follow(
        self, records: list[Record], index: int, states: States, unfit: Unfit, watch: Watch | None
    ) -> list[Record]:
        """What comes out at the end of records that the step of this index has gathered."""
        done = index + 1
        for later, step in self._prepared if records else ():
            if later > index:
                records = self._go(records, done, later, states, unfit, watch)
                await step.prepare([record for record in records if record.aside is None])
                done = later
        return self._go(records, done, len(self.places), states, unfit, watch)

    def _ahead(self, record: Record, start: int, end: int, states: States) -> list[Record]:
        try:
            return self._go([record], start, end, states, _ignore, None)
        except Refused:
            return []

    def _go(
        self, records: list[Record], start: int, end: int, states: States, unfit: Unfit, watch: Watch | None
    ) -> list[Record]:
        aside: list[Record] = []
        for index in range(start, end):
            place = self.places[index]
            run, state, after = place.step.run, states[place.name], []
            for record in records:
                if record.aside is not None:
                    aside.append(record)
                    continue
                try:
                    made = list(run(record, state))
                except Refused as refused:
                    refused.step = refused.step or place.name
                    if watch is not None:
                        watch(place.name, record, refused)
                    if index <= self._first_timed:
                        raise
                    unfit(record, refused)
                    continue
                if watch is not None:
                    watch(place.name, record, made)
                after += made
            records = after
        return aside + records if aside else records


def _ignore(_record: Record, _refused: Refused) -> None:
    """A trial run: the true one will tell."""
