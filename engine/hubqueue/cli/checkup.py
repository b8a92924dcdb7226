"""What `hubqueue doctor` looks at. Each look gives findings: a grade, a sentence, and what to do."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hubqueue.errors import HubqueueError

if TYPE_CHECKING:
    from hubqueue.cli.connect import Hub
    from hubqueue.client.remote import RemoteHub

FINE: Final = "fine"
NOTE: Final = "note"
PROBLEM: Final = "problem"

_STYLES: Final = {FINE: "green", NOTE: "yellow", PROBLEM: "red"}
_LOW_FREE_BYTES: Final = 256 * 1000 * 1000
_SLOW_SYNC_MS: Final = 20.0  # an SD card; group commit hides it from all but single durable jobs
_SYNCS: Final = 20
_FEW_FILES: Final = 1024  # a connection is one descriptor
_FOREIGN_DISKS: Final = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "vboxsf")  # no shared memory for WAL
_LONGEST_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Finding:
    grade: str
    text: str
    hint: str = ""


def machine() -> list[Finding]:
    """The interpreter, its SQLite, and the limits of the process."""
    found = [Finding(FINE, f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} processors")]
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files < _FEW_FILES:
        found.append(Finding(NOTE, f"only {files} open files are allowed", "raise it with 'ulimit -n' or LimitNOFILE"))
    if not Path("/etc/machine-id").is_file():
        hint = "a cloned disk would not be noticed here; make one with systemd-machine-id-setup"
        found.append(Finding(NOTE, "this machine has no /etc/machine-id", hint))
    if sys.flags.dev_mode:
        found.append(Finding(NOTE, "Python runs in development mode, which is slow", "unset PYTHONDEVMODE"))
    return found


def disk(folder: Path) -> list[Finding]:
    """Room, the kind of file system, and how long the disk takes to keep something."""
    found = []
    free = shutil.disk_usage(folder).free
    room = f"{free / 1e9:,.1f} GB are free in {folder.absolute()}"
    if free < _LOW_FREE_BYTES:
        found.append(Finding(PROBLEM, room, "the hub refuses new jobs when the disk is full; make room"))
    else:
        found.append(Finding(FINE, room))
    kind = _file_system(folder)
    if kind in _FOREIGN_DISKS:
        found.append(
            Finding(PROBLEM, f"{folder} lies on {kind}", "SQLite needs a local disk for its log; move the job file")
        )
    try:
        sync_ms = _sync_ms(folder)
    except OSError as error:
        found.append(
            Finding(PROBLEM, f"cannot write into {folder}: {error.strerror}", "give the hub a folder of its own")
        )
        return found
    text = f"the disk keeps a write within {sync_ms:.1f} ms"
    if sync_ms > _SLOW_SYNC_MS:
        hint = "durable jobs wait that long; others do not. An SSD, or linger, spares the card"
        found.append(Finding(NOTE, text, hint))
    else:
        found.append(Finding(FINE, text))
    return found


def configuration(file: Path) -> list[Finding]:
    """The configuration, and what the MQTT broker must be told for nothing to be lost on its side."""
    from hubqueue.config.load import load
    from hubqueue.config.mistakes import ConfigMistakes

    try:
        config = load(file)
    except ConfigMistakes as error:
        return [Finding(PROBLEM, str(mistake)) for mistake in error.mistakes]
    found = [Finding(FINE, f"{file} is right")]
    if config.mqtt is not None:
        hint = (
            "in mosquitto.conf: 'persistence true', 'autosave_interval 1', 'autosave_on_changes true' and "
            "'max_queued_messages 100000'; by default it keeps messages in memory and drops above 1000 waiting"
        )
        found.append(Finding(NOTE, "the broker, not the hub, holds messages while the hub is down", hint))
    for forwarder in config.forwarders:
        destination = forwarder.destination
        if destination.has_secret and not destination.encrypted:
            hint = "let 'to' begin with tls:// (mqtts://, https://) and give ca_file"
            found.append(Finding(NOTE, f"the secret of forwarder {forwarder.queue} travels unencrypted", hint))
    return found


def running_hub(hub: Hub) -> list[Finding]:
    """Whether it answers, what waits for a person, and whether its file and counts are sound."""
    try:
        return hub.ask(_look, patience_s=_LONGEST_S)
    except HubqueueError as error:
        return [Finding(PROBLEM, f"the hub at {hub.url}: {error.message}", error.hint)]


async def _look(remote: RemoteHub) -> list[Finding]:
    import msgspec

    from hubqueue import __version__

    peer = remote.link.peer
    found = [Finding(FINE, f"{peer.server} {peer.version} answers at {remote.link.settings.url}")]
    if peer.version != __version__:
        found.append(Finding(NOTE, f"this command is {__version__}, the hub is {peer.version}", "restart the hub"))
    for info in await remote.queues():
        counts = info.counts
        if counts.failed:
            hint = f"'hubqueue dlq list {info.name}' says why, 'hubqueue dlq retry {info.name}' tries again"
            found.append(Finding(NOTE, f"{counts.failed:,} jobs of queue {info.name} failed for good", hint))
        if info.paused:
            hint = f"'hubqueue resume {info.name}' lets it go on"
            found.append(Finding(NOTE, f"queue {info.name} is paused", hint))
    for status in msgspec.msgpack.decode(await remote.link.request("Forwarders", {}))["forwarders"]:
        if status["paused"]:
            found.append(
                Finding(NOTE, f"forwarder {status['name']} is paused", "'hubqueue forward resume' lets it go on")
            )
        elif status["link"] not in ("up", "idle"):
            text = f"the link of forwarder {status['name']} to {status['to']} is {status['link']}"
            found.append(Finding(PROBLEM, text, status["error"] or ""))
    reply = await remote.link.request("CheckFile", {})
    faults: list[str] = msgspec.msgpack.decode(reply)["faults"]
    if not faults:
        found.append(Finding(FINE, "the job file and its counts are sound"))
    found.extend(Finding(PROBLEM, fault, "restore a backup, or send us this text") for fault in faults)
    return found


def show(finding: Finding) -> None:
    """One finding for people."""
    click.echo(f"{click.style(f'{finding.grade:<8}', fg=_STYLES[finding.grade])} {finding.text}")
    if finding.hint:
        click.echo(f"{'':<9}{finding.hint}")


def as_map(finding: Finding) -> dict[str, Any]:
    return asdict(finding)


def _sync_ms(folder: Path, clock: Callable[[], float] = time.perf_counter) -> float:
    """The median time of a small write that the disk confirms."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".hubqueue-doctor-") as file:
        for _ in range(_SYNCS):
            began = clock()
            file.write(b"\0" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append((clock() - began) * 1000.0)
    return sorted(times)[_SYNCS // 2]


def _file_system(folder: Path) -> str:
    """The type of the file system that holds the folder, from the longest mount point above it."""
    best, kind = "", ""
    target = str(folder.resolve())
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, name, *_ = line.split()
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, name
    return kind
