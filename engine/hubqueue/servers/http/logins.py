"""Who has logged in at the page: random ids in cookies, each bound to the token that was shown.

In memory only: a restart of the hub logs everybody out, as does the revocation of their token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from hubqueue.commands.auth import Authenticator
from hubqueue.model.access import Grant
from hubqueue.system import System

IDLE_S: Final = 12 * 3600.0  # a browser that asked for nothing so long is logged out
MAX_AGE_S: Final = 7 * 24 * 3600.0
MAX_LOGINS: Final = 1000  # the one that was idle longest goes first
ID_BYTES: Final = 32


@dataclass(slots=True)
class Login:
    """One browser. csrf: what its forms must send along, which no other site can know. Units: seconds."""

    grant: Grant
    since: float
    used: float
    id: str = field(repr=False)
    csrf: str = field(repr=False)
    unwatch: Callable[[], None] = field(default=lambda: None, repr=False)


class Logins:
    """All of them by id, the one that was idle longest first."""

    def __init__(self, authenticator: Authenticator, system: System, name: str) -> None:
        """name: of the cookie. Hubs on other ports of this host get the same cookies, so each has its own name."""
        self.cookie = name
        self._gate = authenticator
        self._system = system
        self._known: OrderedDict[str, Login] = OrderedDict()

    def begin(self, grant: Grant) -> Login:
        """Somebody has shown a token that is good for this."""
        now, secret = self._system.mono_s(), self._system.token_urlsafe
        login = Login(grant, now, now, secret(ID_BYTES), secret(ID_BYTES))
        login.unwatch = self._gate.watch(grant, lambda: self.end(login.id))
        self._known[login.id] = login
        while len(self._known) > MAX_LOGINS:
            self.end(next(iter(self._known)))
        return login

    def of(self, request: web.Request) -> Login | None:
        """The login that this request belongs to."""
        id = request.cookies.get(self.cookie, "")
        login = self._known.get(id)
        if login is None:
            return None
        now = self._system.mono_s()
        if now - login.used > IDLE_S or now - login.since > MAX_AGE_S:
            self.end(id)
            return None
        login.used = now
        self._known.move_to_end(id)
        return login

    def end(self, id: str) -> None:
        """Log out."""
        login = self._known.pop(id, None)
        if login is not None:
            login.unwatch()
