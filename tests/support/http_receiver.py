"""An HTTP server that takes jobs, as somebody would write it by docs/forwarding.md: a process of its own, to be killed.

`python -m support.http_receiver PORT FILE TOKEN`: each job it takes is a synced line of FILE, once: it knows jobs by
their Idempotency-Key, in a batch by their id. Data without "n" is refused. It prints `ready`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from aiohttp import web


class Receiver:
    """The jobs that came, kept in a file."""

    def __init__(self, file: Path, token: str) -> None:
        self._token = token
        self._file = file.open("a+", encoding="utf-8")
        self._file.truncate(file.read_bytes().rfind(b"\n") + 1)  # a kill may leave a part of a line
        self._file.seek(0)
        self._known = {json.loads(line)["key"] for line in self._file}

    async def post(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return web.json_response({"error": "who are you?"}, status=401)
        content = json.loads(await request.read())
        if isinstance(content, list):
            taken = [(each["id"], each["data"]) for each in content if "n" in each["data"]]
            odd = [{"id": each["id"], "reason": "there is no n"} for each in content if "n" not in each["data"]]
            self._keep(taken)
            return web.json_response({"rejected": odd})
        if "n" not in content:
            return web.json_response({"error": "there is no n"}, status=422)
        self._keep([(request.headers["Idempotency-Key"], content)])
        return web.Response(status=204)

    def _keep(self, jobs: list[tuple[str, Any]]) -> None:
        for key, data in jobs:
            if key not in self._known:
                self._known.add(key)
                self._file.write(json.dumps({"key": key, "n": data["n"]}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def main(port: str, file: str, token: str) -> None:
    receiver = Receiver(Path(file), token)
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/jobs", receiver.post)
    web.run_app(app, host="127.0.0.1", port=int(port), print=lambda text: print("ready", flush=True), access_log=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
