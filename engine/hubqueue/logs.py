"""What the process writes to its log: text for people by default, JSON lines for collectors.

Modules log a sentence with a `key=value` tail in fixed order (job= queue= attempt= worker= code=). The text
form prints it as it is; the JSON form turns the tail into fields. Payloads never reach a log.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Final, Literal, TextIO

Format = Literal["text", "json"]

_FIELD: Final = re.compile(r"(?<!\S)([a-z][a-z0-9_]*)=(\"(?:[^\"\\]|\\.)*\"|\S+)")
_MUTE: Final = ("aiokafka", "aiormq", "aio_pika")  # their errors reach us as exceptions, which are told once
_NOISY: Final = ("asyncio", "aiomqtt", "mqtt", "amqtt", "transitions")  # their INFO is our DEBUG
_RESERVED: Final = frozenset({"time", "level", "logger", "message", "error"})


class TextFormatter(logging.Formatter):
    """`2026-11-22 07:01:02.345 INFO  mqtt.link: connected url=...`, a traceback below it where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        text = f"{at}.{int(record.msecs):03d} {record.levelname:<7} {_short(record.name)}: {_line(record)}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line; fields of the tail that would hide one of ours get a `_` behind their name."""

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, str] = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": _short(record.name),
            "message": _FIELD.sub("", line).strip().rstrip(":"),
        }
        for key, value in _FIELD.findall(line):
            entry[f"{key}_" if key in _RESERVED else key] = value.strip('"')
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(level: str = "info", form: Format = "text", stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream` (default: standard error), once; a second call replaces the first."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(wanted)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(wanted, logging.WARNING) if wanted > logging.DEBUG else logging.DEBUG)
    for name in _MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL if wanted > logging.DEBUG else logging.DEBUG)
    logging.captureWarnings(True)


def _short(name: str) -> str:
    return name.removeprefix("hubqueue.")


def _line(record: logging.LogRecord) -> str:
    """The message on one line: what came from outside must not be able to fake a second entry."""
    return record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
