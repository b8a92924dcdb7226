"""The fields of an action: a name that is none of them is refused with the one that is meant, or with all of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import probatio as vol


def only(fields: Mapping[Any, Any], also: Mapping[str, str] | None = None) -> vol.All[Any]:
    """A schema of these fields and no others. also: names of elsewhere, folded, and what a field is called here."""
    names = [str(key) for key in fields]

    def known(given: Any) -> Any:
        for key in given if isinstance(given, Mapping) else ():
            if key not in names:
                raise vol.Invalid(f"is not known here; {_meant(str(key), names, also or {})}", path=[key])
        return given

    return vol.All(known, vol.Schema(fields))


def folded(name: str) -> str:
    """A name as it is in every way of writing."""
    return name.replace("_", "").lower()


def _meant(key: str, names: list[str], also: Mapping[str, str]) -> str:
    words, elsewhere = key.split("_"), also.get(folded(key), "")
    near = (
        (elsewhere if elsewhere.partition(":")[0] in names else None)
        or next((name for name in names if name in words), None)
        or next(iter(difflib.get_close_matches(key, names, n=1)), None)
    )
    return f"do you mean {near}?" if near else f"there are {', '.join(sorted(names))}"
