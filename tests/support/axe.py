"""axe-core, which finds what keeps people from using a page: installed from npm once, into the cache.

`script/setup` may run this module to install ahead (`python tests/support/axe.py`).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

VERSION: Final = "4.14.1"
SERIOUS: Final = ("serious", "critical")
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def install() -> Path:
    """The script, fetched into the cache if it is not there yet."""
    cache = Path(os.environ.get("HUBQUEUE_CACHE") or Path.home() / ".cache" / "hubqueue")
    folder = cache / f"axe-core-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"axe-core-{VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = Path(tempfile.mkdtemp(prefix="axe-", dir=cache))
            try:
                _npm_install(unfinished)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder / "node_modules" / "axe-core" / "axe.min.js"


def _npm_install(folder: Path) -> None:
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": {"axe-core": VERSION}}))
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not install axe-core {VERSION}: {done.stderr.strip()}")


def serious(page: Any) -> list[str]:
    """What axe finds serious or critical on a Playwright page as it is now, one line each."""
    page.evaluate(install().read_text(encoding="utf-8"))  # by the debugger, which no policy of the page holds back
    found = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
    return [
        f"{finding['impact']} {finding['id']}: {finding['help']} at {node['target']}: {node['html'][:200]}"
        for finding in found["violations"]
        if finding["impact"] in SERIOUS
        for node in finding["nodes"]
    ]


if __name__ == "__main__":
    install()
