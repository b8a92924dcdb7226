"""The keys of the enrich step: by a table, or by HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from hubqueue.client.address import Tls
from hubqueue.client.tls import client_context
from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.kind import one_secret
from hubqueue.config.mistakes import Wrong
from hubqueue.config.one import missing
from hubqueue.errors import HubqueueError
from hubqueue.expression import Text, Url
from hubqueue.pipeline.enrich import Enrich
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.lookup import Lookup, LookupSettings
from hubqueue.pipeline.merge import Merge
from hubqueue.pipeline.record import NAMES
from hubqueue.pipeline.step import Step
from hubqueue.pipeline.table import Table, read_table

_FIXED: Final = re.compile(r"https?://[^/?#{}\s]+[/?]")
_LOOKUP_NAMES: Final = {"timeout": "timeout_s", "ttl": "ttl_s", "stale": "stale_s"}


def enrich(base: Path) -> Check:
    return checks.Section(
        {
            "table": checks.existing_file(base),
            "column": checks.text,
            "key": checks.from_engine_text(lambda text: Text(text, NAMES)),
            "http": http(base),
            "into": checks.from_engine_text(Field),
            "pick": _pick,
            "missing": missing("refuse", "keep", "null"),
        },
        build=_enrich,
    )


def http(base: Path) -> Check:
    return checks.Section(
        {
            "url": _url,
            "headers": checks.Named(checks.text, checks.text),
            "token": checks.text,
            "token_file": checks.secret_file(base),
            "ca_file": checks.existing_file(base),
            "timeout": checks.duration_s(0.01, 300),
            "ttl": checks.duration_s(0),
            "stale": checks.duration_s(0),
            "entries": checks.integer(1, 1_000_000),
            "concurrency": checks.integer(1, 64),
            "down": checks.choice("wait", "refuse", "keep"),
        },
        required=("url",),
        build=_lookup,
    )


def _enrich(clean: dict[str, Any]) -> Callable[[], Step]:
    if ("table" in clean) == ("http" in clean):
        raise Wrong("needs table or http", hint="give one of the two")
    merge = Merge(clean.get("into"), clean.get("pick"), clean.get("missing", "refuse"))
    if "http" in clean:
        for key in ("key", "column"):
            if key in clean:
                raise Wrong("belongs to table", hint="with http the url says what is asked", path=[key])
        return partial(Lookup, clean["http"], merge)
    if "key" not in clean:
        raise Wrong("is missing", hint='as in key: "{{ data.device }}"', path=["key"])
    file, column = clean["table"], clean.get("column", "device")
    try:
        read_table(file, column)
    except HubqueueError as error:
        raise Wrong(error.message, hint=error.hint, path=["table"]) from error
    return lambda: Enrich(Table(file, column), clean["key"], merge)


def _lookup(clean: dict[str, Any]) -> LookupSettings:
    token = one_secret(clean, "token")
    headers = dict(clean.get("headers", {}))
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    for value in headers.values():
        if not value.isprintable():
            raise Wrong("has a line break or another unprintable character in a value", path=["headers"])
    tls = Tls(ca_file=str(clean["ca_file"])) if "ca_file" in clean else Tls()
    if "ca_file" in clean:
        try:
            client_context(tls)
        except HubqueueError as error:
            raise Wrong(error.message, hint=error.hint, path=["ca_file"]) from error
    rest = {key: value for key, value in clean.items() if key not in ("token", "token_file", "headers", "ca_file")}
    return LookupSettings(
        tls=tls, headers=headers, **{_LOOKUP_NAMES.get(key, key): value for key, value in rest.items()}
    )


def _url(value: Any) -> Url:
    text = checks.text(value)
    if _FIXED.match(text) is None:
        hint = "as in http://host.example/weather?lat={{ data.lat }}: the host cannot come from the data"
        raise Wrong("must begin with http:// or https://, a host and a /", value, hint=hint)
    made: Url = checks.from_engine_text(lambda text: Url(text, NAMES))(text)
    return made


def _pick(value: Any) -> tuple[tuple[Field, Field], ...]:
    """A list of names, or (name here: name there)."""
    field = checks.from_engine_text(Field)
    if isinstance(value, list):
        return tuple((each, each) for each in checks.Each(field)(value))
    named = checks.Named(field, field)(value)
    return tuple((Field(name), source) for name, source in named.items())
