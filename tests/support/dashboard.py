"""The dashboard as a visitor meets it: a real hub process with something in it, and ways to fill it further.

`Asker` speaks plain frames over a blocking socket, since browser tests are not asynchronous (Playwright's own loop
runs in their thread).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import msgspec

from support.hub_process import HubProcess
from support.waiting import PATIENCE_S

T = TypeVar("T")


class Serve(Protocol):
    """`serve(Dashboard(folder))`: entered now, left after the pages that look at it are closed."""

    def __call__(self, server: AbstractContextManager[T], /) -> T: ...


class Asker:
    """`with Asker(port) as ask: ask("Pause", queue="mail")`: the fields of the reply, or an AssertionError."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        if token is not None:
            self("Auth", token=token)

    def __call__(self, command: str, **fields: Any) -> dict[str, Any]:
        body = msgspec.msgpack.encode({"cmd": command, **fields})
        self._socket.sendall(len(body).to_bytes(4, "big") + body)
        reply: dict[str, Any] = msgspec.msgpack.decode(self._read(int.from_bytes(self._read(4), "big")))
        assert reply.get("ok"), f"{command}: {reply}"
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, "the hub ended the connection"
            data += more
        return data


class Dashboard:
    """A hub process with an HTTP door: `with Dashboard(folder) as hub: hub.ask(...)`, pages below `hub.url`."""

    def __init__(self, folder: Path, *, config: str = "", token: str | None = None) -> None:
        """config: more of hubqueue.yaml, as text. token: what the asker shows where one is needed."""
        path = folder / "hubqueue.yaml"
        path.write_text(f"data_path: {folder / 'hub.db'}\n{config}", encoding="utf-8")
        self.process = HubProcess(folder, "--tcp-port", "0", config=path)
        self._token = token

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.process.http_port}"

    def __enter__(self) -> Self:
        self.process.start()
        try:
            self.ask = Asker(self.process.port, self._token)
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *raised: Any) -> None:
        self.ask.__exit__(*raised)
        self.process.__exit__(*raised)


def seed(ask: Asker) -> None:
    """Something of everything: readings and a camera that wait, a mail queue with dead letters, a paused queue."""
    push(
        ask,
        "readings",
        [{"name": "reading", "data": {"kind": "temperature", "value": 20 + n / 10}} for n in range(120)],
    )
    push(ask, "camera", [{"name": "frame", "data": {"path": f"/frames/{n}.jpg"}, "delay": 3_600_000} for n in range(3)])
    push(ask, "garden", [{"name": "water", "data": {"valve": n, "minutes": 5}} for n in range(20)])
    ask("Pause", queue="garden")
    die(ask, "mail", 30, "connect to smtp.example.org:25 refused (errno 111)")
    die(ask, "mail", 7, "mailbox of anna is full")
    finish(ask, "mail", 12)


def push(ask: Asker, queue: str, jobs: list[Mapping[str, Any]]) -> list[str]:
    """Enqueue these; their ids."""
    ids: list[str] = ask("PUSHB", queue=queue, jobs=jobs)["ids"]
    return ids


def die(ask: Asker, queue: str, count: int, error: str) -> list[str]:
    """So many dead letters of one cause; their ids."""
    jobs = [
        {"name": "send", "data": {"to": f"user{n}@example.org"}, "maxAttempts": 1, "priority": 1} for n in range(count)
    ]
    ids = push(ask, queue, list(jobs))
    for job, token in _leased(ask, queue, count):
        ask("FAIL", id=job["id"], token=token, error=error)
    return ids


def finish(ask: Asker, queue: str, count: int) -> list[str]:
    """So many completed jobs with a result; their ids."""
    ids = push(ask, queue, [{"name": "send", "data": {"to": "anna"}, "priority": 1} for _ in range(count)])
    for job, token in _leased(ask, queue, count):
        ask("ACK", id=job["id"], token=token, result={"sent": True})
    return ids


def _leased(ask: Asker, queue: str, count: int) -> list[tuple[dict[str, Any], str]]:
    reply = ask("PULLB", queue=queue, count=count, owner="seed", lockTtl=60_000)
    leased = list(zip(reply["jobs"], reply["tokens"], strict=True))
    assert len(leased) == count
    return leased
