"""Numbers and rules that the protocol takes in more forms than a struct can say, with texts of their own."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from hubqueue.errors import Invalid
from hubqueue.model.limits import MAX_COUNT
from hubqueue.model.throttle import ANY, Pull, Rate


def given(value: Any) -> Any:
    """The value; None when a JavaScript client sent `undefined` (MessagePack ext 0)."""
    return None if isinstance(value, msgspec.msgpack.Ext) and value.code == 0 else value


def finite(field: str, value: Any) -> float:
    """A number, or a text that is one. Errors: Invalid."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(f"{field} must be a finite number")
    return min(max(float(value), -MAX_COUNT), MAX_COUNT)


def positive(field: str, value: Any) -> int:
    """A whole number above 0. Errors: Invalid."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_COUNT:
        raise Invalid(f"{field} must be a positive safe integer")
    return value


def pull_of(group: Any) -> Pull:
    """What the `group` of a PULL says. Errors: Invalid."""
    group = given(group)
    if group is None:
        return ANY
    if not isinstance(group, dict):
        raise Invalid("group must be an object")
    fields = {key: value for key, value in group.items() if given(value) is not None or value is None}
    concurrency, limit = fields.get("concurrency"), fields.get("limit")
    affinity = fields.get("affinity")
    if affinity is not None and not isinstance(affinity, str):
        raise Invalid("group.affinity must be a string or null")
    wishes = Pull(
        concurrency=None if concurrency is None else positive("group.concurrency", concurrency),
        rate=None if limit is None else _rate(limit),
        group=affinity,
        plain_only="affinity" in fields and affinity is None,
    )
    return ANY if wishes == ANY else wishes


def _rate(limit: Any) -> Rate:
    if not isinstance(limit, dict):
        raise Invalid("group.limit must be an object")
    return Rate(
        positive("group.limit.max", given(limit.get("max"))),
        positive("group.limit.duration", given(limit.get("duration"))),
    )
