"""What is wrong in a configuration: every mistake at once, each with its path, value, place and a hint.

Checks raise `Wrong` (a voluptuous Invalid); `load` turns all of them into one `ConfigMistakes`.
Rule: a value is shown only when no part of its path names a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import voluptuous as vol

from hubqueue.config.path import Path, dotted
from hubqueue.errors import ConfigError

_SECRET_KEYS: Final = frozenset({"token", "tokens", "password", "auth-tokens"})
_URL_PASSWORD: Final = re.compile(r"(//[^/@:\s]*:)[^/@\s]*@")
_MAX_SHOWN_CHARS: Final = 60  # a longer value hides the message beside it
_ABSENT: Final = object()


class Wrong(vol.Invalid):
    """One wrong value, raised by a check; voluptuous adds the path."""

    def __init__(
        self, message: str, value: object = _ABSENT, *, hint: str = "", path: Sequence[str | int] = ()
    ) -> None:
        super().__init__(message, list(path))
        self.value = value
        self.hint = hint


@dataclass(frozen=True)
class Mistake:
    """One mistake, ready to be shown. `source` is a file name, a variable or a flag; `line` counts from 1."""

    path: Path
    message: str
    value: str | None = None
    hint: str = ""
    source: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line is not None else self.source
        parts = [f"{where}: " if where else "", f"{dotted(self.path)}: " if self.path else "", self.message]
        if self.value is not None and not self._is_told:
            parts.append(f", not {self.value}" if self.message.startswith("must ") else f": {self.value}")
        if self.hint:
            parts.append(f" ({self.hint})")
        return "".join(parts)

    @property
    def _is_told(self) -> bool:
        """The message quotes this text, or the beginning that is shown of it."""
        assert self.value is not None
        return self.value[:1] in ("'", '"') and self.value.removesuffix("...") in self.message


class ConfigMistakes(ConfigError):
    """The configuration has mistakes."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        head = "the configuration has a mistake" if count == 1 else f"the configuration has {count} mistakes"
        super().__init__("\n".join([f"{head}:", *(f"  {mistake}" for mistake in self.mistakes)]))


def flatten(error: vol.Invalid) -> list[tuple[Path, str, str | None, str]]:
    """(path, message, shown value, hint) of every error inside a voluptuous error."""
    errors: list[vol.Invalid] = error.errors if isinstance(error, vol.MultipleInvalid) else [error]
    found = []
    for one in errors:
        path: Path = tuple(part if isinstance(part, int) else str(part) for part in one.path)
        if isinstance(one, Wrong):
            value = None if one.value is _ABSENT else shown(path, one.value)
            found.append((path, str(one.error_message), value, one.hint))
        elif isinstance(one, vol.RequiredFieldInvalid):
            found.append((path, "is missing", None, ""))
        else:
            found.append((path, str(one.error_message), None, ""))
    return found


def shown(path: Path, value: Any) -> str:
    """The value as it may be shown: short, and hidden where the path names a secret."""
    if _SECRET_KEYS.intersection(part for part in path if isinstance(part, str)):
        return "<hidden>"
    text = _URL_PASSWORD.sub(r"\1***@", _written(value))
    return text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 3] + "..."


def _written(value: Any) -> str:
    """In words of YAML and JSON: a configuration has null and true, not None and True."""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, date):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # a date as a key, or what holds itself
        return repr(value)
