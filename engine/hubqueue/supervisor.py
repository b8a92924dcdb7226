"""What Home Assistant's Supervisor hands out and is told, when the hub runs as its app.

Source: developer documentation of Home Assistant, "Supervisor API": /services/mqtt and /discovery. A connection is
made for each request: there are a handful in a hub's life. The broker it hands out is asked for before every attempt to
connect: one that is installed later, moves, or gets a new password is found without a restart.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any, Final

import aiohttp

from hubqueue.client.address import Tls
from hubqueue.errors import HubqueueError, LinkDown
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.mqttclient.broker import Broker

SERVICE: Final = "hubqueue"  # the integration's domain: Home Assistant offers what is found to it
TIMEOUT_S: Final = 10.0
_NO_BROKER: Final = "install and start the app 'Mosquitto broker', or name another broker in the options"


@dataclass(frozen=True, slots=True)
class Login:
    """Where the broker is and how to sign in, as the Supervisor says now."""

    host: str
    port: int
    encrypted: bool
    username: str | None
    password: str | None = field(repr=False)


class Supervisor:
    """Asks the Supervisor at `url` with the app's own token. Errors of all: LinkDown."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def mqtt(self) -> Login:
        """The broker that another app provides."""
        status, data = await self._ask("GET", "/services/mqtt")
        if status in (400, 404):
            raise LinkDown("Home Assistant has no MQTT broker", hint=_NO_BROKER)
        found = _good(status, data)
        try:
            return Login(
                host=str(found["host"]),
                port=int(found["port"]),
                encrypted=bool(found.get("ssl", False)),
                username=found.get("username") or None,
                password=found.get("password") or None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LinkDown("The Supervisor's answer about the MQTT broker cannot be read") from error

    async def announce(self, config: dict[str, Any]) -> str:
        """Offer this hub to the integration; the id of the offer. The same config again changes nothing."""
        status, data = await self._ask("POST", "/discovery", {"service": SERVICE, "config": config})
        return str(_good(status, data).get("uuid", ""))

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
                session.request(method, self._url + path, json=body, allow_redirects=False) as answer,
            ):
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise LinkDown(f"The Supervisor does not answer: {reason}") from error


def _good(status: int, answer: Any) -> dict[str, Any]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if status != 200 or not isinstance(data, dict):
        message = answer.get("message") if isinstance(answer, dict) else None
        raise LinkDown(f"The Supervisor refused: {message or f'HTTP {status}'}")
    return data


class HandedOut:
    """`await HandedOut(supervisor, base)()`: `base` with the address and login of now. Errors: LinkDown."""

    def __init__(self, supervisor: Supervisor, base: Broker) -> None:
        self._supervisor = supervisor
        self._base = base

    async def __call__(self) -> Broker:
        login = await self._supervisor.mqtt()
        return replace(
            self._base,
            host=login.host,
            port=login.port,
            username=login.username,
            password=login.password,
            tls=(self._base.tls or Tls()) if login.encrypted else None,
        )


log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 60.0


class Announcer:
    """Runs from `start` until it was heard or `close`."""

    def __init__(self, supervisor: Supervisor, config: dict[str, Any]) -> None:
        self._supervisor = supervisor
        self._config = config
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="announcer")

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        told = False
        while True:
            try:
                await self._supervisor.announce(self._config)
            except HubqueueError as error:
                if not told:
                    log.warning("Home Assistant was not told of this hub yet, trying again: %s", error)
                    told = True
            else:
                log.info("Home Assistant knows of this hub host=%s port=%d", self._config["host"], self._config["port"])
                return
            await asyncio.sleep(backoff.next_s())
