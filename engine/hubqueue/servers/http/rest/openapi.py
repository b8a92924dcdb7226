"""The OpenAPI 3.1 document, made of the table of routes and the types that requests are checked with."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from hubqueue.commands.table import BY_NAME
from hubqueue.errors import (
    Busy,
    Forbidden,
    HubqueueError,
    Internal,
    Invalid,
    Malformed,
    NotAcceptable,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    StoreError,
    UnsupportedMedia,
)
from hubqueue.servers.http.problem import CONTENT_TYPE, Problem
from hubqueue.servers.http.rest.fields import IN_PATH, IdempotencyKey
from hubqueue.servers.http.rest.formats import BYTES, CSV, PACKED
from hubqueue.servers.http.rest.reading import JSON, KEY
from hubqueue.servers.http.rest.route import PREFIX, Route
from hubqueue.servers.http.rest.routes import ROUTES

OPENAPI: Final = "3.1.0"
REF: Final = "#/components/schemas/{name}"
EVERYWHERE: Final = (NotAuthenticated, Forbidden, NotAcceptable, Invalid, Busy, StoreError, Internal)
WITH_BODY: Final = (Malformed, UnsupportedMedia, PayloadTooLarge)
TITLE: Final = "hubqueue"
ABOUT: Final = (
    "A durable job queue. Errors are problem documents (RFC 9457) with a stable `code`. Times are Unix milliseconds."
)

Node = dict[str, Any]


@functools.cache
def document(version: str) -> bytes:
    """The document as JSON. version: of this hub."""
    schemas = _Schemas()
    paths: dict[str, Node] = {}
    for route in ROUTES:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return msgspec.json.encode(
        {
            "openapi": OPENAPI,
            "info": {"title": TITLE, "version": version, "description": ABOUT, "license": {"name": "Apache-2.0"}},
            "paths": paths,
            "components": {
                "schemas": schemas.components,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"token": []}],
            "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in ROUTES)],
        }
    )


class _Schemas:
    """Schemas of types, with the structs in them gathered as components."""

    def __init__(self) -> None:
        self.components: Node = {}

    def of(self, kind: Any) -> Node:
        (schema,), found = msgspec.json.schema_components([kind], ref_template=REF)
        self._gather(found)
        return schema

    def fields(self, struct: type[msgspec.Struct]) -> Iterable[tuple[str, Node]]:
        """The fields of a struct as parameters of their own."""
        _, found = msgspec.json.schema_components([struct], ref_template=REF)
        properties: Node = found.pop(struct.__name__)["properties"]
        self._gather(found)
        return properties.items()

    def _gather(self, found: Node) -> None:
        for name, schema in found.items():
            assert self.components.setdefault(name, schema) == schema, f"two types are named {name}"


def _operation(route: Route, schemas: _Schemas) -> Node:
    operation: Node = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": _parameters(route, schemas),
        "responses": _responses(route, schemas),
    }
    needs = scopes_of(route)
    if needs:
        operation["description"] = f"Scope: {' or '.join(needs)}."
    body = _body(route, schemas)
    if body is not None:
        operation["requestBody"] = body
    return operation


def scopes_of(route: Route) -> list[str]:
    """Any of these scopes lets a token use the route; none: every token may."""
    command = BY_NAME.get(route.command)
    return [] if command is None else [str(scope) for scope in command.row.needs]


def _parameters(route: Route, schemas: _Schemas) -> list[Node]:
    found = [_parameter("path", name, schemas.of(IN_PATH[name]), required=True) for name in route.parameters]
    for struct in (route.query, route.headers):
        if struct is not None:
            found += [_parameter("query", name, schema) for name, schema in schemas.fields(struct)]
    if route.enqueues:
        found.append(_parameter("header", KEY, schemas.of(IdempotencyKey)))
    return found


def _parameter(where: str, name: str, schema: Node, *, required: bool = False) -> Node:
    parameter: Node = {"name": name, "in": where, "schema": schema}
    if required or (where == "query" and name == "confirm"):
        parameter["required"] = True
    if schema.get("type") == "array":
        parameter |= {"style": "form", "explode": False}
    return parameter


def _body(route: Route, schemas: _Schemas) -> Node | None:
    if route.media:
        return {"required": True, "content": {media: _medium(media, route.example) for media in route.media}}
    if route.body is None:
        return None
    content: Node = {"schema": schemas.of(route.body)}
    if route.example is not None:
        content["example"] = route.example
    return {"required": not route.body_optional, "content": {JSON: content}}


def _medium(media: str, example: Any) -> Node:
    if media == JSON:
        return {"schema": {}, "example": example}
    if media in (BYTES, *PACKED):
        return {"schema": {"type": "string", "format": "binary"}}
    return {"schema": {"type": "string"}, "example": "temperature\n21.5\n" if media == CSV else "21.5"}


def _responses(route: Route, schemas: _Schemas) -> Node:
    status = 204 if route.reply is None else route.status
    responses: Node = {str(status): _good(route, schemas, "Done" if route.reply is None else route.summary)}
    for other, meaning in route.also.items():
        responses[str(other)] = _good(route, schemas, meaning)
    problem = {"content": {CONTENT_TYPE: {"schema": schemas.of(Problem)}}}
    for code, errors in sorted(_errors(route).items()):
        responses[str(code)] = {"description": "; ".join(sorted(errors)), **problem}
    return responses


def _good(route: Route, schemas: _Schemas, meaning: str) -> Node:
    good: Node = {"description": meaning}
    if route.reply is not None:
        good["content"] = {JSON: {"schema": schemas.of(route.reply)}}
    if route.enqueues:
        good["headers"] = {
            "Idempotency-Replayed": {
                "description": "Nothing was done again: this is the first answer under the key",
                "schema": {"type": "string", "const": "true"},
            }
        }
    return good


def _errors(route: Route) -> dict[int, set[str]]:
    """Codes that may be answered, by status."""
    may: list[type[HubqueueError]] = [*EVERYWHERE, *route.errors]
    if route.body is not None or route.media:
        may += WITH_BODY
    if route.parameters:
        may.append(NotFound)
    found: dict[int, set[str]] = {}
    for error in may:
        found.setdefault(error.status, set()).add(error.code)
    found.setdefault(HTTPStatus.SERVICE_UNAVAILABLE, set()).add("draining")
    return found
