"""What the steps of a running pipeline remember: in memory, and as blobs of the hub's file.

Changes are held back until `kept` says that the settle which carried them was committed; `undo` forgets them. So
memory and file agree at every moment, and what a crash leaves is what the last commit had (P9).
Rule: a value is never changed in place, so nothing has to be copied for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hubqueue.model.outcome import Blob
from hubqueue.model.verbs import Verbs

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode
_GONE: Final = object()


class StepState:
    """The state of one step."""

    def __init__(self, namespace: str) -> None:
        self.namespace: Final = namespace
        self.generation = 0
        self._kept: dict[str, Any] = {}
        self._changed: dict[str, Any] = {}

    def get(self, key: str) -> Any | None:
        if key in self._changed:
            found = self._changed[key]
            return None if found is _GONE else found
        return self._kept.get(key)

    def put(self, key: str, value: Any) -> None:
        self._changed[key] = value

    def delete(self, key: str) -> None:
        if key in self._kept:
            self._changed[key] = _GONE
        else:
            self._changed.pop(key, None)

    def keys(self) -> Iterable[str]:
        """A copy: the state may be changed while it is walked."""
        fresh = [key for key, value in self._changed.items() if value is not _GONE]
        return [*fresh, *(key for key in self._kept if key not in self._changed)]

    def changes(self) -> list[Blob]:
        """What the next settle has to store. Errors: TypeError and such for a value that cannot be stored."""
        return [
            Blob(self.namespace, key, None if value is _GONE else _encode(value))
            for key, value in self._changed.items()
        ]

    def kept(self) -> None:
        """The changes are committed."""
        for key, value in self._changed.items():
            if value is _GONE:
                del self._kept[key]
            else:
                self._kept[key] = value
        self._changed.clear()

    def undo(self) -> None:
        """Forget the changes."""
        if self._changed:
            self._changed.clear()
            self.generation += 1

    async def load(self, hub: Verbs) -> None:
        """Be what the hub has stored. Errors: those of the hub."""
        found: dict[str, Any] = {}
        after = ""
        while page := await hub.blobs(self.namespace, after=after):
            found |= {key: _decode(value) for key, value in page}
            after = page[-1][0]
        self._kept = found
        self._changed.clear()
        self.generation += 1


class PipelineState(Mapping[str, StepState]):
    """The states of all steps by their names."""

    def __init__(self, pipeline: str, steps: Iterable[str]) -> None:
        self.namespace: Final = f"pipeline:{pipeline}"
        self._steps: Final = {step: StepState(f"{self.namespace}:{step}") for step in steps}

    def __getitem__(self, step: str) -> StepState:
        return self._steps[step]

    def __iter__(self) -> Any:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def changes(self) -> list[Blob]:
        """What the next settle has to store."""
        return [blob for step in self._steps.values() for blob in step.changes()]

    def kept(self) -> None:
        """The changes are committed."""
        for step in self._steps.values():
            step.kept()

    def undo(self) -> None:
        """Forget the changes."""
        for step in self._steps.values():
            step.undo()

    async def load(self, hub: Verbs) -> None:
        """Be what the hub has stored. Errors: those of the hub."""
        for step in self._steps.values():
            await step.load(hub)
