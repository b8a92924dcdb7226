"""The checks of single values, as voluptuous validators: each returns the clean value or raises Wrong with a hint.

Durations and sizes are text with a unit ("500ms", "10s", "2h", "64MB"): a bare number would leave the reader
guessing. Rule: a check never looks at anything but its value; what concerns two keys belongs to the section.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import voluptuous as vol

from hubqueue.config.mistakes import Wrong
from hubqueue.errors import HubqueueError

Check = Callable[[Any], Any]

_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNIT_BYTES: Final = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)\Z")


_QUOTES: Final = "put it in quotes"


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("must be text", value, hint=_QUOTES if isinstance(value, int | float) else _unquoted(value))
    if not value.strip():
        raise Wrong("must not be empty")
    return value


def _unquoted(value: Any) -> str:
    """What YAML made of text that has a sign of its own and no quotes: `{room}` and `# comment`."""
    if value is None:
        return "nothing is written there; text that begins with # needs quotes"
    if isinstance(value, dict) and list(value.values()) == [None]:
        return f'{_QUOTES}: "{{{next(iter(value))}}}"'
    return ""


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be true or false", value)
    return value


def integer(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong("must be a whole number", value)
        if not low <= value <= high:
            raise Wrong(f"must be from {low} to {high}", value)
        return value

    return check


def number(low: float, high: float = math.inf) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Wrong("must be a number", value)
        if not low <= value <= high:
            raise Wrong(f"must be at least {low:g}" if high == math.inf else f"must be from {low:g} to {high:g}", value)
        return float(value)

    return check


port: Final = integer(0, 65535)


def choice(*allowed: str) -> Check:
    def check(value: Any) -> str:
        if value not in allowed:
            raise Wrong(f"must be {_or(allowed)}", value, hint=did_you_mean(str(value), allowed))
        return str(value)

    return check


def duration_ms(low_ms: int = 0, high_ms: int = 31_536_000_000) -> Check:
    """Milliseconds from text with a unit, at most a year unless told otherwise."""

    def check(value: Any) -> int:
        amount = _amount(value, _UNIT_MS, "a duration", "as in 500ms, 10s, 5m, 2h or 7d")
        if not low_ms <= amount <= high_ms:
            raise Wrong(f"must be from {duration_text(low_ms)} to {duration_text(high_ms)}", value)
        return round(amount)

    return check


def duration_s(low_s: float = 0.0, high_s: float = 31_536_000.0) -> Check:
    """Seconds from text with a unit."""
    in_ms = duration_ms(round(low_s * 1000), round(high_s * 1000))
    return lambda value: float(in_ms(value)) / 1000.0


def size_bytes(low: int = 0) -> Check:
    """Bytes from text with a unit."""

    def check(value: Any) -> int:
        amount = _amount(value, _UNIT_BYTES, "a size", "as in 512KB, 64MB or 2GiB")
        if amount < low:
            raise Wrong(f"must be at least {low} bytes", value)
        return round(amount)

    return check


def file_path(base: FilePath) -> Check:
    """A path; a relative one starts from the folder of the configuration file."""
    return lambda value: base / FilePath(text(value)).expanduser()


def existing_file(base: FilePath) -> Check:
    def check(value: Any) -> FilePath:
        path: FilePath = file_path(base)(value)
        if not path.is_file():
            raise Wrong("names a file that does not exist", str(path))
        return path

    return check


def secret_file(base: FilePath) -> Check:
    """The text of a file, without its last line break. For tokens and passwords."""

    def check(value: Any) -> str:
        path = existing_file(base)(value)
        try:
            content: str = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Wrong("names a file that cannot be read", str(path)) from error
        if not content:
            raise Wrong("names an empty file", str(path))
        return content

    return check


def url(*schemes: str) -> Check:
    """The text of a URL with one of these schemes and a host, and a sound port."""

    def check(value: Any) -> str:
        example = f"as in {schemes[0]}://host.example"
        try:
            parts: SplitResult = urlsplit(text(value))
            _ = parts.port
        except ValueError as error:
            raise Wrong("is not a sound URL", value, hint=example) from error
        if parts.scheme not in schemes:
            raise Wrong(f"must start with {_or([f'{scheme}://' for scheme in schemes])}", value, hint=example)
        if not parts.hostname:
            raise Wrong("names no host", value, hint=example)
        return str(value)

    return check


class Each:
    """A list; every wrong item is reported, not just the first."""

    def __init__(self, check: Check) -> None:
        self.check = check

    def __call__(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise Wrong("must be a list", value, hint="start each item with '- '")
        items, errors = [], []
        for index, item in enumerate(value):
            try:
                items.append(self.check(item))
            except vol.Invalid as error:
                error.prepend([index])
                errors.append(error)
        _raise_all(errors)
        return tuple(items)


class Named:
    """A mapping from free names to values of one kind."""

    def __init__(self, check_name: Check, check: Check) -> None:
        self.check_name = check_name
        self.check = check

    def __call__(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Wrong("must hold names and their settings", value)
        items, errors = {}, []
        for name, item in value.items():
            for check, part in ((self.check_name, name), (self.check, item)):
                try:
                    items[name] = check(part)
                except vol.Invalid as error:
                    error.prepend([name])
                    errors.append(error)
        _raise_all(errors)
        return items


class Section:
    """A mapping with known keys. All wrong keys are reported; `build` sees the clean values only when all are right.

    short: the key that text, or a number, in its place stands for.
    Errors: what `build` raises as Wrong (which may name a path below) or as HubqueueError is reported as well.
    """

    def __init__(
        self,
        keys: Mapping[str, Check],
        *,
        required: Collection[str] = (),
        build: Check | None = None,
        short: str = "",
    ) -> None:
        self.keys = keys
        self._short = short
        self._build = build
        marked = {(vol.Required if key in required else vol.Optional)(key): check for key, check in keys.items()}
        self._schema = vol.Schema(marked)

    def __call__(self, value: Any) -> Any:
        known = f"known keys: {', '.join(self.keys)}"
        if value is None:
            value = {}
        if self._short and isinstance(value, str | int | float):
            value = {self._short: value}
        if not isinstance(value, Mapping):
            raise Wrong("must hold keys and values", value, hint=known)
        errors: list[vol.Invalid] = [
            Wrong("is not a known key", hint=did_you_mean(key, self.keys) or known, path=[key])
            for key in value
            if key not in self.keys
        ]
        try:
            clean = self._schema({key: item for key, item in value.items() if key in self.keys})
        except vol.Invalid as error:
            errors.append(error)
        _raise_all(errors)
        if self._build is None:
            return clean
        try:
            return self._build(clean)
        except HubqueueError as error:
            raise Wrong(error.message, hint=error.hint) from error


def from_engine(check: Callable[[Any], Any]) -> Check:
    """A check of the model (queue names, topics): its HubqueueError becomes a mistake with the value."""

    def checked(value: Any) -> Any:
        try:
            result = check(value)
        except HubqueueError as error:
            raise Wrong(error.message, value, hint=error.hint) from error
        return value if result is None else result

    return checked


def from_engine_text(make: Callable[[str], Any]) -> Check:
    """Text that becomes a value of the engine (an expression, a field): its HubqueueError becomes a mistake."""

    def made(value: Any) -> Any:
        try:
            return make(text(value))
        except HubqueueError as error:
            raise Wrong(error.message, value, hint=error.hint) from error

    return made


def valid(parse: Callable[[str], Any]) -> Check:
    """Text that the engine's own parser accepts; the text itself is kept."""
    parsed = from_engine_text(parse)

    def check(value: Any) -> str:
        parsed(value)
        return str(value)

    return check


def _raise_all(errors: Iterable[vol.Invalid]) -> None:
    flat: list[vol.Invalid] = []
    for error in errors:
        flat.extend(error.errors if isinstance(error, vol.MultipleInvalid) else [error])
    if flat:
        raise vol.MultipleInvalid(flat)


def _amount(value: Any, units: Mapping[str, int], what: str, example: str) -> float:
    if value == 0 and not isinstance(value, bool):
        return 0.0
    match = _AMOUNT.match(value.strip()) if isinstance(value, str) else None
    if match is None or match.group(2).lower() not in units:
        raise Wrong(f"must be {what} with a unit", value, hint=example)
    return float(match.group(1)) * units[match.group(2).lower()]


def duration_text(milliseconds: int) -> str:
    """Milliseconds as the configuration writes them, in the largest unit that says it exactly."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _UNIT_MS[unit] == 0:
            return f"{milliseconds // _UNIT_MS[unit]}{unit}"
    return f"{milliseconds}ms"


def _or(words: Collection[str]) -> str:
    first, last = list(words)[:-1], list(words)[-1]
    return f"{', '.join(first)} or {last}" if first else last


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A hint that names the known word which is most like this one, or nothing."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
