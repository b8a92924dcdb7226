"""The settings that also have a flag and a variable: one table that `run`, `load` and docs/config.md share.

A flag goes before its variable, a variable before the file. Rule: a test checks every row against the docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hubqueue.config.path import Path


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `kind` says how its text is read: as it is, as a whole number, or as a comma-separated list."""

    flag: str
    path: Path
    help: str
    kind: type[str] | type[int] | type[list[str]] = str
    metavar: str = "TEXT"

    @property
    def name(self) -> str:
        """The Python name of the flag: `data_path`."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        return f"HUBQUEUE_{self.name.upper()}"


OPTIONS: Final = (
    Option("--data-path", ("data_path",), "The job file; it is made where it does not exist.", metavar="FILE"),
    Option("--host", ("tcp", "host"), "Address of the TCP door. Any but loopback needs tokens.", metavar="HOST"),
    Option("--tcp-port", ("tcp", "port"), "TCP port; 0 takes a free one and prints it.", int, "PORT"),
    Option("--http-host", ("http", "host"), "Address of the HTTP door. Any but loopback needs tokens.", metavar="HOST"),
    Option("--http-port", ("http", "port"), "HTTP port; 0 takes a free one and prints it.", int, "PORT"),
    Option("--auth-tokens", ("tcp", "tokens"), "Tokens clients may show, comma-separated.", list[str], "TOKENS"),
    Option("--tls-cert", ("tcp", "tls", "cert_file"), "Certificate chain (PEM): serve TLS only.", metavar="FILE"),
    Option("--tls-key", ("tcp", "tls", "key_file"), "Key of the certificate (PEM).", metavar="FILE"),
    Option("--mqtt-url", ("mqtt", "url"), "MQTT broker, as in mqtt://localhost or mqtts://host.", metavar="URL"),
    Option("--log-level", ("log", "level"), "debug, info, warning or error.", metavar="LEVEL"),
    Option("--log-format", ("log", "format"), "text or json.", metavar="FORMAT"),
)


def read_text(option: Option, text: str) -> Any:
    """The value a variable or flag stands for; a number that is none stays text, for the schema to report."""
    if option.kind is int:
        try:
            return int(text)
        except ValueError:
            return text
    if option.kind is str:
        return text
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def put(values: dict[str, Any], path: Path, value: Any) -> None:
    """Set a nested value, making the sections above it. A section that is no mapping is left for the schema."""
    here: Any = values
    for part in path[:-1]:
        if not isinstance(here, dict):
            return
        if here.get(part) is None:
            here[part] = {}
        here = here[part]
    if isinstance(here, dict):
        here[path[-1]] = value


def get(values: Mapping[str, Any], path: Path) -> Any:
    """The nested value; None where there is none."""
    here: Any = values
    for part in path:
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


def from_variables(environ: Mapping[str, str]) -> dict[Path, tuple[str, Any]]:
    """Path -> (variable, value) of every variable that is set. An empty one counts as not set, but for tokens."""
    found: dict[Path, tuple[str, Any]] = {}
    for option in OPTIONS:
        text = environ.get(option.variable)
        if text is not None and (text or option.kind not in (str, int)):
            found[option.path] = (option.variable, read_text(option, text))
    return found
