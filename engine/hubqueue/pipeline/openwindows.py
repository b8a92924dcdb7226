"""The groups of a window step with their open windows: what is stored of them, and which is to be closed next.

A group is stored as one value, which is small: it has few windows open at once. When each is due is worked out from
the values, kept in memory, and worked out again when the state was rolled back.
"""

from __future__ import annotations

import heapq
from typing import Final

import msgspec

from hubqueue.pipeline.aggregate import Kept
from hubqueue.pipeline.record import Refused
from hubqueue.pipeline.step import State

_PREFIX: Final = "g:"
_SOONER_MS: Final = 1000  # a due time that moves by less is not worth a new entry
_BEHIND_MS: Final = 60_000  # a clock that is so far behind what was heard last has been put back


class Span(msgspec.Struct, frozen=True, array_like=True):
    """An open window of one group. kept: by the step's measures. Units: Unix milliseconds."""

    start_ms: int
    end_ms: int
    count: int
    kept: tuple[Kept, ...]


class Group(msgspec.Struct, frozen=True, array_like=True):
    """A group: nothing opens before floor_ms; its clock was latest_ms when the record ran that set it, at heard_ms.

    spans: its open windows, in order. Units: Unix milliseconds.
    """

    floor_ms: int
    latest_ms: int
    heard_ms: int
    spans: tuple[Span, ...] = ()

    def span(self, start_ms: int) -> Span | None:
        """The open window that starts then."""
        for span in reversed(self.spans):
            if span.start_ms == start_ms:
                return span
        return None

    def plus(self, grown: Span, clock_ms: int) -> Group:
        """With this window as it is now, by a record that sets the clock to clock_ms, unless it is past that."""
        spans = self.spans
        if spans and spans[-1].start_ms == grown.start_ms:
            spans = (*spans[:-1], grown)
        elif not spans or spans[-1].start_ms < grown.start_ms:
            spans = (*spans, grown)
        else:
            others = [span for span in spans if span.start_ms != grown.start_ms]
            spans = tuple(sorted([*others, grown], key=lambda span: span.start_ms))
        return Group(self.floor_ms, max(clock_ms, self.latest_ms), self.heard_ms, spans)


class OpenWindows:
    """The groups in a state. `of` comes before everything else. Units: lateness_ms milliseconds."""

    def __init__(self, lateness_ms: int) -> None:
        self._lateness_ms: Final = lateness_ms
        self._state: State | None = None
        self._generation = -1

    def of(self, state: State) -> OpenWindows:
        """Know what is in this state."""
        if state is not self._state or state.generation != self._generation:
            self._read(state)
        return self

    def group(self, key: str) -> Group | None:
        return self._stored(_PREFIX + key)

    def open_one(self, most: int, *, joining: bool) -> None:
        """Room for one more window, and for its group if it is joining: others without windows that are furthest
        behind are forgotten. Errors: Refused.
        """
        if joining and self._groups >= most:
            self._forget()
        if joining and self._groups >= most:
            raise Refused(f"there are windows of {most} groups already")
        if self.count >= most:
            raise Refused(f"{most} windows are open already")
        self.count += 1
        self._groups += joining

    def hear(self, key: str, group: Group, *, latest: bool) -> None:
        """This is the group now, by a record. latest: that has put its clock on; `take` notes when."""
        assert self._state is not None
        self._state.put(_PREFIX + key, group)
        if latest:
            self._heard[key] = None
        else:
            self._watch(key, group)

    def due_ms(self) -> int | None:
        """When there is something to take."""
        if self._heard or self._ripe:
            return 0
        return self._due[0][0] if self._due else None

    def take(self, now_ms: int, limit: int, *, waiting: bool) -> list[tuple[str, Span]]:
        """Close windows that are due, about `limit` of them; the rest stays due.

        waiting: more records wait to be run, so nobody has fallen silent.
        """
        self._note(now_ms)
        taken: list[tuple[str, Span]] = []
        while self._ripe and len(taken) < limit:
            key = next(iter(self._ripe))
            del self._ripe[key]
            self._close(key, None, taken)
        while not waiting and self._due and self._due[0][0] <= now_ms and len(taken) < limit:
            due_ms, key = heapq.heappop(self._due)
            if self._entries.get(key) == due_ms:
                del self._entries[key]
                self._close(key, now_ms, taken)
        return taken

    def end(self, limit: int) -> list[tuple[str, Span]]:
        """Forget groups, and give the windows they had open: about `limit` of them. Nothing: no group is left."""
        assert self._state is not None
        taken: list[tuple[str, Span]] = []
        for key, group in self._all():
            if len(taken) >= limit:
                break
            taken += [(key, span) for span in group.spans]
            self._state.delete(_PREFIX + key)
        return taken

    def shift(self, by_ms: int) -> None:
        """All groups were heard so much later."""
        for key, group in self._all():
            if group.spans:
                self._entries.pop(key, None)
                self._put(key, _heard_at(group, group.heard_ms + by_ms))

    def _read(self, state: State) -> None:
        self._state, self._generation = state, state.generation
        self.count = self._groups = 0
        self._due: list[tuple[int, str]] = []
        self._entries: dict[str, int] = {}  # the entry of each group in _due that counts
        self._ripe: dict[str, None] = {}  # whose own records have told that windows are over
        self._heard: dict[str, None] = {}  # who has told a later time since the last take
        self._fresh = True
        for key, group in self._all():
            self._groups += 1
            self.count += len(group.spans)
            self._watch(key, group)

    def _all(self) -> list[tuple[str, Group]]:
        assert self._state is not None
        cut = len(_PREFIX)
        names = [name for name in iter(self._state.keys()) if name.startswith(_PREFIX)]
        found = [(name[cut:], self._stored(name)) for name in names]
        return [(key, group) for key, group in found if group is not None]

    def _stored(self, name: str) -> Group | None:
        assert self._state is not None
        found = self._state.get(name)
        return found if found is None or type(found) is Group else msgspec.convert(found, Group)

    def _watch(self, key: str, group: Group) -> None:
        if not group.spans:
            return
        over_ms = group.spans[0].end_ms + self._lateness_ms
        if over_ms <= group.latest_ms:
            self._ripe[key] = None
        due_ms = group.heard_ms + over_ms - group.latest_ms
        entry = self._entries.get(key)
        if entry is None or due_ms < entry - _SOONER_MS:
            self._entries[key] = due_ms
            heapq.heappush(self._due, (due_ms, key))
            if len(self._due) > 4 * len(self._entries) + 64:
                self._due = [(due, key) for key, due in self._entries.items()]
                heapq.heapify(self._due)

    def _close(self, key: str, now_ms: int | None, taken: list[tuple[str, Span]]) -> None:
        group = self.group(key)
        if group is None or not group.spans:
            return
        clock_ms = group.latest_ms + (0 if now_ms is None else max(0, now_ms - group.heard_ms))
        over = [span for span in group.spans if span.end_ms + self._lateness_ms <= clock_ms]
        if over:
            taken += [(key, span) for span in over]
            self.count -= len(over)
            floor_ms = max(group.floor_ms, over[-1].end_ms)
            self._put(key, Group(floor_ms, group.latest_ms, group.heard_ms, group.spans[len(over) :]))
        else:
            self._watch(key, group)

    def _forget(self) -> None:
        assert self._state is not None
        idle = [(group.floor_ms, key) for key, group in self._all() if not group.spans]
        for _, key in heapq.nsmallest(len(idle) // 10 + 1, idle):
            self._state.delete(_PREFIX + key)
            self._groups -= 1

    def _put(self, key: str, group: Group) -> None:
        assert self._state is not None
        self._state.put(_PREFIX + key, group)
        self._watch(key, group)

    def _note(self, now_ms: int) -> None:
        """It is now that the groups were heard; after a start with a clock that went back, it is for all of them."""
        heard, self._heard = self._heard, {}
        for key in heard:
            group = self.group(key)
            if group is not None:
                self._put(key, _heard_at(group, now_ms))
        if self._fresh:
            self._fresh = False
            for key, group in self._all():
                if group.spans and group.heard_ms > now_ms + _BEHIND_MS:
                    self._entries.pop(key, None)
                    self._put(key, _heard_at(group, now_ms))


def _heard_at(group: Group, heard_ms: int) -> Group:
    return Group(group.floor_ms, group.latest_ms, heard_ms, group.spans)
