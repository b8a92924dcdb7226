"""Chains out of the words of a pipeline file, and records through them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hubqueue.config.mistakes import ConfigMistakes
from hubqueue.config.path import dotted
from hubqueue.config.pipelines import read_pipeline
from hubqueue.pipeline.chain import Chain
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import Memory

NOW_MS = 1_764_000_000_000


def written(
    folder: Path, steps: str, name: str = "p.yaml", head: str = "name: p\nfrom: {queue: in}\nto: {queue: out}"
) -> Path:
    """A pipeline file with these steps."""
    file = folder / name
    file.write_text(f"{head}\n" + (f"steps:\n{steps}\n" if steps else ""), encoding="utf-8")
    return file


def mistakes(folder: Path, steps: str) -> dict[str, str]:
    """What is wrong with these steps, by path: the message, and the hint in brackets."""
    try:
        read_pipeline(written(folder, steps), {})
    except ConfigMistakes as error:
        return {dotted(each.path): f"{each.message} ({each.hint})" for each in error.mistakes}
    return {}


class Bench:
    """A chain with states in memory, of these steps."""

    def __init__(self, folder: Path, steps: str) -> None:
        self.chain: Chain = read_pipeline(written(folder, steps), {}).chain()
        self.states = {name: Memory() for name in self.chain.names}
        self.unfit: list[tuple[Record, Refused]] = []
        self._count = 0

    def record(self, data: Any, at_ms: int = NOW_MS) -> Record:
        self._count += 1
        return Record(data, "default", at_ms, f"r{self._count}")

    def run(self, data: Any, at_ms: int = NOW_MS) -> list[Any]:
        """The data of what comes out. Errors: Refused."""
        before = repr(data)
        out = self.chain.run(self.record(data, at_ms), self.states, lambda *what: self.unfit.append(what))
        assert repr(data) == before, "a step changed its input"
        return [each.data for each in out]

    def one(self, data: Any, at_ms: int = NOW_MS) -> Any:
        (out,) = self.run(data, at_ms)
        return out

    def refused(self, data: Any, at_ms: int = NOW_MS) -> str:
        """Why this is refused."""
        try:
            out = self.run(data, at_ms)
        except Refused as refused:
            return str(refused)
        raise AssertionError(f"it went through: {out}")

    def remembered(self, step: str) -> list[Any]:
        """What the step of this name knows, whatever the keys."""
        state = self.states[step]
        return [state.get(key) for key in state.keys()]  # noqa: SIM118  # a State is no dict

    async def close(self, now_ms: int) -> list[Any]:
        """What has come by then; the records that ran came at NOW_MS."""
        out: list[Any] = []
        for at_ms in (NOW_MS, now_ms):
            made = await self.chain.close(at_ms, self.states, lambda *what: self.unfit.append(what))
            out += [each.data for each in made]
        return out

    async def prepared(self, *data: Any) -> list[Any]:
        """A batch: prepared, then run. A refusal stands in the list as its text."""
        records: Sequence[Record] = [self.record(each) for each in data]
        await self.chain.prepare(records, self.states)
        out: list[Any] = []
        for record in records:
            try:
                out += [each.data for each in self.chain.run(record, self.states, lambda *_: None)]
            except Refused as refused:
                out.append(str(refused))
        return out
