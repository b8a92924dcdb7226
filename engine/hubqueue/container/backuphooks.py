"""The job file over stops, backups and their return, as the Supervisor makes them: it copies /data, and puts it back.

While the hub runs its file is in `live`, which backups leave out; before a backup a consistent copy is written, after
it that is deleted. After a stop in order the folder is called `rest`, and backups take it as it is. What comes back
from a backup has no marker `here`: then the job file is restored (ids go on far above those of before), so that nothing
given out since the backup is given out again. Every step may be cut off by a power cut and is done again.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from hubqueue.container.layout import FILE, Layout
from hubqueue.store.backup import restore

log = logging.getLogger(__name__)


def wake(layout: Layout) -> None:
    """Make `live` what the hub opens. Errors: those of store.backup.restore."""
    live, rest, copy = layout.live, layout.rest, layout.copy
    if not layout.here.exists():
        # of a running app there is the copy, of a stopped one the folder, which is newer if both are there
        source = next((path for path in (rest / FILE, copy) if path.exists()), None)
        if source is not None:
            live.mkdir(exist_ok=True)
            restore(source, live / FILE)
            log.info("jobs of a backup were put back file=%s", live / FILE)
            shutil.rmtree(rest, ignore_errors=True)
        layout.here.touch(0o600)
    elif rest.exists() and not live.exists():
        rest.rename(live)
    live.mkdir(exist_ok=True)
    shutil.rmtree(copy.parent, ignore_errors=True)
    _sync(layout.data)


def lay_to_rest(layout: Layout) -> None:
    """After a stop in order: let backups see the file."""
    if not layout.rest.exists():
        layout.live.rename(layout.rest)
        _sync(layout.data)


def put_copy(layout: Layout, written: Path) -> None:
    """Put a backup that the hub has written where the Supervisor takes it from."""
    drop_copy(layout)
    layout.copy.parent.mkdir()
    written.rename(layout.copy)
    _sync(layout.copy.parent)


def drop_copy(layout: Layout) -> None:
    """The backup is made, or was given up."""
    shutil.rmtree(layout.copy.parent, ignore_errors=True)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
