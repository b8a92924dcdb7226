"""What a process that was killed leaves behind is as it committed it, but only while the machine goes on.

Committed work that is not synced lives on in the kernel when a process is killed, and not when the power is cut, when
the machine starts anew or when the file is put back from a copy. Whoever may only rely on it in the first case writes
the name of that life beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hubqueue.store.disk import DISK, Disk

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def life_of(path: Path, disk: Disk = DISK) -> str:
    """Of this very file since the machine was started; empty where there is no telling."""
    try:
        boot = disk.read_text(_BOOT).strip()
        file = disk.stat(path)
    except OSError:
        return ""
    return f"{boot}:{file.st_dev}:{file.st_ino}"
