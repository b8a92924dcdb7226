"""The protocol as it is written down in tests/contract: every line sent and answered, however the bytes are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.commands.table import BY_NAME
from support.transcript import check, lines, to_send
from support.wire import WireClient, frame

CONTRACT = Path(__file__).parents[2] / "contract"
TRANSCRIPTS = sorted(CONTRACT.glob("*.jsonl"))


async def replay(path: Path, client: WireClient, *, byte_by_byte: bool) -> None:
    known: dict[str, Any] = {}
    for number, line in enumerate(lines(path), 1):
        if "send" in line:
            data = frame(msgspec.msgpack.encode(to_send(line["send"], known)))
            if byte_by_byte:
                await client.send_byte_by_byte(data)
            else:
                await client.send_bytes(data)
        elif "expect" in line:
            check(line["expect"], await client.read(), known, f"{path.name}:{number} $")


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_a_transcript_is_answered_as_written(path: Path, client: WireClient, *, byte_by_byte: bool) -> None:
    await replay(path, client, byte_by_byte=byte_by_byte)


def test_every_command_is_in_a_transcript() -> None:
    sent = {
        line["send"].get("cmd") for path in TRANSCRIPTS for line in lines(path) if isinstance(line.get("send"), dict)
    }
    assert set(BY_NAME) <= sent
