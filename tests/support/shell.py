"""The command line as a person calls it: a process of its own, its exit code checked, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.hub_process import clean_environment


class Shell:
    """`shell("queues", "--json")`: the command as a process of its own, pointed at the hub."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.environ = clean_environment({"HUBQUEUE_URL": url} if url else None)

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "hubqueue", *arguments],
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: str, stdin: str = "") -> Any:
        return json.loads(self(*arguments, "--json", stdin=stdin).stdout)
