"""Which version of MQTT a broker speaks: the newest one, found by trial and remembered while it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hubqueue.libraries import require
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.connection import Version
from hubqueue.mqttclient.failures import VersionRefused

TRIAL_S: Final = 3.0  # how long a broker may take to answer MQTT 5 before 3.1.1 is tried

T = TypeVar("T")


class Versions:
    """Of one broker. Errors: ConfigError, at construction, where the client library is not one that is known."""

    def __init__(self, broker: Broker) -> None:
        require("aiomqtt", "paho-mqtt")
        self._broker = broker
        self._spoken: Version | None = None if broker.version == "auto" else broker.version

    async def open(self, attempt: Callable[[Version, float], Awaitable[T]]) -> tuple[T, Version]:
        """What the attempt gives for the newest version that the broker speaks. It is told how long an answer may take.

        Errors: VersionRefused when there is none, and whatever else the attempt raises.
        """
        version = self._spoken
        if version is None:
            try:
                found = await attempt("5", min(TRIAL_S, self._broker.timeout_s))
            except VersionRefused:
                version = "3.1.1"
            else:
                self._spoken = "5"
                return found, "5"
        try:
            found = await attempt(version, self._broker.timeout_s)
        except VersionRefused:
            if self._broker.version == "auto":
                self._spoken = None  # another broker answers here now
            raise
        self._spoken = version
        return found, version
