"""bunqueue itself, as a server to measure beside ours: the package from npm under Bun."""

from __future__ import annotations

import platform
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

from bench.servers import START_S, Server
from support.bunqueue import BUN_PACKAGE, install
from support.ports import free_port


class Bunqueue(Server):
    """It cannot be asked to take a free port, so one is chosen for it, once."""

    name = "bunqueue"

    def __init__(self, folder: Path, arguments: Sequence[str] = ()) -> None:
        super().__init__(folder, arguments)
        self._modules = install() / "node_modules"
        self._tcp_port, self._http_port = free_port(), free_port()

    def start(self) -> None:
        """Its banner comes before it listens."""
        super().start()
        deadline = monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._tcp_port)).close()
                return
            except ConnectionRefusedError:
                if monotonic() > deadline:
                    raise
                sleep(0.005)

    def command(self) -> list[str]:
        return [
            str(self._modules / "@oven" / BUN_PACKAGE[platform.machine()] / "bin" / "bun"),
            str(self._modules / "bunqueue" / "dist" / "cli" / "index.js"),
            "start",
            *("--host", "127.0.0.1", "--tcp-port", str(self._tcp_port), "--http-port", str(self._http_port)),
            *("--data-path", str(self.folder / "bunqueue.db")),
            *self.arguments,
        ]

    def environment(self) -> dict[str, str]:
        return {"RATE_LIMIT_MAX_REQUESTS": "1000000000"}  # its default is 10,000 requests a minute and connection

    def port_of(self, line: str) -> int | None:
        return self._tcp_port if re.search(rf"TCP\b.*127\.0\.0\.1:{self._tcp_port}", line) else None
