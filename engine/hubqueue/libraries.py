"""Libraries whose private parts are used, with the versions that these are known of. Any other is refused at the start.

To allow a newer one: read what changed in it, raise the bound here and in engine/pyproject.toml, and run the tests.
They run with the highest versions; tests/engine/test_libraries.py runs those of the parts named here with the lowest.
"""

from __future__ import annotations

from importlib import metadata
from typing import Final

from hubqueue.errors import ConfigError

# from this version on, and below that one
KNOWN: Final = {
    "aiohttp": ("3.13", "3.15"),  # servers/http/wsocket.py
    "aiomqtt": ("2.5", "2.6"),  # broker/stream.py and what builds on it
    "paho-mqtt": ("2.1", "2.3"),  # the same
}


def require(*names: str) -> None:
    """Errors: ConfigError, which says what to install, when a library is missing or in a version that is not known."""
    for name in names:
        lowest, beyond = KNOWN[name]
        wanted = f"{name}>={lowest},<{beyond}"
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise ConfigError(f"{name} is not installed", hint=f"install it: pip install '{wanted}'") from None
        if not _number(lowest) <= _number(found) < _number(beyond):
            raise ConfigError(
                f"{name} {found} is installed; this version of hubqueue works with {lowest} and later, below {beyond}",
                hint=f"install one of these: pip install '{wanted}'",
            )


def _number(version: str) -> tuple[int, int]:
    """The first two parts, which is as far as the bounds go."""
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
