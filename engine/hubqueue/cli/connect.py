"""How a command reaches the running hub: the address and token it was given, and one short-lived link.

Used by every command that asks a hub. A hub that cannot be reached is told at once, with what to do about it.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from hubqueue.errors import ApiMismatch, Invalid, LinkDown

if TYPE_CHECKING:
    from hubqueue.client.remote import RemoteHub

T = TypeVar("T")

DEFAULT_URL: Final = "tcp://127.0.0.1:6789"
CONNECT_S: Final = 5.0  # a person waits in front of the terminal
REQUEST_S: Final = 30.0


class Hub:
    """The hub a command was pointed at."""

    def __init__(self, url: str, token: str | None, ca_file: str | None) -> None:
        self.url = url
        self._token = token
        self._ca_file = ca_file

    def ask(self, action: Callable[[RemoteHub], Awaitable[T]], *, patience_s: float = REQUEST_S) -> T:
        """Connect, run `action`, disconnect. Units: patience_s seconds that one answer may take.

        Errors: LinkDown with a hint for the person at the terminal.
        """
        return asyncio.run(self._ask(action, patience_s))

    async def _ask(self, action: Callable[[RemoteHub], Awaitable[T]], patience_s: float) -> T:
        from hubqueue.client.address import LinkSettings
        from hubqueue.client.remote import RemoteHub

        settings = LinkSettings.from_url(
            self.url,
            token=self._token,
            ca_file=self._ca_file,
            connect_timeout_s=CONNECT_S,
            request_timeout_s=patience_s,
            dead_after_s=patience_s,  # a hub that is busy with our request answers no ping on this connection
        )
        remote = RemoteHub(settings)
        try:
            await remote.open()
        except ApiMismatch:
            raise  # it answers: its own hint says what to do
        except LinkDown as error:
            hint = "is 'hubqueue run' running there? Name another hub with --url or HUBQUEUE_URL"
            raise LinkDown(error.message, hint=hint) from error
        try:
            return await action(remote)
        finally:
            await remote.close()


def hub_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command --url, --token, --token-file and --ca-file, and passes `hub` instead of them."""

    @click.option(
        "--url", metavar="URL", help=f"The hub: tcp://host:port or tls://host:port.  [HUBQUEUE_URL; {DEFAULT_URL}]"
    )
    @click.option("--token", metavar="TOKEN", help="Its token; better given by variable or file.  [HUBQUEUE_TOKEN]")
    @click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="File that holds the token.")
    @click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Private CA of a tls:// hub (PEM).")
    @functools.wraps(command)
    def wrapped(url: str | None, token: str | None, token_file: str | None, ca_file: str | None, **rest: Any) -> Any:
        if token and token_file:
            raise Invalid("--token and --token-file are both given", hint="keep one of the two")
        if token_file:
            with open(token_file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs the start of every command
                token = file.readline().strip()
        address = url or os.environ.get("HUBQUEUE_URL") or DEFAULT_URL
        return command(hub=Hub(address, token or os.environ.get("HUBQUEUE_TOKEN") or None, ca_file), **rest)

    return wrapped


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)
