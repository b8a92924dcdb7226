"""MQTT rules: what each takes and has done, and a tester: a topic and a payload in, the jobs out."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.errors import Invalid
from hubqueue.ui import inputs
from hubqueue.ui.payloads import Payload, payload
from hubqueue.ui.render import page
from hubqueue.ui.requestcontext import session_of, swaps
from hubqueue.wire.jobjson import options_json
from hubqueue.wire.jsondata import plain

MAIN: Final = ("topic", "queue", "name")  # shown as columns; the rest of a rule's settings as a list beneath
TOPIC: Final = "sensors/temperature/kitchen"
PAYLOAD: Final = '{"value": 21.5}'
RULE: Final = 'topic: sensors/{kind}/{room}\nqueue: readings\nname: "{kind}"\n'


class Match(msgspec.Struct, frozen=True):
    """What one rule makes of the message."""

    found: dict[str, Any]
    data: Payload | None
    options: str  # the rest of the job as JSON


async def show(request: web.Request) -> web.Response:
    """The table of rules, or its live part for htmx."""
    reply = await session_of(request).ask("Rules")
    return page(
        request,
        "rules_state.html" if swaps(request) else "rules.html",
        rules=[(each, _rest(each["settings"])) for each in reply["rules"]],
        broker=reply["broker"],
        sample={"topic": TOPIC, "payload": PAYLOAD, "rule": RULE},
    )


def _rest(settings: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, _words(value)) for name, value in settings.items() if name not in MAIN]


def _words(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(plain(value)).decode()


async def test(request: web.Request) -> web.Response:
    """What the rules, or the one that was typed, make of a message. Nothing is enqueued."""
    given = await request.post()
    topic = inputs.text(given, "topic")
    if not topic:
        raise Invalid("topic: a message needs one")
    typed = inputs.text(given, "rule") if inputs.flag(given, "own") else ""
    fields: dict[str, Any] = {
        "topic": topic,
        "payload": _bytes(str(given.get("payload", "")), inputs.text(given, "form")),
        "qos": inputs.whole(given, "qos", 1),
        "retain": inputs.flag(given, "retain"),
    }
    if inputs.flag(given, "own"):
        fields["rule"] = typed
    reply = await session_of(request).ask("RuleTest", **fields)
    return page(
        request,
        "rules_result.html",
        matches=[_match(each) for each in reply["matches"]],
        unroutable=reply["unroutable"],
        topic=topic,
    )


def _match(found: dict[str, Any]) -> Match:
    job = found.get("job") or {}
    options = plain(options_json(job))
    text = msgspec.json.format(msgspec.json.encode(options), indent=2).decode() if options else ""
    return Match(found, payload(job.get("data")), text)


def _bytes(typed: str, form: str) -> bytes:
    """The payload as it would come: what was typed, or the bytes it stands for. Errors: Invalid."""
    try:
        if form == "hex":
            return bytes.fromhex(typed)
        if form == "base64":
            return base64.b64decode(typed, validate=True)
        return typed.replace("\r\n", "\n").encode()
    except (ValueError, binascii.Error):
        raise Invalid(f"payload: this is not {form}") from None


ROUTES: Final = (
    web.get("/rules", show),
    web.post("/rules/test", test),
)
