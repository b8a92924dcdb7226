"""Handlers of access tokens. They see to it that somebody can still administer the hub afterwards."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import Duplicate, WrongState
from hubqueue.model.access import Grant, scopes_of
from hubqueue.model.limits import check_queue
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import access as wire


def add(call: Call, command: wire.TokenAdd) -> None:
    gate, tokens = call.session.door.gate, call.session.door.hub.access
    scopes = scopes_of(command.scopes)
    queues = None if command.queues is None else frozenset(check_queue(queue) for queue in command.queues)

    def verb(tx: Any) -> str:
        if any(grant.name == command.name for grant in gate.given):
            raise Duplicate(f"The configuration has a token '{command.name}'", hint="choose another name")
        if not any(grant.unlimited for grant in (*gate.grants, Grant(command.name, scopes, queues))):
            raise WrongState(
                "The first token must be one for everything, or nobody could administer the hub",
                hint="give it the scope admin and no list of queues; then add this one",
            )
        return tokens.add(tx, command.name, scopes, queues)

    call.run(verb, lambda secret: {"token": secret}, durable=True)


def every(call: Call, command: wire.TokenList) -> None:
    door = call.session.door

    def verb(tx: Any) -> list[dict[str, Any]]:
        given = [
            {**_shown(grant), "createdAt": None, "usedAt": None, "declared": "config"} for grant in door.gate.given
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
                for token in door.hub.access.tokens
            ),
        ]

    call.run(verb, lambda shown: {"tokens": shown})


def _shown(grant: Grant) -> dict[str, Any]:
    return {
        "name": grant.name,
        "scopes": sorted(grant.scopes),
        "queues": None if grant.queues is None else sorted(grant.queues),
    }


def revoke(call: Call, command: wire.TokenRevoke) -> None:
    gate, tokens = call.session.door.gate, call.session.door.hub.access

    def verb(tx: Any) -> None:
        left = [grant for grant in gate.grants if grant.name != command.name]
        if (left or gate.locked) and not any(grant.unlimited for grant in left):
            raise WrongState(
                "This is the last token that may administer the hub",
                hint="add another one with the scope admin first",
            )
        tokens.revoke(tx, command.name)

    call.run(verb, durable=True)


HANDLERS: Final[Handlers] = {wire.TokenAdd: add, wire.TokenList: every, wire.TokenRevoke: revoke}
