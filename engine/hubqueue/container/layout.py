"""Where things are in the container. Everything below /data is the app's own; the Supervisor backs it up.

Rule: config.yaml of the app names the same files in `backup_exclude` (tested). Their names are such that no file of a
user is called so: the patterns hold for /config, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = "hub.db"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders that the Supervisor mounts."""

    data: Path = Path("/data")
    config: Path = Path("/config")
    ssl: Path = Path("/ssl")

    @property
    def options(self) -> Path:
        """What the user has set in the app's form."""
        return self.data / "options.json"

    @property
    def settings(self) -> Path:
        """The user's own configuration file, for what the form does not have."""
        return self.config / "hubqueue.yaml"

    @property
    def handlers(self) -> Path:
        return self.config / "handlers"

    @property
    def token(self) -> Path:
        """The secret that the integration comes in with."""
        return self.data / "integration.token"

    @property
    def certificates(self) -> Path:
        """Copies of certificate and key that the hub's user can read. Not in backups."""
        return self.data / "hubqueue.tls"

    @property
    def live(self) -> Path:
        """The folder of the job file while the hub runs. Not in backups: it changes while it is read."""
        return self.data / "hubqueue.live"

    @property
    def rest(self) -> Path:
        """The same folder after a stop in order: a backup of a stopped app takes it."""
        return self.data / "rest"

    @property
    def copy(self) -> Path:
        """A copy of the job file, there only while a backup of a running app is made."""
        return self.data / "copy" / FILE

    @property
    def here(self) -> Path:
        """Says that this /data is lived in, and was not put back from a backup. Not in backups."""
        return self.data / "hubqueue.here"
