"""The keys of the flag step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import Wrong
from hubqueue.config.timeformat import TIME_KEYS, with_times
from hubqueue.expression import Text
from hubqueue.pipeline.fields import Field
from hubqueue.pipeline.flag import Flag, FlagSettings, Range, Rate, ZScore
from hubqueue.pipeline.record import NAMES
from hubqueue.pipeline.step import Step
from hubqueue.pipeline.times import TimeField


def flag() -> Check:
    field = checks.from_engine_text(Field)
    return checks.Section(
        {
            "range": checks.Named(field, range_check()),
            "rate": checks.Named(field, rate()),
            "zscore": checks.Named(field, zscore()),
            "by": checks.from_engine_text(lambda text: Text(text, NAMES)),
            "time": field,
            **TIME_KEYS,
            "into": field,
            "keys": checks.integer(1, 1_000_000),
        },
        build=_flag,
    )


def range_check() -> Check:
    limits = {"min": checks.number(-math.inf), "max": checks.number(-math.inf)}
    return checks.Section(limits, build=_range)


def rate() -> Check:
    return checks.Section(
        {"max": checks.number(0), "per": checks.duration_ms(1)},
        required=("max", "per"),
        build=lambda clean: Rate(clean["max"], clean["per"]),
    )


def zscore() -> Check:
    return checks.Section(
        {
            "over": checks.number(0.1, 1000),
            "window": checks.integer(2, 1_000_000),
            "warmup": checks.integer(2, 1_000_000),
            "least": checks.number(0),
        },
        build=lambda clean: ZScore(**clean),
    )


def _range(clean: dict[str, float]) -> Range:
    if not clean:
        raise Wrong("needs min or max")
    made = Range(clean.get("min", -math.inf), clean.get("max", math.inf))
    if made.low > made.high:
        raise Wrong("has a min above its max")
    return made


def _flag(clean: dict[str, Any]) -> Callable[[], Step]:
    kinds = {key: clean.pop(key, {}) for key in ("range", "rate", "zscore")}
    if not any(kinds.values()):
        raise Wrong(
            "checks nothing", hint="give range, rate or zscore, as in range: {temperature: {min: -40, max: 85}}"
        )
    times = with_times(clean).pop("times")
    if "time" in clean:
        clean["time"] = TimeField(clean["time"], times)
    pairs = {f"{kind}s": tuple((Field(name), how) for name, how in given.items()) for kind, given in kinds.items()}
    clean.setdefault("into", Field("flags"))
    return partial(Flag, FlagSettings(**{**pairs, **clean}))
