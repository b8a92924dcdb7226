"""The protocol as it is written down in tests/contract: every line sent and answered, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields

from hubqueue.commands.table import BY_NAME, Request
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx
from hubqueue.wire.jobjson import shown
from hubqueue.wire.whole import converted
from support.transcript import check, lines, to_send
from support.wire import WireClient, frame

CONTRACT = Path(__file__).parents[2] / "contract"
TRANSCRIPTS = sorted(CONTRACT.glob("*.jsonl"))


async def replay(path: Path, client: WireClient, *, byte_by_byte: bool) -> None:
    known: dict[str, Any] = {}
    asked = None
    for number, line in enumerate(lines(path), 1):
        if "send" in line:
            asked = line["send"].get("cmd") if isinstance(line["send"], dict) else None
            data = frame(msgspec.msgpack.encode(to_send(line["send"], known)))
            if byte_by_byte:
                await client.send_byte_by_byte(data)
            else:
                await client.send_bytes(data)
        elif "expect" in line:
            reply = await client.read()
            check(line["expect"], reply, known, f"{path.name}:{number} $")
            if asked in BY_NAME and reply.get("ok"):
                assert undescribed(BY_NAME[asked], reply) == set(), f"{path.name}:{number}"
            asked = None  # what comes next is no reply to it


def undescribed(command: type[Request], reply: dict[str, Any]) -> set[str]:
    """Keys that are in the command's row or in its reply alone. Raises for values of another type."""
    answers = command.row.answers
    if answers is None:
        return set()
    found = shown(reply.get("data", reply))
    converted(found, answers)
    required = {field.encode_name for field in fields(answers) if field.required}
    known = set(answers.__struct_encode_fields__)
    return (found.keys() - {"ok", "reqId"} - known) | (required - found.keys())


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_a_transcript_is_answered_as_written(path: Path, client: WireClient, *, byte_by_byte: bool) -> None:
    await replay(path, client, byte_by_byte=byte_by_byte)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_a_transcript_is_answered_as_written_when_all_verbs_run_twice(
    path: Path, client: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they do beside a verb that has a defect: what they leave behind is in the transaction and its journal."""
    monkeypatch.setattr(Store, "_commit", twice(Store._commit))
    await replay(path, client, byte_by_byte=False)


def twice(commit: Callable[[Store], None]) -> Callable[[Store], None]:
    running = False

    def defect(tx: Tx) -> None:
        tx.execute("DELETE FROM meta")
        raise ZeroDivisionError

    def commit_the_second_time(store: Store) -> None:
        nonlocal running
        if store._open and store._ran and not running:
            running = True
            store.submit(defect, lambda reply: None)
            running = False
        commit(store)

    return commit_the_second_time


def test_every_command_is_in_a_transcript() -> None:
    sent = {
        line["send"].get("cmd") for path in TRANSCRIPTS for line in lines(path) if isinstance(line.get("send"), dict)
    }
    assert set(BY_NAME) <= sent
