"""Who may do what: scopes, and the grant that a token stands for.

Pure values. Every door turns what its client shows into a grant (commands/auth); the command table says which scope
a command needs (commands/scopes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from hubqueue.errors import Invalid

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


class Scope(StrEnum):
    """What a token is good for. ADMIN includes the others, WORK includes PULL."""

    READ = "read"
    ENQUEUE = "enqueue"
    PULL = "pull"
    WORK = "work"
    ADMIN = "admin"


class Grant(msgspec.Struct, frozen=True):
    """What its holder may do. queues: only these; None means all of them. unlimited follows from both."""

    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None
    unlimited: bool = False  # read with every command: whether its scope need not be looked up

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "unlimited", self.queues is None and Scope.ADMIN in self.scopes)

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, queue: str) -> bool:
        return self.queues is None or queue in self.queues


EVERYTHING: Final = Grant("", frozenset(Scope))


def check_name(name: str) -> str:
    """The name of a token, or Invalid."""
    if _NAME.match(name) is None:
        raise Invalid("This is no name for a token", hint="1 to 64 letters, digits and . _ - are allowed")
    return name


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """Scopes by name; at least one. Errors: Invalid."""
    given = frozenset(words)
    unknown = given - set(Scope)
    if unknown or not given:
        hint = f"scopes are {', '.join(Scope)}"
        raise Invalid(f"Unknown scope '{min(unknown)}'" if unknown else "A token needs at least one scope", hint=hint)
    return frozenset(Scope(word) for word in given)
