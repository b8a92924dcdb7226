"""What processes that the hub starts inherit of its environment: no secret of the configuration.

Handlers are the user's programs and need variables of their own, so they get all but what the hub was told by; a
pipeline's own process is ours, and gets what its file names. The address and token of the hub go through a pipe.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

OURS: Final = "HUBQUEUE_"
# of the Supervisor (the older one too), and of systemd: a folder of secrets, and the right to speak for the hub
GIVEN_TO_US: Final = frozenset({"SUPERVISOR_TOKEN", "HASSIO_TOKEN", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"})
# where programs, words and time are: no secrets, whoever names them, and nothing runs well without
EVERYBODYS: Final = frozenset(
    {"HOME", "HOSTNAME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "TZ", "TZDIR", "USER"}
)
# of Python, of the loader, of TLS and of the way out: what a process of ours asks for
OF_THE_SYSTEM: Final = ("LC_", "PYTHON", "LD_", "FAKETIME", "SSL_CERT_", "VIRTUAL_ENV")
PROXIES: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})


def for_handlers(environ: Mapping[str, str], used: Collection[str]) -> dict[str, str]:
    """All but the hub's own variables, and those that its configuration used."""
    return {
        name: value
        for name, value in environ.items()
        if name in EVERYBODYS or not (name.startswith(OURS) or name in GIVEN_TO_US or name in used)
    }


def for_pipeline(environ: Mapping[str, str], named: Collection[str]) -> dict[str, str]:
    """What any program needs, and what the pipeline's file names."""
    return {
        name: value
        for name, value in environ.items()
        if name in named or name in EVERYBODYS or name.upper() in PROXIES or name.startswith(OF_THE_SYSTEM)
    }
