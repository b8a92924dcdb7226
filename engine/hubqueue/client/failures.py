"""Failure replies back into errors: by our code where the peer sends one, else by the texts bunqueue is known for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hubqueue import errors
from hubqueue.errors import HubqueueError


def error_of(text: str, code: str | None = None, hint: str | None = None) -> HubqueueError:
    """The error a failure reply stands for."""
    known = _BY_CODE.get(code) if code is not None else None
    if known is None:
        known = next((kind for part, kind in _BY_TEXT if part in text), HubqueueError)
    return known(text, hint=hint)


def _tree(kind: type[HubqueueError]) -> Iterator[type[HubqueueError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


_BY_CODE: Final = {kind.code: kind for kind in _tree(HubqueueError) if kind.__module__ == errors.__name__}

# First match wins: the special before the general.
# Source: bunqueue protocol v3, texts that clients inspect.
_BY_TEXT: Final[tuple[tuple[str, type[HubqueueError]], ...]] = (
    ("Not authenticated", errors.NotAuthenticated),
    ("Invalid token", errors.NotAuthenticated),
    ("Rate limit exceeded", errors.Busy),
    ("Lock token required", errors.LockRequired),
    ("Invalid or expired lock token", errors.LockLost),
    ("Lock not found or invalid token", errors.LockLost),
    ("or invalid token", errors.LockLost),
    ("not in processing", errors.LockLost),
    ("Unknown command", errors.UnknownCommand),
    ("too large", errors.PayloadTooLarge),
    ("Duplicate unique_key", errors.Duplicate),
    ("not found", errors.NotFound),
    ("is not active", errors.WrongState),
    ("Cannot move job", errors.WrongState),
    ("Job data must be", errors.Invalid),
    (" must be ", errors.Invalid),
    ("is required", errors.Invalid),
    ("contains invalid characters", errors.Invalid),
    ("too long", errors.Invalid),
    ("Invalid command", errors.ProtocolError),
)
