"""The configuration of a hub that runs as Home Assistant's app: defaults of the container, hubqueue.yaml, the options.

The later wins; variables and flags go before all. Called as root, so that it can read what only root may.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, Final

from hubqueue.config.load import load
from hubqueue.config.options import get
from hubqueue.config.path import Path
from hubqueue.config.settings import Config, GivenToken, Supervised
from hubqueue.config.yamlfile import read as read_yaml
from hubqueue.container import options
from hubqueue.container.layout import FILE, Layout
from hubqueue.container.owner import take_certificates
from hubqueue.errors import ConfigError
from hubqueue.hub.access import PREFIX, TOKEN_BYTES
from hubqueue.model.access import Grant, Scope

URL: Final = "http://supervisor"
UNNAMED: Final = "mqtt://core-mosquitto"
INTEGRATION: Final = "home-assistant"
EVERYWHERE: Final = "0.0.0.0"  # inside the container's network; the Supervisor opens ports to the house only when asked


def configure(layout: Layout, flags: Mapping[str, Any], environ: Mapping[str, str]) -> Config:
    """The configuration, with the integration's token in it. Errors: ConfigMistakes, ConfigError."""
    given = options.read(layout)
    file = layout.settings if layout.settings.is_file() else None
    own = read_yaml(file, environ).values if file is not None else {}
    bridged = bool(given.get("mqtt", True))
    unnamed = "mqtt_url" not in given and get(own, ("mqtt", "url")) is None
    unnamed_broker = unnamed and (bridged or "mqtt" in own)
    config = load(
        file or FilePath(os.devnull),
        flags=flags,
        environ=environ,
        beneath=_beneath(layout, unnamed_broker=unnamed_broker),
        above={
            **options.settings(_with_certificates(given, layout), layout),
            ("data_path",): (options.ORIGIN, str(layout.live / FILE)),
        },
    )
    if unnamed_broker:
        _check_outputs(config)
    token = integration_token(layout)
    granted = GivenToken(token, Grant(INTEGRATION, frozenset({Scope.ADMIN})))
    return replace(
        config,
        mqtt=config.mqtt if bridged else None,
        tcp=replace(config.tcp, tokens=(*config.tcp.tokens, granted)),
        supervised=_supervised(environ, token, handed_out=bridged and unnamed),
    )


def integration_token(layout: Layout) -> str:
    """The secret of the integration; made once, and kept in /data, since it is announced at every start."""
    try:
        return layout.token.read_text("ascii").strip()
    except FileNotFoundError:
        secret = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        part = layout.token.with_name(layout.token.name + ".part")
        part.touch(0o600)
        part.write_text(secret, "ascii")
        part.rename(layout.token)
        return secret


def _beneath(layout: Layout, *, unnamed_broker: bool) -> dict[Path, Any]:
    defaults: dict[Path, Any] = {
        ("tcp", "host"): EVERYWHERE,
        ("http", "host"): EVERYWHERE,
        ("http", "ingress", "host"): EVERYWHERE,
        ("http", "internal", "host"): EVERYWHERE,
        ("handlers", "folder"): str(layout.handlers),
    }
    if unnamed_broker:
        defaults["mqtt", "url"] = UNNAMED  # until the Supervisor has said where it is
    return defaults


def _check_outputs(config: Config) -> None:
    """What a pipeline publishes goes to a broker with an address: the one that the Supervisor names later has none yet.

    Errors: ConfigError.
    """
    if not config.pipelines:
        return
    from hubqueue.pipeline.plan import ToForward  # a hub without pipelines does not carry them

    for pipeline in config.pipelines:
        sinks = [to.destination for to in pipeline.to if isinstance(to, ToForward)]
        if any(each.url.startswith(UNNAMED) and not each.has_secret for each in sinks):
            hint = "write mqtt.url, username and password_file into hubqueue.yaml, or forward: {to: 'mqtt://...'}"
            raise ConfigError(f"{pipeline.file.name}: 'to: mqtt' needs the address of the broker", hint=hint)


def _with_certificates(given: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    if ("certfile" in given) != ("keyfile" in given):
        raise ConfigError("certfile and keyfile need each other", hint=f"set both or none in {options.ORIGIN}")
    if "certfile" not in given:
        return dict(given)
    try:
        cert, key = take_certificates(layout, (given["certfile"], given["keyfile"]))
    except OSError as error:
        raise ConfigError(f"The certificate cannot be read: {error}", hint="both files must be in /ssl") from error
    return {**given, "certfile": str(cert), "keyfile": str(key)}


def _supervised(environ: Mapping[str, str], token: str, *, handed_out: bool) -> Supervised:
    key = environ.get("SUPERVISOR_TOKEN", "")
    if not key:
        raise ConfigError(
            "SUPERVISOR_TOKEN is not set",
            hint="--app is for Home Assistant's app; elsewhere run hubqueue without it",
        )
    url = environ.get("HUBQUEUE_SUPERVISOR_URL") or URL
    return Supervised(url, key, socket.gethostname(), token, mqtt=handed_out)
