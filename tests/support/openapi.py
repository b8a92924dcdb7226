"""An answer of REST beside its description in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator

from hubqueue.servers.http.rest.route import PREFIX

Node = dict[str, Any]


def resolved(schemas: Node, schema: Node) -> Node:
    while "$ref" in schema:
        schema = schemas["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def alternatives(schemas: Node, schema: Node) -> list[Node]:
    schema = resolved(schemas, schema)
    found = [each for kind in ("anyOf", "oneOf", "allOf") for each in schema.get(kind, [])]
    return [each for one in found for each in alternatives(schemas, one)] or [schema]


def unsaid(schemas: Node, schema: Node, value: Any, path: str = "") -> Iterator[str]:
    """Keys of an answer that are not described."""
    kinds = alternatives(schemas, schema)
    if isinstance(value, list):
        for kind in kinds:
            for each in value if "items" in kind else ():
                yield from unsaid(schemas, kind["items"], each, f"{path}[]")
    elif isinstance(value, dict):
        described = [kind for kind in kinds if "properties" in kind]
        properties = {name: each for kind in described for name, each in kind["properties"].items()}
        for name, each in value.items() if described else ():
            if name in properties:
                yield from unsaid(schemas, properties[name], each, f"{path}.{name}")
            else:
                yield f"{path}.{name} is not described"


def wrong(schemas: Node, method: str, path: str, value: Any) -> list[str]:
    """What a good answer of a path has that its description has not, or otherwise."""
    schema = answer_schema(schemas, method, path)
    validator = Draft202012Validator(schema | {"components": schemas["components"]})
    return [str(error) for error in validator.iter_errors(value)] + list(unsaid(schemas, schema, value))


def answer_schema(schemas: Node, method: str, path: str) -> Node:
    responses = schemas["paths"][PREFIX + path][method.lower()]["responses"]
    good = responses[min(status for status in responses if status.startswith("2"))]
    found: Node = good["content"]["application/json"]["schema"]
    return found
