"""The keys of the mqtt section: the broker, how to sign in, and the rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hubqueue.client.address import Tls
from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.config.rules import rule
from hubqueue.config.settings import Mqtt
from hubqueue.mqttclient.broker import Broker


def mqtt(base: Path) -> Check:
    return checks.Section(
        {
            "url": checks.url("mqtt", "mqtts"),
            "username": checks.text,
            "password": checks.text,
            "password_file": checks.secret_file(base),
            "ca_file": checks.existing_file(base),
            "cert_file": checks.existing_file(base),
            "key_file": checks.existing_file(base),
            "protocol": checks.choice("auto", "5", "3.1.1"),
            "channels": checks.boolean,
            "rules": checks.Each(rule()),
        },
        required=("url",),
        build=_mqtt,
    )


def _mqtt(clean: dict[str, Any]) -> Mqtt:
    if "password" in clean and "password_file" in clean:
        raise Wrong("cannot be used together with password", hint="keep one of the two", path=["password_file"])
    if "password_file" in clean:
        clean["password"] = clean.pop("password_file")
    broker = Broker.from_url(clean.pop("url"))
    for name in ("ca_file", "cert_file", "key_file"):
        if name in clean and broker.tls is None:
            raise Wrong(
                "makes no sense without encryption", hint="write mqtts:// instead of mqtt:// in url", path=[name]
            )
    if "key_file" in clean and "cert_file" not in clean:
        raise Wrong("needs cert_file beside it", path=["key_file"])
    username = clean.get("username", broker.username)
    password = clean.get("password", broker.password)
    if password is not None and username is None:
        raise Wrong("needs username beside it", path=["password"])
    ca, cert, key = (_name(clean.get(name)) for name in ("ca_file", "cert_file", "key_file"))
    tls = Tls(ca, cert, key) if broker.tls else None
    broker = replace(broker, username=username, password=password, tls=tls, version=clean.get("protocol", "auto"))
    return Mqtt(broker, clean.get("rules", ()), clean.get("channels", True))


def _name(file: Path | None) -> str | None:
    return None if file is None else str(file)
