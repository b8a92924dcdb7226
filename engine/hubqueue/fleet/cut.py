"""From where a partition has to be read again, should another member take it over: pure. Why: docs/fleet.md.

Windows live in memory, so the group's offset stays at a place from which all windows that are not written yet can be
made again, whole. Records after that place may also belong to windows that *are* written; which those are is noted
beside the offset, so that nobody counts their tails into a second, partial window.

Rules, for a cut (offset, position, begins, behind), where the floor of a group is behind[group], or else begins:
- a window that starts at or after the floor of its group has no record before `offset`;
- a window that starts before it, and has a record before `position`, is written.
An older cut stays true for ever: holding one back costs reading again, never a wrong window.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.pipeline.opened import Group
from hubqueue.pipeline.step import Memory

NOTE_BYTES: Final = 3500  # brokers take 4096 beside an offset unless told otherwise
_STRAGGLERS: Final = 10  # one group of so many may lag without holding the floor of the others back


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is noted beside an offset. Records before `position` have been run. Units: begins, behind Unix ms."""

    position: int = 0
    begins: int = 0
    behind: dict[str, int] = {}

    def floor_ms(self, group: str) -> int:
        return self.behind.get(group, self.begins)


class Cut(msgspec.Struct, frozen=True):
    """Where to read on, and what is to be passed over then."""

    offset: int
    note: Note


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
    """The state of a window step that knows at which offset each open window began. `offset` is set before each run.

    Also what a window step asks for what an earlier run has written (`pipeline.window.Resumed`).
    """

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self.offset = cut.offset
        self.last = cut
        self._resumed: Final = cut.note
        self._groups: dict[str, Group] = {}
        self._open: dict[str, dict[int, int]] = {}  # group: start of each open window -> offset of its first record
        self._starts: dict[int, int] = {}  # start of a window, of any group -> offset of the first record of all

    @property
    def again(self) -> bool:
        return self.offset < self._resumed.position

    def floor_ms(self, group: str) -> int:
        return self._resumed.floor_ms(group)

    def put(self, key: str, value: Any) -> None:
        super().put(key, value)
        if isinstance(value, Group):
            self._note(key.partition(":")[2], value)

    def delete(self, key: str) -> None:
        super().delete(key)
        self._groups.pop(key.partition(":")[2], None)

    def cut(self, position: int) -> Cut:
        """The best cut now: all records before `position` are run, and what came out of them is written."""
        if position < self.last.note.position:
            return self.last  # what was run before is being run again
        begins = self._begins()
        behind = self._behind(begins)
        while len(_encode(behind)) > NOTE_BYTES:  # too many lag: the floor of all is that of the slower ones
            begins = sorted(min(self._open[group]) for group in behind)[len(behind) // 2]
            behind = self._behind(begins)
        note = Note(position, begins, behind)
        oldest = [offset for windows in self._open.values() for offset in windows.values()]
        firsts = [first for start_ms, first in self._starts.items() if start_ms >= note.begins]
        cut = Cut(min([position, *oldest, *firsts]), self._with_idle(note))
        if cut.offset < self.last.offset or cut.note.begins < self.last.note.begins:
            return self.last
        self.last = cut
        self._starts = {start: first for start, first in self._starts.items() if start >= cut.note.begins}
        return cut

    def _note(self, group: str, value: Group) -> None:
        self._groups[group] = value
        if not value.spans:
            self._open.pop(group, None)
            return
        known = self._open.get(group, {})
        if len(known) == len(value.spans) and all(span.start_ms in known for span in value.spans):
            return
        now = {span.start_ms: known.get(span.start_ms, self.offset) for span in value.spans}
        for start_ms in now.keys() - known.keys():
            self._starts.setdefault(start_ms, self.offset)
        self._open[group] = now

    def _begins(self) -> int:
        """Where the windows of nearly all groups that are at work begin."""
        starts = sorted(min(windows) for windows in self._open.values())
        if not starts:
            starts = sorted(group.floor_ms for group in self._groups.values())
        found = starts[len(starts) // _STRAGGLERS] if starts else 0
        return max(found, self.last.note.begins)

    def _behind(self, begins: int) -> dict[str, int]:
        """The floors of groups that have windows open which start before that."""
        return {group: self._groups[group].floor_ms for group, windows in self._open.items() if min(windows) < begins}

    def _with_idle(self, note: Note) -> Note:
        """With the floors of groups that have no window open, as many as there is room for, last heard first."""
        idle = [
            (value.heard_ms, group, value.floor_ms)
            for group, value in self._groups.items()
            if not value.spans and value.floor_ms < note.begins
        ]
        idle += [
            (0, group, floor_ms)
            for group, floor_ms in self.last.note.behind.items()
            if group not in self._groups and floor_ms < note.begins
        ]
        behind, room = dict(note.behind), NOTE_BYTES - len(written(note))
        for _, group, floor_ms in sorted(idle, reverse=True):
            room -= len(_encode(group)) + 16
            if room < 0:
                break
            behind[group] = floor_ms
        return Note(note.position, note.begins, behind)
