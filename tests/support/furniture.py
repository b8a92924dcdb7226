"""A hub with something of everything in it, for those who look at its pages: jobs in all states, dead letters of
several kinds, odd payloads, a flow, schedules, a paused queue."""

from __future__ import annotations

from typing import Final

import msgspec

from support.dashboard import Asker

ODD: Final[dict[str, bytes]] = {  # name of the job -> what is stored; engine-rules 27
    "bytes": msgspec.msgpack.encode({"raw": b"\x00\xff"}),
    "ext": b"\xd5\x07\x01\x02",
    "nan": msgspec.msgpack.encode([float("nan"), float("inf")]),
    "huge-int": msgspec.msgpack.encode({"n": 2**63 + 1}),
    "odd-keys": msgspec.msgpack.encode({1: "one", b"k": "bytes"}),
    "bad-text": b"\xa2\xff\xfe",
    "deep": b"\x91" * 600 + b"\x01",
    "null": b"\xc0",
    "markup": msgspec.msgpack.encode({"<script>": "</code></pre><script>alert(1)</script>"}),
    "long": msgspec.msgpack.encode("word " * 60_000),
    "large": msgspec.msgpack.encode("x" * 2_000_000),
}
BROKEN: Final = {"not-msgpack": b"\xc1", "cut-off": b"\x92\x01"}  # what no client can send, but a file may hold
ODD_ID: Final = "shelf/17?a=b&c=%2F#top \"'<b>"
REFUSED: Final = "cannot reach mail.example: no route to host (attempt {})"
REJECTED: Final = "550 no such mailbox"


def furnish(ask: Asker) -> dict[str, str]:
    """Fill a hub; ids by what they are for."""
    ids: dict[str, str] = {}

    def push(queue: str, name: str, **fields: object) -> str:
        return str(ask("PUSH", queue=queue, name=name, **fields)["id"])

    def take(queue: str) -> tuple[str, str]:
        reply = ask("PULL", queue=queue, owner="worker-1", detach=True, lockTtl=3_600_000)
        return reply["job"]["id"], reply["token"]

    for number in range(8):
        push("mail", "welcome", data={"to": f"guest{number}@example.org"}, maxAttempts=1)
        id, token = take("mail")
        error, reject = (REJECTED, True) if number >= 5 else (REFUSED.format(number), False)
        stack = ["MailError: " + error, "  at send (mailer.js:12:3)", "  at run (worker.js:40:9)"]
        ask("FAIL", id=id, token=token, error=error, stack=stack, unrecoverable=reject)
        ids.setdefault("dead", id)
    for number in range(3):
        push("mail", "digest", data={"week": number})
        id, token = take("mail")
        ask("ACK", id=id, token=token, result={"sent": True, "size": 1204})
        ids["completed"] = id
    ids["active"] = push("mail", "newsletter", data={"to": 1200}, priority=9)
    _, token = take("mail")
    ask("AddLog", id=ids["active"], message="connected to mail.example")
    ask("AddLog", id=ids["active"], message="half of it is sent", level="warn")
    ask("Progress", id=ids["active"], token=token, progress=50, message="600 of 1200 sent")
    ids["retried"] = push("mail", "reminder", backoff={"type": "fixed", "delay": 3_600_000}, priority=8)
    id, token = take("mail")
    ask("FAIL", id=id, token=token, error=REFUSED.format(1))
    ids["waiting"] = push("mail", "welcome", data={"to": "anna@example.org", "copies": [1, 2.5, None]})
    push("mail", "urgent", priority=5, data="now")
    ids["delayed"] = push("mail", "later", delay=7_200_000)
    ids["odd_id"] = push("mail", "parcel", jobId=ODD_ID, data={"shelf": 17})
    ids["child"] = push("flows", "scan", data={"page": 1})
    ids["parent"] = push("flows", "book", dependsOn=[ids["child"]])
    for name, data in ODD.items():
        ask("PUSH", queue="odd", name=name, data=msgspec.Raw(data))
    push("slow", "tick")
    ask("Pause", queue="slow")
    ask("SetConcurrency", queue="mail", limit=4)
    ask("Cron", name="morning", queue="reports", jobName="daily", schedule="0 7 * * *", data={"kind": "day"})
    ask("Cron", name="poll", queue="reports", jobName="poll", repeatEvery=900_000)
    push("uplink", "reading", data={"t": 21.5})
    return ids
