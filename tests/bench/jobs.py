"""The jobs of the load: a sensor reading of about a hundred bytes, and frames that push many of them."""

from __future__ import annotations

from typing import Any

from hubqueue.client.load import command

RESULT = {"stored": True}


def reading(number: int) -> dict[str, Any]:
    """What a room sensor says."""
    return {
        "topic": f"sensors/temp/room{number % 50}",
        "payload": {"temp": 21.5 + number % 10, "hum": 40},
        "receivedAt": 1_763_760_000_000.0 + number,  # a float, as JavaScript clients send it
    }


def pushes(queue: str, jobs: int, *, durable: bool = False) -> list[bytes]:
    """One PUSH per job."""
    options = {"durable": True} if durable else {}
    return [
        command("PUSH", n, queue=queue, name="reading", data=reading(n), maxAttempts=5, **options) for n in range(jobs)
    ]


def batches(queue: str, jobs: int, size: int) -> list[bytes]:
    """PUSHB frames of `size` jobs each."""
    return [
        command(
            "PUSHB",
            n,
            queue=queue,
            jobs=[{"name": "reading", "data": reading(n * size + i), "maxAttempts": 5} for i in range(size)],
        )
        for n in range(jobs // size)
    ]
