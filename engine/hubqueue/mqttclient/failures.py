"""What aiomqtt and paho say when something goes wrong, as our errors, in words that say what to do."""

from __future__ import annotations

from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from hubqueue.errors import HubqueueError, LinkDown, NotAuthenticated
from hubqueue.mqttclient.broker import Broker

UNANSWERED: Final = "the broker closed the connection without an answer"
LOST: Final = "the connection was lost"

_TIMED_OUT: Final = "no answer in time"
_CLEARER: Final = {"Operation timed out": _TIMED_OUT, "Unspecified error": LOST}
_BAD_LOGIN: Final = frozenset({4, 5, 134, 135})  # 3.1.1 table 3.1, 5.0 table 3-1
_BAD_VERSION: Final = frozenset({1, 132})
_HINTS: Final = (
    ("certificate verify failed", "the broker's certificate is not trusted: give its CA file, or check its host name"),
    ("WRONG_VERSION_NUMBER", "this port does not speak TLS: use mqtt:// or another port"),
    ("Session taken over", "another client uses the same client id: is a copy of this hub running?"),
    ("Connection refused", "is the broker running, and is the port right?"),
    ("Name or service not known", "the host name is not known"),
)


class VersionRefused(LinkDown):
    """The broker does not speak this version of MQTT, or does not answer to it."""


def translated(error: aiomqtt.MqttError, broker: Broker, *, trial: bool) -> HubqueueError:
    """The error to show. trial: it ended an attempt to speak MQTT 5, which brokers without it may not even answer."""
    code = getattr(error, "rc", None)
    number = code.value if isinstance(code, ReasonCode) else code
    text = str(code) if isinstance(code, ReasonCode) else str(error)
    text = _CLEARER.get(text, text)
    refused = isinstance(error, MqttConnectError)
    if (refused and number in _BAD_VERSION) or (trial and text in (UNANSWERED, _TIMED_OUT)):
        return VersionRefused(f"MQTT broker {broker.url}: {text}")
    if refused and number in _BAD_LOGIN:
        hint = "check username and password" if broker.username else "it wants a username and password"
        return NotAuthenticated(f"MQTT broker {broker.url} refused the login: {text}", hint=hint)
    known = next((hint for part, hint in _HINTS if part in text), None)
    return LinkDown(f"MQTT broker {broker.url}: {text}", hint=known)
