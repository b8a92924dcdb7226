"""Checks that only pipeline files need: mappings with exactly one key, which says what the value is, and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong


def missing(*allowed: str) -> Check:
    """A word of these; `null` written without quotes is the word, too."""
    check = checks.choice(*allowed)
    return lambda value: check("null" if value is None else value)


class OneOf:
    """One of these kinds; gives what the check of the kind gives. example: one that is right, for the hint."""

    def __init__(self, what: str, kinds: Mapping[str, Check], example: str = "") -> None:
        self._what = what
        self._kinds = kinds
        self._example = f"as in {example}; " if example else ""

    def __call__(self, value: Any) -> Any:
        return self.kind(value)[1]

    def kind(self, value: Any) -> tuple[str, Any]:
        """The kind and its checked value."""
        known = f"known: {', '.join(self._kinds)}"
        if not isinstance(value, Mapping) or not value:
            raise Wrong(f"must be one {self._what}", value, hint=self._example + known)
        for key in value:
            if key not in self._kinds:
                hint = checks.did_you_mean(str(key), self._kinds) or known
                raise Wrong(f"is no kind of {self._what}", hint=hint, path=[key])
        if len(value) > 1:
            raise Wrong(f"holds {len(value)} kinds of {self._what}", hint="start each with '- ' on a line of its own")
        ((kind, given),) = value.items()
        try:
            return kind, self._kinds[kind](given)
        except vol.Invalid as error:
            error.prepend([kind])
            raise
