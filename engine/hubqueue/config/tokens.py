"""The tokens of the configuration: plain ones, good for everything, and those with a name, scopes and queues."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hubqueue.config import checks
from hubqueue.config.mistakes import Wrong
from hubqueue.config.queues import queue_name
from hubqueue.config.settings import GivenToken
from hubqueue.model.access import Grant, Scope, check_name, scopes_of


class Tokens(checks.Each):
    """The list of tokens; no name twice."""

    def __init__(self, base: Path) -> None:
        super().__init__(_Token(base))

    def __call__(self, value: Any) -> tuple[Any, ...]:
        tokens = super().__call__(value)
        names: set[str] = set()
        for index, token in enumerate(tokens):
            if isinstance(token, GivenToken) and token.grant.name in names:
                raise Wrong("is the name of another token too", path=[index, "name"])
            names |= {token.grant.name} if isinstance(token, GivenToken) else set()
        return tokens


class _Token:
    """A plain token as text, or a section."""

    def __init__(self, base: Path) -> None:
        self.check = checks.Section(
            {
                "name": checks.from_engine(lambda value: check_name(checks.text(value))),
                "token": checks.text,
                "token_file": checks.secret_file(base),
                "scopes": checks.from_engine(lambda value: scopes_of(checks.Each(checks.text)(value))),
                "queues": checks.Each(queue_name),
            },
            required=("name",),
            build=_given,
        )

    def __call__(self, value: Any) -> Any:
        return self.check(value) if isinstance(value, Mapping) else checks.text(value)


def _given(clean: dict[str, Any]) -> GivenToken:
    if ("token" in clean) == ("token_file" in clean):
        raise Wrong("needs either token or token_file", path=["token"])
    queues = clean.get("queues")
    scopes = clean.get("scopes", frozenset({Scope.ADMIN}))
    grant = Grant(clean["name"], scopes, None if queues is None else frozenset(queues))
    return GivenToken(clean.get("token") or clean["token_file"], grant)
