"""What one write to a sink says of the jobs in it: which have ended, which go back, and what it means for the link.

The one reader of a `Progress`, for forwarders and for members of a consumer group. `sort` what is known and settle it;
only then `blame` somebody for the rest, which may ask the other side for an answer first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic

from hubqueue.forward.deliver import Progress
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Pings, Result, Sink
from hubqueue.forward.suspects import BROKE_OFF, L, Step, Suspects, blamed, given_up
from hubqueue.forward.verdict import Down, Reason, Rejected
from hubqueue.system import System

log = logging.getLogger(__name__)

PING_S: Final = 5.0  # an answer that has nothing to do with jobs comes sooner, or the link is not well


@dataclass(frozen=True, slots=True)
class Failed:
    """The link takes nothing now."""

    down: Down


@dataclass(frozen=True, slots=True)
class Cut:
    """One suspected job has ended the connection, which says nothing of the link. narrow, wait: see `Breaker.cut`."""

    down: Down
    narrow: bool
    wait: bool


@dataclass(frozen=True, slots=True)
class Found(Generic[L]):
    """ended: None for what arrived. back: what waits in its place again. link: None when it is as good as before."""

    ended: list[tuple[L, Rejected | None]]
    back: list[L]
    link: Failed | Cut | None = None


class Judge(Generic[L]):
    """For one sink."""

    def __init__(self, sink: Sink, settings: ForwardSettings, system: System) -> None:
        self._sink: Final = sink
        self._mono_s: Final = system.mono_s
        self._cap: Final = settings.unknown_cap
        self.suspects: Final[Suspects[L]] = Suspects(self._cap, settings.backoff_s, settings.backoff_cap_s)

    async def ask(self, loads: Sequence[L]) -> bool | None:
        """Before they are written: whether the link is well, None where none of them is a suspect."""
        return await self._is_well() if self.suspects.knows(loads[0].id) else None

    def sort(self, loads: Sequence[L], results: Sequence[Result]) -> Found[L]:
        """What became of the first of them, as the other side told."""
        known = list(zip(loads, results, strict=False))
        self.suspects.passed([load.id for load, result in known if result is None])
        if not any(results):  # as a rule all of it has arrived
            return Found([(load, None) for load, _ in known], [])
        ended: list[tuple[L, Rejected | None]] = []
        back: list[L] = []
        for load, result in known:
            if not isinstance(result, Down):
                self.suspects.forget(load.id)
                ended.append((load, result))
                continue
            step = self.suspects.broke(load, result, well=True, beside=True, now_s=self._mono_s())
            if step is Step.GIVE_UP:
                ended.append((load, given_up(result, self._cap)))
            elif step is Step.AGAIN:
                back.append(load)
        return Found(ended, back)

    async def blame(self, loads: Sequence[L], progress: Progress, *, well: bool | None) -> Found[L]:
        """What becomes of those of which nothing is known. well: what `ask` said."""
        rest = loads[len(progress.results) :]
        down = progress.down
        if down is None:
            return Found([], [*rest])
        if progress.alone and self._is_judged(rest[0], down):
            found = self._alone(rest[0], down, well=await self._is_well() if well is None else well)
            return Found(found.ended, [*found.back, *rest[1:]], found.link)
        if down.reason is Reason.TIMEOUT:
            self.suspects.kept_waiting(len(rest))
        return Found([], [*rest], Failed(down))

    def _is_judged(self, load: L, down: Down) -> bool:
        """Whether this may be the job's own trouble; what was answered is for a job that is set aside for it only."""
        return down.reason in BROKE_OFF or (down.answered and self.suspects.is_aside(load.id))

    async def _is_well(self) -> bool:
        """Whether the other side has answered something on this connection, or does so now."""
        if not isinstance(self._sink, Pings):
            return True  # it answered when the connection was made
        try:
            async with asyncio.timeout(PING_S):
                await self._sink.ping()
        except Exception:  # whatever it is, it is no answer
            return False
        return True

    def _alone(self, load: L, down: Down, *, well: bool) -> Found[L]:
        """The connection was lost, or nothing answered, with this job alone under way."""
        again = self.suspects.is_aside(load.id)
        step = self.suspects.broke(load, down, well=well, now_s=self._mono_s())
        if step is Step.OUTAGE or (step is Step.AGAIN and not (well and self.suspects.quick)):
            return Found([], [load, *(self.suspects.outage() if step is Step.OUTAGE else ())], Failed(down))
        if step is not Step.AGAIN:
            down = blamed(down, load.id)
        if step is Step.ASIDE and not again:
            log.warning("set aside, others go first: %s job=%s", down.error, load.id)
        cut = step is Step.AGAIN or not down.answered
        return Found(
            [(load, given_up(down, self._cap))] if step is Step.GIVE_UP else [],
            [load] if step is Step.AGAIN else [],
            Cut(down, narrow=not again, wait=step is Step.AGAIN) if cut else None,
        )
