"""What an error of PostgreSQL means: the link is down, or a row is refused. By SQLSTATE.

What is not in the table is taken for a trouble of the link.
Source: PostgreSQL, appendix "Error Codes"; engine-rules 26.
"""

from __future__ import annotations

import re
from typing import Final

import asyncpg

from hubqueue.errors import Invalid
from hubqueue.forward.verdict import Down, Reason, Rejected, SinkDown, verdict

# By the whole code first, then by its class, the first two characters.
OF_STATE: Final[dict[str, Reason | type[Rejected]]] = {
    "08": Reason.UNREACHABLE,
    "0A": Reason.PROTOCOL,  # not supported: another server, or another edition
    "22": Rejected,  # a value that cannot be
    "23": Rejected,  # a constraint
    "25": Reason.PROTOCOL,
    "25006": Reason.STORE,  # read only: a stand-by, or a disk that is being saved
    "28": Reason.AUTH,
    "3D": Reason.AUTH,  # no such database
    "3F": Reason.PROTOCOL,  # no such schema
    "40": Reason.STORE,  # a deadlock or the like: tried again
    "42": Reason.PROTOCOL,  # the table or a column is not there, or not as it is thought to be
    "42501": Reason.AUTH,
    "44": Rejected,  # WITH CHECK OPTION
    "53": Reason.STORE,
    "53100": Reason.DISK_FULL,
    "53300": Reason.QUOTA,  # too many connections
    "54": Rejected,  # too long for an index, and the like
    "55": Reason.STORE,
    "57": Reason.DRAINING,  # stopping, or not yet started
    "57014": Reason.TIMEOUT,
    "58": Reason.STORE,
    "P0": Rejected,  # a trigger says no
}

HINTS: Final = {
    "42P01": "make the table, or let 'create' be true",
    "42703": "add the column to the table, or take it out of 'columns'",
    "42P10": "the table needs a unique index on exactly the columns of 'key'",
    "42501": "GRANT INSERT, SELECT and UPDATE on the table and TEMPORARY on the database; 'create' needs CREATE too",
    "3D000": "make the database: CREATE DATABASE",
}


_VALUE: Final = re.compile(r'".*"', re.DOTALL)
_COLUMN: Final = re.compile(r"^COPY [^\n]*, column ([^:\n]+)")


def meaning(error: Exception) -> Exception:
    """The error as `verdict` reads it."""
    if isinstance(error, asyncpg.PostgresError):
        return _of_server(error)
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return SinkDown(Down(Reason.UNREACHABLE, "the connection to PostgreSQL was lost"))
    if isinstance(error, ConnectionError) and "SSL" in str(error):  # asyncpg's, when the server has no TLS
        return SinkDown(Down(Reason.TLS, str(error)))
    return error


def is_conflict(error: Exception) -> bool:
    """Whether another transaction was in the way, and the same again may do."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith("40")


def _of_server(error: asyncpg.PostgresError) -> Exception:
    state = error.sqlstate or ""
    found = OF_STATE.get(state, OF_STATE.get(state[:2]))
    hint = HINTS.get(state)
    text = f"{_said(error)} (SQLSTATE {state})" + (f"; {hint}" if hint else "")
    if found is Rejected:
        return Invalid(text)
    reason = found if isinstance(found, Reason) else Reason.UNKNOWN
    return SinkDown(Down(reason, text, answered=reason in (Reason.PROTOCOL, Reason.UNKNOWN)))


def _said(error: asyncpg.PostgresError) -> str:
    """What the server says, and of which column. In class 22 that may hold the value, which is its owner's alone."""
    message = _first_line(error)
    if not (error.sqlstate or "").startswith("22"):
        return message
    detail = getattr(error, "detail", None)
    if detail and '"' not in detail:
        message = f"{message}: {detail}"
    message = _VALUE.sub("(the value)", message)
    place = _COLUMN.search(getattr(error, "context", None) or "")
    column = getattr(error, "column_name", None) or (place and place[1])
    return f"column {column}: {message}" if column else message


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def as_down(error: Exception) -> SinkDown:
    """Any trouble of connecting: nobody is refused for it."""
    found = verdict(meaning(error))
    return SinkDown(Down(Reason.PROTOCOL, found.reason) if isinstance(found, Rejected) else found)
