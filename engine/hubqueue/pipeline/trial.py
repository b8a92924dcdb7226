"""What a pipeline would do with samples: by its own chain, with states in memory, and nothing leaves the house.

Only look-ups are real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hubqueue.errors import Invalid, LinkDown
from hubqueue.model import payload
from hubqueue.model.jsontext import read_json
from hubqueue.model.lines import byte_lines
from hubqueue.pipeline.chain import Chain, States
from hubqueue.pipeline.plan import Pipeline
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import Memory, Timed
from hubqueue.pipeline.times import time_ms

_ENVELOPE: Final = frozenset({"data", "name", "at", "id"})
_MAX_ROUNDS: Final = 10_000  # of closing at the end: a step that never comes to an end is a mistake of ours

Did = Literal["passed", "changed", "left out", "gathered", "made", "refused", "waits"]


@dataclass(frozen=True, slots=True)
class StepDid:
    """What one step did with one record. data: of the records that it gave. reason: of a refusal."""

    step: str
    did: Did
    data: tuple[Any, ...] = ()
    before: Any = None
    reason: str = ""


@dataclass(slots=True)
class Tried:
    """One sample, or None for what came when all samples were in. out: what would be sent on."""

    line: int | None
    record: Record | None
    steps: list[StepDid] = field(default_factory=list)
    out: list[Record] = field(default_factory=list)

    @property
    def went_wrong(self) -> bool:
        return any(step.did in ("refused", "waits") for step in self.steps)


def read_samples(content: bytes, name: str, now_ms: int) -> list[tuple[int, Record]]:
    """The samples of a file of JSON lines, each with its line number.

    A line is the data of a record, or {"data": ..., "name": ..., "at": ..., "id": ...}. Errors: Invalid names every
    line that is wrong.
    """
    found, wrong = [], []
    for number, line in byte_lines(content):
        if not line.strip():
            continue
        try:
            found.append((number, _record(read_json(line), number, now_ms)))
        except Refused as refused:
            wrong.append(f"{name}:{number}: {refused.reason}")
        except Invalid as error:
            wrong.append(f"{name}:{number}: {error.message}")
    if wrong:
        raise Invalid("\n".join(wrong), hint='write one JSON value in each line, as in {"device": "a", "value": 21.5}')
    if not found:
        raise Invalid(f"{name} holds no samples", hint='write one JSON value in each line, as in {"device": "a"}')
    return found


async def try_samples(pipeline: Pipeline, samples: Sequence[tuple[int, Record]]) -> list[Tried]:
    """What becomes of each sample, one after the other, and of what is gathered when all are in."""
    chain = pipeline.chain()
    states: States = {name: Memory() for name in chain.names}
    try:
        tried = [await _one(chain, states, line, record) for line, record in samples]
        closed = await _closed(chain, states, max(record.at_ms for _, record in samples))
    finally:
        await chain.aclose()
    return [*tried, closed] if closed.steps else tried


async def _one(chain: Chain, states: States, line: int, record: Record) -> Tried:
    tried = Tried(line, record)
    watch = _Watch(chain, tried)
    try:
        await chain.prepare([record], states)
        tried.out = chain.run(record, states, watch.unfit, watch)
    except LinkDown as error:
        tried.steps.append(StepDid("enrich", "waits", reason=error.message))
    except Refused:
        pass  # the watch has been told
    return tried


async def _closed(chain: Chain, states: States, now_ms: int) -> Tried:
    tried = Tried(None, None)
    watch = _Watch(chain, tried)
    for _ in range(_MAX_ROUNDS):
        due_ms = chain.due_ms(states)
        if due_ms is None:
            break
        now_ms = max(now_ms, due_ms)
        try:
            tried.out += await chain.close(now_ms, states, watch.unfit, watch)
        except LinkDown as error:
            tried.steps.append(StepDid("enrich", "waits", reason=error.message))
            break
    return tried


class _Watch:
    """Writes down what each step did."""

    def __init__(self, chain: Chain, tried: Tried) -> None:
        self._timed: Final = {place.name for place in chain.places if isinstance(place.step, Timed)}
        self._steps: Final = tried.steps

    def __call__(self, step: str, record: Record | None, outcome: Sequence[Record] | Refused) -> None:
        before = None if record is None else record.data
        if isinstance(outcome, Refused):
            self._steps.append(StepDid(step, "refused", before=before, reason=outcome.reason))
            return
        data = tuple(each.data for each in outcome)
        did: Did = "changed"
        if record is None:
            did = "made"
        elif not data:
            did = "gathered" if step in self._timed else "left out"
        elif len(data) == 1 and data[0] == before:
            did = "passed"
        self._steps.append(StepDid(step, did, data, before))

    def unfit(self, record: Record, refused: Refused) -> None:
        """Told as a step already."""


def _record(value: Any, line: int, now_ms: int) -> Record:
    payload.encode(value)
    if not isinstance(value, dict) or "data" not in value or not value.keys() <= _ENVELOPE:
        return Record(value, "default", now_ms, f"line-{line}")
    name, id = value.get("name", "default"), value.get("id", f"line-{line}")
    if not isinstance(name, str) or not isinstance(id, str):
        raise Invalid("name and id must be text")
    return Record(value["data"], name, time_ms(value["at"]) if "at" in value else now_ms, id)
