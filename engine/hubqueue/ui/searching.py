"""What is looked for on a list of jobs: read from the address of the page, counted, and found.

Counting is exact where counters know it; a search by text is counted by searching, up to what one deed may touch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hubqueue.ui import inputs
from hubqueue.ui.bulkactions import MAX_TOUCHED, QUEUED, STATES, BulkAction
from hubqueue.ui.inputs import text
from hubqueue.ui.requestcontext import Session
from hubqueue.wire.jobmap import JobMap

PAGE: Final = 50
BATCH: Final = 200  # jobs read at once for a deed
VIEWS: Final = {"paused": frozenset({"paused"}), "queued": QUEUED}  # tiles and links that are no state of a job


@dataclass(frozen=True, slots=True)
class Search:
    """Jobs of one queue. "" is no condition; state may be one of VIEWS too."""

    queue: str
    state: str = ""
    name: str = ""
    text: str = ""
    tags: str = ""  # with commas between them
    reason: str = ""

    @property
    def states(self) -> frozenset[str]:
        """The states that are meant; empty: all."""
        if self.state in VIEWS:
            return VIEWS[self.state]
        return frozenset({self.state} if self.state in STATES else ())

    @property
    def by_state_only(self) -> bool:
        return not (self.name or self.text or self.tags or self.reason)

    def query(self) -> dict[str, str]:
        """As it stands in an address."""
        named = ("state", "name", "text", "tags", "reason")
        return {name: value for name in named if (value := getattr(self, name))}

    def fields(self) -> dict[str, Any]:
        """As FindJobs takes it."""
        found: dict[str, Any] = {"queue": self.queue}
        if self.states:
            found["states"] = sorted(self.states)
        found |= {name: value for name, value in self.query().items() if name not in ("state", "tags")}
        return found | ({"tags": tags} if (tags := inputs.texts(self.tags)) else {})

    def narrowed(self, deed: BulkAction) -> dict[str, Any]:
        """As FindJobs takes it, without jobs that the deed is not for."""
        return self.fields() | {"states": sorted(self.meant_by(deed))}

    def meant_by(self, deed: BulkAction) -> frozenset[str]:
        """The states that are meant and that the deed is for."""
        return self.states & deed.states if self.states else deed.states


def search_of(queue: str, given: Mapping[str, object]) -> Search:
    """What an address or a form asks for; what nobody knows is no condition."""
    state = text(given, "state")
    return Search(
        queue,
        state if state in STATES or state in VIEWS else "",
        text(given, "name"),
        text(given, "text"),
        text(given, "tags"),
        text(given, "reason"),
    )


async def find(session: Session, fields: Mapping[str, Any]) -> AsyncIterator[JobMap]:
    """Every job that FindJobs finds, page by page."""
    cursor: str | None = None
    while True:
        page = await session.ask("FindJobs", **fields, limit=BATCH, cursor=cursor)
        for job in page["jobs"]:
            yield job
        cursor = page["cursor"]
        if cursor is None:
            return


async def count(session: Session, search: Search, deed: BulkAction) -> int:
    """How many jobs a deed would touch now, MAX_TOUCHED at most unless a single command does it."""
    if search.by_state_only:
        counts: dict[str, int] = (await session.ask("GetJobCounts", queue=search.queue))["counts"]
        total = sum(counts[state] for state in search.meant_by(deed))
        return total if whole_command(search, deed) else min(total, MAX_TOUCHED)
    found = 0
    async for _ in find(session, search.narrowed(deed)):
        found += 1
        if found >= MAX_TOUCHED:
            break
    return found


def whole_command(search: Search, deed: BulkAction) -> str | None:
    """The command that does it to all of a state at once, if that is what is asked for."""
    if not search.by_state_only:
        return None
    states = search.meant_by(deed)
    return deed.whole.get(next(iter(states))) if len(states) == 1 else None
