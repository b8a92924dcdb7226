"""One WebSocket to a hub: commands and their answers by request id, and what the hub tells by itself.

It begins with `Connection.open` and ends once, for all who wait; `client.py` makes the next one.
Source: docs/websocket.md, docs/protocol.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from itertools import count
from typing import Any, Final, Self

import aiohttp

from .errors import ApiMismatchError, AuthError, HubError, IncompatibleError, LinkDownError
from .table import API

PROTOCOL: Final = 3
SERVER: Final = "hubqueue"
OPEN_S: Final = 10.0
ANSWER_S: Final = 30.0  # commands that wait in the hub by themselves add their own time
QUEUE_S: Final = 300.0  # of those that go through all jobs of a queue: hundreds of thousands on a slow disk
THROUGH_ALL: Final = frozenset({"Drain", "ForwarderDrain", "Obliterate", "PromoteJobs", "PurgeDlq", "RetryDlq"})
HEARTBEAT_S: Final = 20.0
PONG_S: Final = 10.0  # a link that does not answer a ping within this time is down
STEP_MS: Final = 2_000.0  # clocks that differ by so much more than they did were set
CLOSE_S: Final = 2.0  # how long the hub may take to say goodbye
MAX_MESSAGE: Final = 64 * 1024 * 1024  # the largest reply of a hub
MAX_SENT: Final = 16 * 1024 * 1024  # the hub cannot say which command a larger one was
REFUSED: Final = 4401  # how the hub closes on those who have shown no token

type Message = dict[str, Any]
type Tell = Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class HubInfo:
    """Who answers. epoch names this opening of the hub: another one means that it was started anew."""

    hub_id: str
    version: str
    epoch: str


class Connection:
    """tell: called with every summary and event, in order, in the event loop."""

    info: HubInfo

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, tell: Tell) -> None:
        self._socket = socket
        self._tell = tell
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._ahead_ms = float("-inf")  # of the hub's clock before the time of our loop, which nobody sets
        self._reader = asyncio.create_task(self._read(), name="hubqueue socket")
        self._pulse = asyncio.create_task(self._beat(), name="hubqueue heartbeat")
        self._reader.add_done_callback(lambda _: self._pulse.cancel())

    @classmethod
    async def open(cls, session: aiohttp.ClientSession, url: str, token: str | None, tell: Tell) -> Self:
        """Connect, and hear who answers. Errors: LinkDownError, AuthError, IncompatibleError."""
        headers = {"Authorization": f"Bearer {token}"} if token else None
        try:
            async with asyncio.timeout(OPEN_S):
                socket = await session.ws_connect(
                    f"{url}/api/v1/ws",
                    headers=headers,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    max_msg_size=MAX_MESSAGE,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise _refused(error.status) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise LinkDownError(str(error) or type(error).__name__) from error
        self = cls(socket, tell)
        try:
            self.info = await self._hello()
            await self._ping(OPEN_S)
        except BaseException:
            await self.close()
            raise
        return self

    async def call(self, cmd: str, timeout_s: float | None = None, **fields: Any) -> Message:
        """Send a command; its answer. Cancelling takes a long-poll back. Errors: HubError."""
        if timeout_s is None:
            timeout_s = QUEUE_S if cmd in THROUGH_ALL else ANSWER_S
        if self._reader.done():
            raise LinkDownError("The link is down")
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"cmd": cmd, "reqId": number, **fields})
            async with asyncio.timeout(timeout_s):
                reply: Message = await answer
        except TimeoutError as error:
            raise LinkDownError(f"No answer to {cmd} within {timeout_s:g} s") from error
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._give_back(answer.result())
            elif "timeout" in fields and not self._reader.done():
                await self._send({"cmd": "CancelPoll", "poll": number})
            raise
        finally:
            self._waiting.pop(number, None)
        if not reply.get("ok"):
            raise _error(reply)
        return reply

    def hub_now_ms(self) -> int:
        """What the hub's clock shows: never more than it does, less by what a message takes."""
        return int(asyncio.get_running_loop().time() * 1000 + self._ahead_ms)

    async def ended(self) -> None:
        """Return when the link is down."""
        await asyncio.wait([self._reader])

    async def close(self) -> None:
        """Say goodbye: leases of this connection are given back at once."""
        await self._socket.close()
        await asyncio.wait([self._reader, self._pulse])

    async def _beat(self) -> None:
        """aiohttp's own heartbeat leaves a timer behind when the hub answers a close."""
        try:
            while True:
                await asyncio.sleep(HEARTBEAT_S)
                await self._ping(PONG_S)
        except HubError:
            await self._socket.close()

    async def _ping(self, timeout_s: float) -> None:
        """Of several answers, the one that says most was the fastest."""
        told_ms = float((await self.call("Ping", timeout_s))["data"]["time"])
        ahead_ms = told_ms - asyncio.get_running_loop().time() * 1000
        if not self._ahead_ms - STEP_MS < ahead_ms <= self._ahead_ms:
            self._ahead_ms = ahead_ms

    def _give_back(self, reply: Message) -> None:
        """A long-poll that was taken back may have been answered already: its job is nobody's."""
        if reply.get("job") is None or "token" not in reply:
            return
        task = asyncio.create_task(
            self._send({"cmd": "Release", "reqId": 0, "id": reply["job"]["id"], "token": reply["token"]}),
            name="hubqueue give back",
        )
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # a link that is down gives its leases back by itself

    async def _hello(self) -> HubInfo:
        reply = await self.call("Hello", OPEN_S, protocolVersion=PROTOCOL, api=API)
        if reply.get("server") != SERVER:
            raise IncompatibleError("What answers there is no hub")
        api = int(reply.get("api") or 0)  # a hub of before tells none
        if api != API:
            raise ApiMismatchError(str(reply.get("version", "?")), is_older=api < API)
        return HubInfo(reply["hubId"], reply["version"], reply["epoch"])

    async def _send(self, message: Message) -> None:
        text = as_json(message)
        check_length(len(text))
        try:
            await self._socket.send_str(text)
        except (ConnectionError, aiohttp.ClientError) as error:
            raise LinkDownError(str(error) or "The link is down") from error

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    continue
                message: Message = json.loads(frame.data)
                if "reqId" not in message:
                    self._tell(message)
                    continue
                waiting = self._waiting.get(message["reqId"])
                if waiting is None or waiting.done():
                    self._give_back(message)
                else:
                    waiting.set_result(message)
        finally:
            refused = self._socket.close_code == REFUSED
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(AuthError("No token") if refused else LinkDownError("The link went down"))


def as_json(value: Any) -> str:
    """What is sent to a hub, in ASCII. Errors: HubError."""
    try:
        text = json.dumps(value, allow_nan=False, default=_plain)
        if "\\ud" in text:  # half a surrogate pair is no text: the hub could not read whose answer it is to refuse
            json.dumps(value, ensure_ascii=False, default=_plain).encode()
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise HubError("invalid", f"This cannot be sent: {_why_not(error)}") from error


def check_length(length: int) -> None:
    """Whether the hub reads a message that is so long. Errors: HubError."""
    if length > MAX_SENT:
        raise HubError("payload_too_large", f"{length} bytes are too much at a time, {MAX_SENT} are the most")


def _plain(value: Any) -> str:
    """Times are what templates make that JSON does not know."""
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is no JSON")


def _why_not(error: Exception) -> str:
    """In words for people, where Python has its own."""
    match error:
        case UnicodeEncodeError():
            return "a text holds half a character (a lone surrogate)"
        case RecursionError():
            return "it is nested too deeply"
        case ValueError():
            return "it holds itself" if "Circular" in str(error) else "a number is not finite (NaN or infinity)"
    return "a key is no text" if str(error).startswith("keys ") else str(error)


def _error(reply: Message) -> HubError:
    code, text = str(reply.get("code", "error")), str(reply.get("error", ""))
    if code == "not_authenticated":
        return AuthError(text)
    return HubError(code, text, hint=str(reply.get("hint", "")), retryable=bool(reply.get("retryable")))


def _refused(status: int) -> HubError:
    if status in (401, 403):
        return AuthError("The hub refused the token")
    if status == 404:
        return IncompatibleError("There is no hub at this address")
    return LinkDownError(f"The hub answered with HTTP status {status}")
