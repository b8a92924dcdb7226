"""A real Home Assistant as a process of its own, set up as a person would over its own API."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[3]
START_S = 90.0
WAIT_S = 30.0

CONFIGURATION = """
homeassistant: {name: Test, country: DE, time_zone: UTC, latitude: 50, longitude: 8, elevation: 1}
http: {server_host: 127.0.0.1, server_port: %d}
api:
websocket_api:
config:
onboarding:
automation: !include automations.yaml
"""


class RealHome:
    """`with RealHome(folder, port, automations) as home:` runs until the end of the block. more: configuration."""

    def __init__(self, folder: Path, port: int, automations: str, more: str = "") -> None:
        self.folder = folder / "home"
        self.base = f"http://127.0.0.1:{port}"
        self._token = ""
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(ROOT / "custom_components" / "hubqueue", self.folder / "custom_components" / "hubqueue")
        (self.folder / "configuration.yaml").write_text(CONFIGURATION % port + more)
        (self.folder / "automations.yaml").write_text(automations)

    def start(self) -> Self:
        """Start, and return once it runs."""
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "homeassistant", "-c", str(self.folder), "--skip-pip"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.until(lambda: self.ask("/api/onboarding") is not None, START_S)
        if not self._token:
            self._token = self._onboard()
        self.until(lambda: self.ask("/api/core/state")["state"] == "RUNNING", START_S)
        return self

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def ask(self, path: str, data: object = None, *, form: bool = False) -> Any:
        """GET, or POST when there are data. Errors: OSError."""
        body = None
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if data is not None:
            body = urllib.parse.urlencode(data).encode() if form else json.dumps(data).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
        request = urllib.request.Request(self.base + path, body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def state(self, entity_id: str) -> str | None:
        try:
            found: str = self.ask(f"/api/states/{entity_id}")["state"]
        except urllib.error.HTTPError:
            return None
        return found

    def until(self, condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not seen within {timeout_s:g} s:\n{(self.folder / 'out').read_text()[-4000:]}")

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._end(signal.SIGKILL)
            raise

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGKILL)

    def _onboard(self) -> str:
        client = f"{self.base}/"
        user = {"client_id": client, "name": "a", "username": "a", "password": "a", "language": "en"}
        code = self.ask("/api/onboarding/users", user)["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": client}
        token: str = self.ask("/auth/token", grant, form=True)["access_token"]
        return token

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(30)
