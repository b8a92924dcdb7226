"""Commands of access tokens, ours. They see to it that somebody can still administer the hub afterwards."""

from __future__ import annotations

from typing import Any

import msgspec

from hubqueue.commands.call import Call
from hubqueue.commands.command import ADMIN, WHOLE_HUB, Command, command
from hubqueue.errors import Duplicate, WrongState
from hubqueue.model.access import Grant, scopes_of
from hubqueue.model.limits import check_queue


class Secret(msgspec.Struct):
    """The token. It is shown this once."""

    token: str


class Token(msgspec.Struct, rename="camel", kw_only=True):
    """A token without what it is; declared: `config` or `runtime`. usedAt: at most an hour behind."""

    name: str
    scopes: list[str]
    queues: list[str] | None
    created_at: float | None
    used_at: float | None
    declared: str


class Tokens(msgspec.Struct):
    """All tokens."""

    tokens: list[Token]


@command(ADMIN, WHOLE_HUB, answers=Secret)
class TokenAdd(Command):
    """Make a token with these scopes; with `queues` it is good for these alone. Only this reply shows it."""

    name: str
    scopes: list[str]
    queues: list[str] | None = None

    def handle(self, call: Call) -> None:
        authenticator, tokens = call.session.context.authenticator, call.session.context.hub.access
        scopes = scopes_of(self.scopes)
        queues = None if self.queues is None else frozenset(check_queue(queue) for queue in self.queues)

        def verb(tx: Any) -> str:
            if any(grant.name == self.name for grant in authenticator.given):
                raise Duplicate(f"The configuration has a token '{self.name}'", hint="choose another name")
            if not any(grant.unlimited for grant in (*authenticator.grants, Grant(self.name, scopes, queues))):
                raise WrongState(
                    "The first token must be one for everything, or nobody could administer the hub",
                    hint="give it the scope admin and no list of queues; then add this one",
                )
            return tokens.add(tx, self.name, scopes, queues)

        call.run(verb, lambda secret: {"token": secret}, durable=True)


@command(ADMIN, WHOLE_HUB, answers=Tokens)
class TokenList(Command):
    """All tokens, without what they are."""

    def handle(self, call: Call) -> None:
        context = call.session.context

        def verb(tx: Any) -> list[dict[str, Any]]:
            given = [
                {**_shown(grant), "createdAt": None, "usedAt": None, "declared": "config"}
                for grant in context.authenticator.given
            ]
            return [
                *given,
                *(
                    {
                        **_shown(token.grant),
                        "createdAt": float(token.created_at_ms),
                        "usedAt": None if token.used_at_ms is None else float(token.used_at_ms),
                        "declared": "runtime",
                    }
                    for token in context.hub.access.tokens
                ),
            ]

        call.run(verb, lambda shown: {"tokens": shown})


@command(ADMIN, WHOLE_HUB)
class TokenRevoke(Command):
    """Forget a token, and end the connections that came in with it."""

    name: str

    def handle(self, call: Call) -> None:
        authenticator, tokens = call.session.context.authenticator, call.session.context.hub.access

        def verb(tx: Any) -> None:
            left = [grant for grant in authenticator.grants if grant.name != self.name]
            if (left or authenticator.locked) and not any(grant.unlimited for grant in left):
                raise WrongState(
                    "This is the last token that may administer the hub",
                    hint="add another one with the scope admin first",
                )
            tokens.revoke(tx, self.name)

        call.run(verb, durable=True)


def _shown(grant: Grant) -> dict[str, Any]:
    return {
        "name": grant.name,
        "scopes": sorted(grant.scopes),
        "queues": None if grant.queues is None else sorted(grant.queues),
    }
