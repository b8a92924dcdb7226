"""Whether a token that may not do everything may send a command: `dispatch` asks for every one.

What a command needs and touches is said by its row (command.py). Nothing here knows a command by name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hubqueue.commands.call import Call
from hubqueue.commands.command import Needs, Row, Touched
from hubqueue.errors import Forbidden, NotAuthenticated
from hubqueue.hub.verbs import authorization
from hubqueue.hub.verbs.sources import claim_sources, forwarded_among
from hubqueue.model.access import Grant


def admit(call: Call, command: Any, grant: Grant | None) -> None:
    """Whether this grant allows this command; what needs a look at the file is left to the call.

    Errors: NotAuthenticated, Forbidden.
    """
    row: Row = command.row
    if grant is None:
        if row.strangers:
            return
        raise NotAuthenticated
    _check_scope(grant, row.needs)
    for needs in () if row.also is None else row.also(command):
        _check_scope(grant, needs)
    forwarded = [] if row.new_ids is None else forwarded_among(row.new_ids(command))
    if forwarded:
        tokens = {each.name for each in call.session.context.authenticator.grants}
        call.check = partial(claim_sources, ids=forwarded, token=grant.name, tokens=tokens)
        call.notes = True
    if grant.queues is None:
        return
    if row.touches is None:
        raise Forbidden(
            f"{_who(grant)} is limited to queues, and this concerns the whole hub",
            hint="use a token without a list of queues",
        )
    touched = row.touches(command)
    if not grant.queues.issuperset(touched.queues):
        raise Forbidden(f"{_who(grant)} may not use this queue", hint=f"its queues: {', '.join(sorted(grant.queues))}")
    if touched.jobs or touched.schedules or touched.webhooks:
        call.check = _look_up(call, touched, grant)


def _look_up(call: Call, touched: Touched, grant: Grant) -> Callable[[Any], None]:
    """What the file has to say, after what is to be checked there already."""
    allowed, hooks, before = grant.queues or frozenset(), call.session.context.hub.webhooks, call.check

    def check(tx: Any) -> None:
        if before is not None:
            before(tx)
        found = authorization.queues_of_jobs(tx, touched.jobs) | authorization.queues_of_schedules(
            tx, touched.schedules
        )
        known = [hooks.find(id) for id in touched.webhooks]
        if not found <= allowed or any(hook is not None and hook.queue not in allowed for hook in known):
            raise Forbidden(f"{_who(grant)} may not touch what belongs to other queues")

    return check


def _check_scope(grant: Grant, needs: Needs) -> None:
    if needs and not any(grant.allows(scope) for scope in needs):
        has = ", ".join(sorted(grant.scopes)) or "nothing"
        raise Forbidden(f"{_who(grant)} lacks the scope '{needs[0]}'", hint=f"it has: {has}")


def _who(grant: Grant) -> str:
    return f"The token '{grant.name}'"
