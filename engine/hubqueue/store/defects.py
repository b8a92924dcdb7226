"""Whether a verb failed for a defect of its own: only that verb is taken back then, whatever else is in its group."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from hubqueue.errors import HubqueueError

# SQLite's words for what a statement should not have asked: neither the disk's fault nor the file's
_ASKED_WRONG: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)


def is_defect(error: Exception) -> bool:
    """Of the code; any other error of SQLite may have rolled the transaction back."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, _ASKED_WRONG):
        return True
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR  # as "no such column"


def name_of(verb: Callable[..., Any]) -> str:
    """For the log: where it is written."""
    named = getattr(verb, "func", verb)  # of a partial
    return f"{named.__module__}.{named.__qualname__}"


def refusal(answer: HubqueueError) -> Callable[[Any], None]:
    """What runs in place of a verb that was taken back: it is answered in its turn."""

    def verb(tx: Any) -> None:
        raise answer

    return verb
