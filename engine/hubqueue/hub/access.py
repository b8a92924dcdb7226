"""The access tokens of a job file: made, looked up, revoked. In memory as digests; a revocation empties that at once.

A token is 256 random bits behind the prefix `hq_`, by which people and secret scanners know it. Its digest is a plain
SHA-256: nobody can try 2^256 values, so a slow password hash would only slow down those who come in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import Final

from hubqueue.errors import Busy, Duplicate, NotFound
from hubqueue.model.access import Grant, Scope, check_name
from hubqueue.store import access
from hubqueue.store.access import Token
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx
from hubqueue.system import System

PREFIX: Final = "hq_"
TOKEN_BYTES: Final = 32
MAX_TOKENS: Final = 1000
USED_STEP_MS: Final = 3_600_000  # "last used" is written at most once an hour: not a commit for each connection


def digest_of(secret: str) -> bytes:
    """What is kept of a token."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Access:
    """All tokens by digest and by name, and who wants to hear that one is revoked."""

    def __init__(self, store: Store, system: System) -> None:
        self._store = store
        self._system = system
        self._by_digest: dict[bytes, Token] = {}
        self._by_name: dict[str, Token] = {}
        self._watchers: dict[str, dict[Callable[[], None], None]] = {}  # of each name a set in order of arrival
        for token in access.load(store.tx.db):
            self._keep(token)

    @property
    def empty(self) -> bool:
        """Whether there is no token."""
        return not self._by_name

    @property
    def tokens(self) -> list[Token]:
        """All of them, oldest first."""
        return list(self._by_name.values())

    def find(self, digest: bytes) -> Grant | None:
        """What the token with this digest is good for; it counts as used."""
        token = self._by_digest.get(digest)
        if token is None:
            return None
        now_ms = self._store.clock.now_ms()
        if token.used_at_ms is None or now_ms - token.used_at_ms >= USED_STEP_MS:
            token.used_at_ms = now_ms
            self._store.submit(lambda tx: access.used(tx, token.grant.name, now_ms), _ignore, linger=True)
        return token.grant

    def add(self, tx: Tx, name: str, scopes: Iterable[Scope], queues: Iterable[str] | None = None) -> str:
        """Make a token; the token, which nobody can be shown again. Errors: Invalid, Duplicate, Busy."""
        check_name(name)
        if name in self._by_name:
            raise Duplicate(f"There is a token '{name}' already", hint="revoke it first, or choose another name")
        if len(self._by_name) >= MAX_TOKENS:
            raise Busy("Too many tokens", hint="revoke those that are not used")
        secret = PREFIX + self._system.token_urlsafe(TOKEN_BYTES)
        grant = Grant(name, frozenset(scopes), None if queues is None else frozenset(queues))
        token = Token(digest_of(secret), grant, tx.now_ms)
        access.put(tx, token)
        tx.undo.append(partial(self._drop, token))
        self._keep(token)
        return secret

    def revoke(self, tx: Tx, name: str) -> None:
        """Forget a token; who came in with it is told once that is committed. Errors: NotFound."""
        token = self._by_name.get(name)
        if token is None:
            raise NotFound(f"There is no token '{name}'")
        access.delete(tx, name)
        tx.undo.append(partial(self._keep, token))
        self._drop(token)
        tx.after.append(partial(self._tell, name))

    def watch(self, name: str, revoked: Callable[[], None]) -> Callable[[], None]:
        """Call `revoked` when this token is revoked. Returns what ends that."""
        watchers = self._watchers.setdefault(name, {})
        watchers[revoked] = None

        def end() -> None:
            watchers.pop(revoked, None)
            if not watchers and self._watchers.get(name) is watchers:
                del self._watchers[name]

        return end

    def _tell(self, name: str) -> None:
        for revoked in tuple(self._watchers.pop(name, ())):
            revoked()

    def _keep(self, token: Token) -> None:
        self._by_digest[token.digest] = token
        self._by_name[token.grant.name] = token

    def _drop(self, token: Token) -> None:
        self._by_digest.pop(token.digest, None)
        self._by_name.pop(token.grant.name, None)


def _ignore(result: object) -> None:
    """When it was last used is not worth an error."""
