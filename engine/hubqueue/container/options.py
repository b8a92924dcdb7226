"""The app's options, as the Supervisor writes them, and what they mean in the words of the configuration.

Rules: an option is one row of OPTIONS (or of FORWARDER), a row of `schema` in the app's config.yaml, and an entry in
its translations (tested). What is empty counts as not set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hubqueue.config.path import Path
from hubqueue.container.layout import Layout
from hubqueue.errors import ConfigError

ORIGIN: Final = "the app's options"

# option -> what it sets
OPTIONS: Final[Mapping[str, tuple[Path, ...]]] = {
    "log_level": (("log", "level"),),
    "mqtt": (),  # whether there is a bridge at all
    "mqtt_url": (("mqtt", "url"),),
    "mqtt_username": (("mqtt", "username"),),
    "mqtt_password": (("mqtt", "password"),),
    "certfile": (("tcp", "tls", "cert_file"), ("http", "tls", "cert_file")),
    "keyfile": (("tcp", "tls", "key_file"), ("http", "tls", "key_file")),
    "forwarders": (("forwarders",),),
}
# the keys of one forwarder are those of hubqueue.yaml
FORWARDER: Final = ("queue", "to", "target", "token", "ca_file")


def read(layout: Layout) -> dict[str, Any]:
    """The options that are set. Errors: ConfigError."""
    try:
        options = json.loads(layout.options.read_bytes())
    except FileNotFoundError:
        options = {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{layout.options} cannot be read: {error}") from error
    if not isinstance(options, dict):
        raise ConfigError(f"{layout.options} holds no options")
    return {name: value for name, value in options.items() if value not in (None, "", [])}


def settings(options: Mapping[str, Any], layout: Layout) -> dict[Path, tuple[str, Any]]:
    """What they set, by its path. Files are those of /ssl."""
    found: dict[Path, tuple[str, Any]] = {}
    for name, paths in OPTIONS.items():
        if name not in options:
            continue
        value = options[name]
        if name == "forwarders":
            value = [_forwarder(each, layout) for each in value]
        found |= dict.fromkeys(paths, (f"{ORIGIN}: {name}", value))
    return found


def _forwarder(given: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    wanted = {key: value for key, value in given.items() if value not in (None, "")}
    if "ca_file" in wanted:
        wanted["ca_file"] = str(layout.ssl / wanted["ca_file"])
    return wanted
