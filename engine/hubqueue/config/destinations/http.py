"""An HTTP server: http:// and https://, with the section `http`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.kind import Given, Kind, one_secret
from hubqueue.config.mistakes import Wrong
from hubqueue.forward.sinks.http.destination import HttpDestination
from hubqueue.forward.sinks.http.endpoint import Endpoint

SECTION: Final = "http"

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110, section 5.6.2
_OURS: Final = frozenset({"content-type", "content-length", "content-encoding", "idempotency-key", "host"})


def _keys(base: Path) -> Mapping[str, Check]:
    keys: dict[str, Check] = {
        "batch": checks.boolean,
        "body": checks.choice("data", "envelope"),
        "method": checks.choice("POST", "PUT", "PATCH"),
        "headers": checks.Named(_header, _header_value),
        "gzip": checks.boolean,
        "server_errors": checks.choice("link", "job"),
        **login_keys(base),
    }
    return {SECTION: checks.Section(keys)}


def login_keys(base: Path) -> dict[str, Check]:
    """The keys of any section that signs in by HTTP."""
    return {
        "token": checks.text,
        "token_file": checks.secret_file(base),
        "username": checks.text,
        "password": checks.text,
        "password_file": checks.secret_file(base),
    }


def signed_in(endpoint: Endpoint, section: Mapping[str, Any], name: str) -> Endpoint:
    """The endpoint with what those keys say. Errors: Wrong."""
    token = one_secret(section, "token", section=(name,))
    username = section.get("username", endpoint.username)
    password = one_secret(section, "password", section=(name,)) or endpoint.password
    if password is not None and username is None:
        raise Wrong("needs username beside it", path=[name, "password"])
    if token is not None and username is not None:
        raise Wrong("cannot be used together with username", hint="keep one of the two", path=[name, "token"])
    for key, secret in (("token", token), ("password", password)):
        if secret is not None and not secret.isprintable():
            raise Wrong("holds a character that cannot be sent", path=[name, key])
    return replace(endpoint, token=token, username=username, password=password)


def _build(given: Given, clean: Mapping[str, Any]) -> HttpDestination:
    section = clean.get(SECTION, {})
    endpoint = signed_in(Endpoint.from_url(given.to, tls=given.tls), section, SECTION)
    headers = section.get("headers", {})
    if "authorization" in {header.lower() for header in headers} and (endpoint.token or endpoint.username):
        raise Wrong("is said by token or username already", path=[SECTION, "headers", "Authorization"])
    batch = section.get("batch", False)
    return HttpDestination(
        replace(endpoint, headers=headers),
        batch=batch,
        body=section.get("body", "data"),
        method=section.get("method", "POST"),
        gzip=section.get("gzip", False),
        server_errors=section.get("server_errors", "link"),
        write_timeout_s=given.write_timeout_s,
    )


def _header(value: Any) -> str:
    text = checks.text(value)
    if _HEADER.match(text) is None:
        raise Wrong("is no name of a header", value)
    if text.lower() in _OURS:
        raise Wrong("is a header that the hub sets itself", value)
    return text


def _header_value(value: Any) -> str:
    text = checks.text(value)
    if not text.isprintable():
        raise Wrong("holds a character that cannot be sent in a header")
    return text


HTTP: Final = Kind({"https": True, "http": False}, _keys, checks.url("https", "http"), _build)
