"""Commands of access tokens, ours."""

from __future__ import annotations

from hubqueue.wire.commands.base import Command


class TokenAdd(Command, tag="TokenAdd", gc=False, kw_only=True):
    """Make a token with these scopes; with `queues` it is good for these alone. Only this reply shows it."""

    name: str
    scopes: list[str]
    queues: list[str] | None = None


class TokenList(Command, tag="TokenList", gc=False, kw_only=True):
    """All tokens, without what they are."""


class TokenRevoke(Command, tag="TokenRevoke", gc=False, kw_only=True):
    """Forget a token, and end the connections that came in with it."""

    name: str
