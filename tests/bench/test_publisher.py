"""The MQTT load against a real Mosquitto: what it sends arrives, each message once."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.bridge import mosquitto
from bench.publisher import publish, send

MESSAGES = 3_000


def test_every_message_arrives(tmp_path: Path) -> None:
    packets = [publish(f"load/{number % 7}", b"%d" % number, number) for number in range(MESSAGES)]
    with mosquitto(tmp_path) as port:
        # -E makes the session and ends: from here on the broker keeps every message for it
        subscriber = ["mosquitto_sub", "-p", str(port), "-i", "reader", "-c", "-q", "1", "-t", "load/#"]
        subprocess.run([*subscriber, "-E"], check=True, timeout=60)
        send(port, packets, 100)
        read = subprocess.run([*subscriber, "-C", str(MESSAGES)], capture_output=True, check=True, timeout=60)
    assert sorted(map(int, read.stdout.split())) == list(range(MESSAGES))


def test_a_payload_longer_than_one_length_byte_is_framed(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as port:
        subscriber = ["mosquitto_sub", "-p", str(port), "-i", "reader", "-c", "-q", "1", "-t", "load/#"]
        subprocess.run([*subscriber, "-E"], check=True, timeout=60)
        send(port, [publish("load/long", b"x" * 70_000, 0)], 1)
        read = subprocess.run([*subscriber, "-C", "1", "-N"], capture_output=True, check=True, timeout=60)
    assert read.stdout == b"x" * 70_000
