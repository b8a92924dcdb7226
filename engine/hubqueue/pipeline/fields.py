"""A field of a record's data, named by its path: `temperature`, or `position.lat` inside a map.

Rule: putting and removing copy the maps on the way and leave the rest shared; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.expression import MISSING
from hubqueue.model.kinds import kind_of
from hubqueue.pipeline.record import Refused


class Field:
    """One field. Its path is checked when it is made. Errors: Invalid."""

    __slots__ = ("_first", "_rest", "text")

    def __init__(self, text: str) -> None:
        keys = text.split(".")
        if not all(keys):
            raise Invalid(f"field {text!r} is not valid", hint="write a name, or names with dots: position.lat")
        self.text: Final = text
        self._first: Final = keys[0]
        self._rest: Final = tuple(keys[1:])

    def get(self, data: Any) -> Any:
        """Its value, or MISSING."""
        if type(data) is not dict:
            return MISSING
        found = data.get(self._first, MISSING)
        for key in self._rest:
            if type(found) is not dict:
                return MISSING
            found = found.get(key, MISSING)
        return found

    def lack(self, data: Any) -> str:
        """Of a value that is missing, what to say of it: `is null`, `is not there`."""
        return "is null" if self.get(data) is None else "is not there"

    def put(self, fresh: dict[Any, Any], value: Any) -> None:
        """Put the value into `fresh`, a map that was just made; maps below it are copied. Errors: Refused."""
        key = self._first
        for following in self._rest:
            below = fresh.get(key, MISSING)
            if below is MISSING or below is None:
                below = {}
            elif type(below) is not dict:
                raise Refused(f"{self.text} cannot be set: {key} is {kind_of(below)} and no map")
            fresh[key] = fresh = dict(below)
            key = following
        fresh[key] = value

    def drop(self, fresh: dict[Any, Any]) -> None:
        """Remove it from `fresh`, a map that was just made, when it is there."""
        if self.get(fresh) is MISSING:
            return
        key = self._first
        for following in self._rest:
            fresh[key] = fresh = dict(fresh[key])
            key = following
        del fresh[key]


def fields(texts: Sequence[str]) -> tuple[Field, ...]:
    """Errors: Invalid."""
    return tuple(Field(text) for text in texts)


def map_of(data: Any) -> dict[Any, Any]:
    """A copy of the data, which has to be a map. Errors: Refused."""
    if type(data) is not dict:
        raise Refused(f"its data is {kind_of(data)} and no map")
    return data.copy()
