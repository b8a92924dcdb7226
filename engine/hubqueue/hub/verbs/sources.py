"""Whose forwarded jobs are whose: the ids of one hub's queue belong to the token that first sends them.

Asked by commands/scopes for every token that may not do everything. Without it one sender could take the ids of
another, and that one's jobs would be dropped as known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hubqueue.errors import Forbidden
from hubqueue.store.forwarded import FORWARD, bind, parse_forward, token_of
from hubqueue.store.tx import Tx


def forwarded_among(ids: Iterable[str | None]) -> list[str]:
    """Those of these ids of new jobs that a forwarder gives."""
    return [id for id in ids if id is not None and id.startswith(FORWARD)]


def claim_sources(tx: Tx, ids: Iterable[str], token: str, tokens: Collection[str]) -> None:
    """Let this token send these ids, and from now on no other one while it is one of `tokens`, those there are.

    It writes, and what follows may refuse: both belong into one savepoint. Errors: Forbidden.
    """
    sources = {forward[:2] for id in ids if (forward := parse_forward(id)) is not None}
    owners = {source: token_of(tx, *source) for source in sources}
    for hub_id, queue in (source for source, owner in owners.items() if owner != token and owner in tokens):
        raise Forbidden(
            f"The token '{token}' may not send what hub {hub_id} forwards from {queue}: another token does",
            hint="every hub needs a token of its own; where this one replaces another, revoke that one",
        )
    for source in (source for source, owner in owners.items() if owner != token):
        bind(tx, *source, token)
