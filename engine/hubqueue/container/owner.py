"""From root to the hub's own user, in the first moment of the container.

Root owns what the Supervisor mounts. The hub gets /data, copies of the keys that only root may read, and then there is
no way back. A container that is started as another user is left as it is.
"""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import Final

from hubqueue.container.layout import Layout

USER: Final = "hubqueue"  # made in the Dockerfile


def is_root() -> bool:
    return os.geteuid() == 0


def take_certificates(layout: Layout, names: tuple[str, str]) -> tuple[Path, Path]:
    """Copies of certificate and key of /ssl, in private. Errors: OSError."""
    folder = layout.certificates
    folder.mkdir(mode=0o700, exist_ok=True)
    taken = []
    for name in names:
        target = folder / Path(name).name
        target.unlink(missing_ok=True)
        target.touch(0o600)
        shutil.copyfile(layout.ssl / name, target)
        taken.append(target)
    return taken[0], taken[1]


def become_user(layout: Layout) -> None:
    """Own /data, and stop being root for good. Errors: OSError, KeyError where the image has no such user."""
    user = pwd.getpwnam(USER)
    for folder, _, files in os.walk(layout.data):
        for path in (folder, *(f"{folder}/{name}" for name in files)):
            status = os.lstat(path)
            if (status.st_uid, status.st_gid) != (user.pw_uid, user.pw_gid):
                os.lchown(path, user.pw_uid, user.pw_gid)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.environ["HOME"] = str(layout.data)
