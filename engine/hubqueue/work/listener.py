"""What a handler of channel messages is: a function that `@channel` gave a channel.

User files import `channel` from `hubqueue`, as `task`; such a function can still be called, by tests for instance.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, ParamSpec, TypeVar

from hubqueue.errors import Invalid
from hubqueue.model.channel import EVERY_CHANNEL, check_channel

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Message:
    """What was said on a channel, and when (UTC)."""

    channel: str
    data: Any
    at: datetime


@dataclass(frozen=True, eq=False)
class Listener(Generic[P, R]):
    """A function that hears a channel, or all (`*`). Calling it calls the function."""

    function: Callable[P, R]
    channel: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def name(self) -> str:
        """As log lines name it."""
        return f"{self.function.__module__}.{self.function.__qualname__}"


AnyListener = Listener[..., Any]


def channel(name: str) -> Callable[[Callable[P, R]], Listener[P, R]]:
    """Let a function hear what is said on a channel (`*`: on all of them) while its process runs.

    Errors: Invalid for a name that cannot be; the decorated thing must be a function.
    """
    if name != EVERY_CHANNEL:
        check_channel(name)

    def decorate(function: Callable[P, R]) -> Listener[P, R]:
        if not inspect.isroutine(function):
            raise Invalid(f"channel '{name}' must decorate a function", hint="write @channel(...) directly above a def")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise Invalid(
                f"the listener of channel '{name}' is a generator", hint="it returns nothing: leave out yield"
            )
        return Listener(function, name)

    return decorate
