"""From where a partition has to be read again, should another member take it over: pure. Why: docs/fleet.md.

Windows live in memory, so the group's offset stays at a place from which all windows that are not written yet can be
made again, whole. Records after that place may also belong to windows that *are* written; which those are is noted
beside the offset, so that nobody counts their tails into a second, partial window.

Rules, for a cut (offset, position, begins, floors), where the floor of a group is floors[group], or else begins:
- a window that starts at or after the floor of its group has no record before `offset`;
- a window that starts before it, and has a record before `position`, is written.
An older cut stays true for ever: holding one back costs reading again, never a wrong window.

Where the brokers have deleted records that were to be read, the first rule is broken for windows that began before the
first record arrived that is left, and of a group whose clock is ahead for those that began so much later. Which they
are is noted, too (`lacks`), until none of them can be open any more.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.pipeline.openwindows import Group
from hubqueue.pipeline.step import Memory

NOTE_BYTES: Final = 3500  # brokers take 4096 beside an offset unless told otherwise
_STRAGGLERS: Final = 10  # one group of so many may lag without holding `begins` back


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is noted beside an offset. Records before `position` have been run. lacks: windows that start until then
    may lack records, 0 for none. Units: begins, floors, lacks Unix ms.
    """

    position: int = 0
    begins: int = 0
    floors: dict[str, int] = {}
    lacks: int = 0

    def floor_ms(self, group: str) -> int:
        return self.floors.get(group, self.begins)


class Commit(msgspec.Struct, frozen=True):
    """Where to read on, and what is to be passed over then."""

    offset: int
    note: Note


_NUMBER: Final = 16  # bytes that a floor takes beside the name of its group, at most
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(Note)


def written(note: Note) -> str:
    """As it stands beside the offset."""
    return _encode(note).decode()


def read(text: str) -> Note:
    """Notes of others, and none, are an empty one."""
    try:
        return _decoder.decode(text) if text else Note()
    except msgspec.MsgspecError:
        return Note()


class Ledger(Memory):
    """The state of a window step that knows at which offset each open window began. `offset`, and `latest_ms` that no
    group's clock is to be ahead of, are set before each run.

    Also what a window step asks for what an earlier run has written (`pipeline.window.Resumed`).
    """

    def __init__(self, cut: Commit) -> None:
        super().__init__()
        self.offset = cut.offset
        self.latest_ms = 0
        self.last = cut
        self._resumed: Final = cut.note
        self._lacks_ms = cut.note.lacks
        self._ahead: dict[str, int] = {}  # by how much a group's records were ahead of their arrival, at most
        self._groups: dict[str, Group] = {}
        self._open: dict[str, dict[int, int]] = {}  # group: start of each open window -> offset of its first record
        self._firsts: dict[str, dict[int, int]] = {}  # the same of all windows that do not start before `last` begins

    @property
    def again(self) -> bool:
        return self.offset < self._resumed.position

    def floor_ms(self, group: str) -> int:
        return self._resumed.floor_ms(group)

    def ahead(self, group: str, by_ms: int) -> None:
        self._ahead[group] = max(by_ms, self._ahead.get(group, 0))

    def lacks(self, group: str, start_ms: int) -> bool:
        return start_ms <= self._lacks_ms + self._ahead.get(group, 0) if self._lacks_ms else False

    def gap(self, offset: int, until_ms: int) -> None:
        """Records before this offset that were not read are lost; what is left arrived at until_ms or later."""
        self.offset = max(self.offset, offset)
        self._lacks_ms = until_ms
        note = msgspec.structs.replace(self.last.note, lacks=until_ms)
        self.last = Commit(max(self.last.offset, offset), note)

    def put(self, key: str, value: Any) -> None:
        super().put(key, value)
        if isinstance(value, Group):
            self._note(key.partition(":")[2], value)

    def delete(self, key: str) -> None:
        super().delete(key)
        self._groups.pop(key.partition(":")[2], None)
        self._ahead.pop(key.partition(":")[2], None)

    def cut(self, position: int) -> Commit:
        """The best cut now: all records before `position` are run, and what came out of them is written."""
        if position < self.last.note.position:
            return self.last  # what was run before is being run again
        begins = self._begins()
        floors = self._needed(begins)
        while _size(floors) > NOTE_BYTES:  # too many lag: the floor of all is that of the slower ones
            lagging = sorted(first for group, first in self._first_open() if group in floors and first < begins)
            if not lagging:
                return self.last
            begins = lagging[len(lagging) // 2]
            floors = self._needed(begins)
        best = min([position, *(offset for windows in self._open.values() for offset in windows.values())])
        offset = self._list_holders(begins, floors, best)
        self._list_idle(begins, floors)
        past = min([begins, *floors.values()]) > self._lacks_ms + max(self._ahead.values(), default=0)
        cut = Commit(offset, Note(position, begins, floors, 0 if past else self._lacks_ms))
        if cut.offset < self.last.offset or begins < self.last.note.begins:
            return self.last
        self.last = cut
        self._firsts = {
            group: kept
            for group, windows in self._firsts.items()
            if (kept := {start: first for start, first in windows.items() if start >= begins})
        }
        return cut

    def _note(self, group: str, value: Group) -> None:
        self._groups[group] = value
        if not value.spans:
            self._open.pop(group, None)
            return
        known = self._open.get(group, {})
        if len(known) == len(value.spans) and all(span.start_ms in known for span in value.spans):
            return
        self._open[group] = {span.start_ms: known.get(span.start_ms, self.offset) for span in value.spans}
        firsts = self._firsts.setdefault(group, {})
        for start_ms, first in self._open[group].items():
            firsts.setdefault(start_ms, first)

    def _first_open(self) -> list[tuple[str, int]]:
        return [(group, min(windows)) for group, windows in self._open.items()]

    def _begins(self) -> int:
        """Where the windows of nearly all groups that are at work begin."""
        starts = sorted(first for _, first in self._first_open())
        if not starts:
            starts = sorted(group.floor_ms for group in self._groups.values())
        found = starts[len(starts) // _STRAGGLERS] if starts else 0
        return max(found, self.last.note.begins)

    def _needed(self, begins: int) -> dict[str, int]:
        """Floors without which the cut would be wrong: of open windows before `begins`, and known ones after it."""
        floors = {group: self._groups[group].floor_ms for group, first in self._first_open() if first < begins}
        for group in self._resumed.floors:
            known = self._floor(group)
            if known > begins:
                floors[group] = known
        return floors

    def _floor(self, group: str) -> int:
        heard = self._groups.get(group)
        return self._resumed.floor_ms(group) if heard is None else heard.floor_ms

    def _list_holders(self, begins: int, floors: dict[str, int], best: int) -> int:
        """Add groups whose written windows after `begins` would hold the offset back; the offset that is left."""
        holders = sorted(
            (min(offsets), group)
            for group, windows in self._firsts.items()
            if group not in floors and (offsets := [first for start, first in windows.items() if start >= begins])
        )
        room = NOTE_BYTES - _size(floors)
        for first, group in holders:
            if first >= best:
                break
            room -= len(_encode(group)) + _NUMBER
            if room < 0:
                return first
            floors[group] = self._floor(group)
        return best

    def _list_idle(self, begins: int, floors: dict[str, int]) -> None:
        """Add groups without open windows that may come back with what they kept, last heard first, if there is room.

        Also those whose floor is what it is for all: for a successor that hears nothing of them it would rise with that
        of the others. Where there is no room, what they kept is late after a take-over.
        """
        idle = [
            (value.heard_ms, group) for group, value in self._groups.items() if group not in floors and not value.spans
        ]
        idle += [(0, group) for group in self._resumed.floors if group not in floors and group not in self._groups]
        room = NOTE_BYTES - _size(floors)
        for _, group in sorted(idle, reverse=True):
            room -= len(_encode(group)) + _NUMBER
            if room < 0:
                return
            floors[group] = self._floor(group)


def _size(floors: dict[str, int]) -> int:
    return sum(len(_encode(group)) + _NUMBER for group in floors)
