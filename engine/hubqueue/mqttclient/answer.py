"""What a broker says of one message that was published: the reason code in its PUBACK.

Read here and not by paho, which ends the connection over a code that it does not expect there, as it does not expect
the 0x95 with which Mosquitto answers a message above its `message_size_limit`.
Source: MQTT 5.0, sections 3.4.2.1 and 4.13.
"""

from __future__ import annotations

from typing import Final

import msgspec

FAILED_FROM: Final = 0x80
TOO_LARGE: Final = 0x95

_TEXTS: Final = {
    0x00: "Success",
    0x10: "No matching subscribers",
    0x80: "Unspecified error",
    0x83: "Implementation specific error",
    0x87: "Not authorized",
    0x90: "Topic name invalid",
    0x91: "Packet identifier in use",
    TOO_LARGE: "Packet too large",
    0x97: "Quota exceeded",
    0x99: "Payload format invalid",
}


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The code, 0 with 3.1.1, which knows none."""

    code: int = 0

    @property
    def text(self) -> str:
        """The code in words."""
        return _TEXTS.get(self.code, f"reason code 0x{self.code:02x}")
