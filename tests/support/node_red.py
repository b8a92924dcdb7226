"""A real, headless Node-RED with the packed nodes in it, as a process of its own; and short words for flows.

What the flows of a test do, they tell by `seen(...)`, a function of every function node that writes a line to a file:
it survives whatever becomes of Node-RED.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from support.ports import free_port
from support.waiting import PATIENCE_S, until_true

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "nodes"

Node = dict[str, Any]

UNUSED_S: Final = 86_400.0
SETTINGS: Final = """
const fs = require('node:fs');
module.exports = {
  uiHost: '127.0.0.1',
  uiPort: %(port)d,
  flowFile: 'flows.json',
  credentialSecret: 'of a test',
  telemetry: { enabled: false, updateNotification: false },
  editorTheme: { tours: false, projects: { enabled: false }, multiplayer: { enabled: false }, theme: '',
                 codeEditor: { lib: 'ace' } }, // no dialog of ours has one, and the other is four megabytes of script
  externalModules: { autoInstall: false, palette: { allowInstall: false, allowUpload: false } },
  functionGlobalContext: { seen: (what) => fs.appendFileSync(%(seen)s, JSON.stringify(what) + '\\n') },
  logging: { console: { level: 'info' } },
};
"""


@cache
def tools() -> Path:
    """The folder that script/node-red prepares."""
    done = subprocess.run([str(ROOT / "script" / "node-red")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"script/node-red failed: {done.stderr}")
    return Path(done.stdout.strip())


@cache
def installed() -> Path:
    """A user folder with the packed nodes installed, made once for each content of the package."""
    digest = hashlib.sha256()
    for path in sorted(path for path in PACKAGE.rglob("*") if path.is_file() and "node_modules" not in path.parts):
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes() + b"\0")
    cache = tools().parent
    folder = cache / f"node-red-user-{digest.hexdigest()[:12]}"
    with (cache / "node-red-user.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            os.utime(folder)
        else:
            for old in cache.glob("node-red-user-*/"):
                if old.stat().st_mtime < time.time() - UNUSED_S:  # another checkout may be about to copy it
                    shutil.rmtree(old, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix="node-red-unfinished-", dir=cache))
            try:
                (work / "package.json").write_text('{"name": "user", "private": true}')
                _npm(work, "pack", "--pack-destination", str(work), str(PACKAGE))
                (packed,) = work.glob("*.tgz")
                _npm(work, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", str(packed))
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return folder


def _npm(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["npm", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm {arguments[0]} failed: {done.stderr.strip()}")


class NodeRed:
    """`with NodeRed(folder) as red:` runs until the end of the block."""

    def __init__(self, folder: Path, *, environ: dict[str, str] | None = None, package: str = "node-red") -> None:
        """package: node-red, the newest, or node-red-4."""
        self.package = package
        self.folder = folder / "node-red"
        self.port = free_port()
        self.environ = environ or {}
        self._tools = tools()
        self._log = self.folder / "node-red.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._rev = ""
        shutil.copytree(installed(), self.folder, symlinks=True)
        settings = SETTINGS % {"port": self.port, "seen": json.dumps(str(self.seen_file))}
        (self.folder / "settings.js").write_text(settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def seen_file(self) -> Path:
        return self.folder.parent / "seen.jsonl"

    @property
    def kept(self) -> Path:
        """The folder of what waits for hubs."""
        return self.folder / "hubqueue"

    def outboxes(self) -> list[Path]:
        """The files of what waits for hubs, one for each server node."""
        return sorted(self.kept.glob("*.outbox"))

    def start(self) -> Self:
        """Start, and return once it answers."""
        with self._log.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env={**os.environ, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_for(lambda: self._answers(before))
        return self

    def command(self) -> list[str]:
        node = self._tools / "node_modules" / ".bin" / "node"
        red = self._tools / "node_modules" / self.package / "red.js"
        return [str(node), str(red), "--userDir", str(self.folder), "--settings", str(self.folder / "settings.js")]

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(number)
        try:
            return process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"Node-RED did not end:\n{self.log()}") from None

    def begin_anew(self) -> None:
        """As if it had just been started: no flows, nothing seen or logged, nothing kept for a context or a hub."""
        if self.environ and self._process is not None:
            self.kill()
        self.environ = {}
        if self._process is None:
            self.start()
        self.deploy([])
        if self.outboxes():
            self.kill()
            shutil.rmtree(self.kept)
            self.start()
        for store, kept in self.request("GET", "/context/global").items():
            for key in kept.keys() - {"seen"}:
                self.request("DELETE", f"/context/global/{key}?store={store}")
        self.seen_file.unlink(missing_ok=True)
        os.truncate(self._log, 0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def deploy(self, nodes: list[Node], kind: str = "full") -> None:
        """Replace the flows; returns once they have started."""
        body = {"flows": nodes}
        headers = {"Node-RED-API-Version": "v2", "Node-RED-Deployment-Type": kind}
        started = self.log().count("Started ")
        self.request("POST", "/flows", body, headers)
        self.wait_for(lambda: self.log().count("Started ") > started)

    def inject(self, id: str, payload: Any = None) -> None:
        """Press the button of an inject node; with a payload instead of its own."""
        body = (
            {}
            if payload is None
            else {"__user_inject_props__": [{"p": "payload", "v": json.dumps(payload), "vt": "json"}]}
        )
        self.request("POST", f"/inject/{id}", body)

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """An answer of the admin API, read as JSON if it is. Errors: HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        for name, value in {
            "Content-Type": "application/json",
            "Accept": "application/json",
            **(headers or {}),
        }.items():
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            content = answer.read()
        try:
            return json.loads(content)
        except ValueError:
            return content.decode(errors="replace")

    def seen(self) -> list[Any]:
        """What the flows have told so far."""
        if not self.seen_file.exists():
            return []
        return [json.loads(line) for line in self.seen_file.read_text().splitlines()]

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """What the condition gives, once it is true."""
        return until_true(condition, lambda: f"; seen: {self.seen()}\n{self.log()[-4000:]}")

    def wait_seen(self, count: int) -> list[Any]:
        """What the flows have told, once it is that much."""
        return list(self.wait_for(lambda: len(self.seen()) >= count and self.seen()))

    def _answers(self, before: int) -> bool:
        """before: how long the log was when it was started."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Node-RED ended:\n{self.log()}")
        try:
            self.request("GET", "/settings")
        except (urllib.error.URLError, OSError):
            return False
        return b"Started flows" in self._log.read_bytes()[before:]


# flows in few words; the id of a node is its name, the tab is `t1`


def tab(id: str = "t1", **more: Any) -> Node:
    return {"id": id, "type": "tab", "label": id, **more}


def server(port: int, **more: Any) -> Node:
    return {"id": "hub", "type": "hubqueue-server", "host": "127.0.0.1", "port": str(port), **more}


def node(id: str, type: str, *wires: str | list[str], z: str = "t1", **fields: Any) -> Node:
    """wires: the ids behind the first output, or a list for each output."""
    outputs = [list(wire) for wire in wires] if wires and isinstance(wires[0], list) else [list(wires)]
    return {"id": id, "type": type, "z": z, "x": 100, "y": 100, "wires": outputs, **fields}


def enqueue(id: str, *wires: str, queue: str = "q", **fields: Any) -> Node:
    return node(id, "hubqueue-enqueue", *wires, **{"server": "hub", "queue": queue, "queueType": "str", **fields})


def worker(id: str, *wires: str, queue: str = "q", **fields: Any) -> Node:
    standard = {"server": "hub", "queue": queue, "queueType": "str", "concurrency": "1", "timeout": "5m"}
    return node(id, "hubqueue-worker", *wires, **{**standard, **fields})


def result(id: str, *wires: str, outcome: str = "complete", **fields: Any) -> Node:
    return node(id, "hubqueue-result", *wires, outcome=outcome, **fields)


def function(id: str, code: str, *wires: str | list[str], **fields: Any) -> Node:
    """A function node; `seen(x)` tells x to the test."""
    outputs = len(wires) if wires and isinstance(wires[0], list) else 1
    body = f"const seen = global.get('seen');\n{code}"
    return node(id, "function", *wires, func=body, outputs=outputs, **fields)


def inject(id: str, *wires: str, **fields: Any) -> Node:
    props = [{"p": "payload"}, {"p": "topic", "vt": "str"}]
    standard = {"props": props, "repeat": "", "crontab": "", "once": False, "payload": "", "payloadType": "date"}
    return node(id, "inject", *wires, **{**standard, **fields})
