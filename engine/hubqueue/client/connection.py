"""A link to a hub that comes back by itself: it keeps one session alive and carries requests over its gaps.

Requests made while the link is down wait for it, in order and bounded; those that were in flight when it broke
are sent again if that is harmless (`repeatable`), else they raise AnswerLost. What a person has to mend is not waited
out: a refused token, a hub of another API.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from hubqueue.client.address import LinkSettings
from hubqueue.client.session import Peer, Session, check_api
from hubqueue.errors import AnswerLost, ApiMismatch, HubqueueError, LinkDown, NotAuthenticated
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.system import SYSTEM, System

STEADY_S: Final = 5.0  # a session that lived this long ends the back-off
MENDED_BY_HAND: Final = (NotAuthenticated, ApiMismatch)

_NOT_DONE: Final = "what was asked is not done, ask again; the link is tried again by itself"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether the link is up, and if not, why."""

    up: bool
    error: HubqueueError | None = None


class Connection:
    """Keeps a session to one hub. `open` insists on a first one; `start` does not wait for it."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        greeting: Sequence[tuple[str, Mapping[str, object]]] = (),
        receive: Callable[[msgspec.Raw], None] | None = None,
        system: System = SYSTEM,
    ) -> None:
        self.settings = settings
        self._chance = system.chance
        self.state = LinkState(up=False)
        self._greeting = greeting
        self._receive = receive
        self._peer = Peer()
        self._session: Session | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False
        self._waiting: deque[asyncio.Future[Session]] = deque()
        self._watchers: list[Callable[[LinkState], None]] = []
        self._places = asyncio.Semaphore(settings.max_requests)

    @property
    def peer(self) -> Peer:
        """Who answered the last Hello."""
        return self._peer

    async def open(self) -> Self:
        """Connect once, and keep the link from then on.

        Errors: LinkDown, ApiMismatch and NotAuthenticated of the first attempt.
        """
        try:
            self._keep(await self._connect())
        except LinkDown as error:
            if type(error) is not LinkDown:
                raise
            raise LinkDown(error.message, hint="is the hub running there?") from error
        return self

    def start(self) -> Self:
        """Keep the link from now on, without waiting for it: requests do."""
        self._keep(None)
        return self

    async def close(self) -> None:
        """End the link cleanly; what still waits raises LinkDown."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._refuse(LinkDown(f"the client of {self.settings.url} is closed", hint=""))
        if self.state.up:
            self._change(LinkState(up=False))

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def watch(self, tell: Callable[[LinkState], None]) -> Callable[[], None]:
        """Call `tell` at every change of the link. Returns what ends it."""
        self._watchers.append(tell)
        return lambda: self._watchers.remove(tell) if tell in self._watchers else None

    async def request(
        self,
        cmd: str,
        fields: Mapping[str, object] | Callable[[], Mapping[str, object]],
        *,
        timeout_s: float | None = None,
        repeatable: bool = True,
    ) -> bytes:
        """The reply to a command, an undecoded map. fields may be a function: asked each time they are sent.

        Units: timeout_s seconds for all of it, waiting for the link included; None: the settings' own.
        Errors: what the reply says; LinkDown when there was no link in time to send it; AnswerLost, TimedOut.
        """
        limit_s = self.settings.request_timeout_s if timeout_s is None else timeout_s
        loop = asyncio.get_running_loop()
        ends = loop.time() + limit_s
        unanswered: AnswerLost | None = None
        async with self._places:
            while True:
                try:
                    session = await self._linked(ends)
                except HubqueueError as error:
                    if unanswered is not None:  # it was sent once: nobody knows
                        raise unanswered from error
                    raise
                try:
                    now = fields() if callable(fields) else fields
                    return await session.request(cmd, now, max(0.0, ends - loop.time()))
                except AnswerLost as error:
                    if not repeatable or self._closed:
                        raise
                    unanswered = error
                except LinkDown as error:
                    if self._closed:
                        if unanswered is not None:
                            raise unanswered from error
                        raise
                await asyncio.wait([session.lost])

    async def _linked(self, ends: float) -> Session:
        if self._session is not None and not self._session.lost.done():
            return self._session
        if self._keeper is None:
            raise LinkDown(f"the client of {self.settings.url} is {'closed' if self._closed else 'not open'}", hint="")
        if isinstance(self.state.error, MENDED_BY_HAND):
            raise self.state.error
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Session] = loop.create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout_at(ends):
                return await place
        except TimeoutError:
            raise self._down() from None
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def _down(self) -> LinkDown:
        error = self.state.error
        return LinkDown(error.message if error else f"the link to {self.settings.url} is down", hint=_NOT_DONE)

    async def _connect(self) -> Session:
        session = await Session.open(self.settings, self._receive)
        try:
            check_api(session.peer, self.settings.url)
            for cmd, fields in self._greeting:
                await session.request(cmd, fields, self.settings.connect_timeout_s)
        except BaseException:
            session.abort("the greeting failed")
            raise
        return session

    def _keep(self, session: Session | None) -> None:
        if session is not None:
            self._adopt(session)
        self._keeper = asyncio.create_task(self._stay_connected(session), name=f"link to {self.settings.url}")

    async def _stay_connected(self, session: Session | None) -> None:
        loop = asyncio.get_running_loop()
        backoff = ExponentialBackoff(self.settings.backoff_first_s, self.settings.backoff_max_s, self._chance)
        while True:
            if session is None:
                try:
                    session = await self._connect()
                except HubqueueError as error:
                    self._lose(error)
                    await asyncio.sleep(backoff.next_s())
                    continue
                self._adopt(session)
            since = loop.time()
            reason = await asyncio.shield(session.lost)
            session = self._session = None
            self._lose(reason)
            if loop.time() - since >= STEADY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    def _adopt(self, session: Session) -> None:
        self._session = session
        self._peer = session.peer
        log.info("link up url=%s server=%s version=%s", self.settings.url, self._peer.server, self._peer.version)
        self._change(LinkState(up=True))
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(session)

    def _lose(self, error: HubqueueError) -> None:
        if self.state.up or type(error) is not type(self.state.error):
            log.warning("link down, trying again url=%s error=%s", self.settings.url, error)
        self._change(LinkState(up=False, error=error))
        if isinstance(error, MENDED_BY_HAND):
            self._refuse(error)

    def _refuse(self, error: HubqueueError) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_exception(error)

    def _change(self, state: LinkState) -> None:
        before, self.state = self.state, state
        if before.up is state.up and type(before.error) is type(state.error):
            return
        for tell in tuple(self._watchers):
            tell(state)
