"""The job file of a running hub: `Backup`, `Backups` and `CheckFile`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

from hubqueue.commands.call import Operation
from hubqueue.hub.hub import Hub
from hubqueue.store.audit import audit

FOLDER: Final = "backups"  # beside the job file
MAX_LISTED: Final = 1000


def operations(hub: Hub, data_path: Path) -> Mapping[str, Operation]:
    return {
        "Backup": lambda command: write_backup(hub, data_path),
        "Backups": lambda command: list_backups(data_path),
        "CheckFile": lambda command: check_file(hub, data_path),
    }


async def list_backups(data_path: Path) -> dict[str, Any]:
    """The backups in the folder beside the job file, newest first."""
    found = await asyncio.to_thread(_found, data_path.parent / FOLDER)
    newest = sorted(found, key=lambda each: each["createdAt"], reverse=True)
    return {"backups": newest[:MAX_LISTED]}


def _found(folder: Path) -> list[dict[str, Any]]:
    shown = []
    for path in folder.glob("*.db"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # taken away meanwhile
        shown.append(
            {"path": str(path.absolute()), "bytes": stat.st_size, "createdAt": float(stat.st_mtime_ns // 1_000_000)}
        )
    return shown


async def write_backup(hub: Hub, data_path: Path) -> dict[str, Any]:
    """A backup in the folder `backups` beside the job file, named by the time; its path and size."""
    folder = data_path.parent / FOLDER
    folder.mkdir(exist_ok=True)
    name = f"{data_path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    target = next(path for path in _numbered(folder / name) if not path.exists())
    size = await hub.backup(target)
    return {"path": str(target.absolute()), "bytes": size}


def _numbered(path: Path) -> Iterator[Path]:
    """`name.db`, then `name-2.db` and so on: two backups may be asked for in one second."""
    yield path.with_suffix(".db")
    for number in count(2):
        yield path.with_name(f"{path.name}-{number}.db")


async def check_file(hub: Hub, data_path: Path) -> dict[str, Any]:
    """What is wrong with the job file, found on a copy, so that the hub goes on meanwhile."""
    with tempfile.TemporaryDirectory(prefix=".hubqueue-check-", dir=data_path.parent) as folder:
        copy = Path(folder) / data_path.name
        await hub.backup(copy)
        return {"faults": await asyncio.to_thread(audit, copy)}
