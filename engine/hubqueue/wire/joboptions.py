"""The options of jobs to come as the protocol takes them: the way back from `wire.jobin`.

For readers who change a schedule and must not lose what they do not know: they send these back as they are.
"""

from __future__ import annotations

from typing import Any

from hubqueue.model.job import ENDLESS, Options
from hubqueue.model.retry import Backoff


def options_out(options: Options) -> dict[str, Any]:
    """Only what differs from the default, under the names of a job's options."""
    given = {
        "backoff": None if options.backoff is None else _backoff(options.backoff),
        "timeout": options.timeout_ms,
        "ttl": options.ttl_ms,
        "keepTrying": options.keep_trying_ms,
        "stallTimeout": options.stall_timeout_ms,
        "lifo": options.lifo,
        "durable": options.durable,
        "removeOnComplete": options.remove_on_complete,
        "removeOnFail": options.remove_on_fail,
        "tags": list(options.tags),
        "groupId": options.group,
        "groupMaxSize": options.group_max_size,
    }
    found = {name: value for name, value in given.items() if value or (value == 0 and value is not False)}
    if options.stack_trace_limit != Options().stack_trace_limit:
        found["stackTraceLimit"] = options.stack_trace_limit
    return found


def attempts_out(max_attempts: int) -> dict[str, int]:
    """`maxAttempts`, of jobs that are not kept trying instead."""
    return {} if max_attempts == ENDLESS else {"maxAttempts": max_attempts}


def dedup_out(options: Options) -> dict[str, Any]:
    """`uniqueKey` and `dedup`, if it has a key."""
    rule = options.dedup
    if rule is None:
        return {}
    given = {"ttl": rule.ttl_ms, "extend": rule.extend, "replace": rule.replace}
    return {"uniqueKey": rule.key, "dedup": {name: value for name, value in given.items() if value}}


def _backoff(backoff: Backoff) -> dict[str, Any]:
    return {
        "type": backoff.kind,
        "delay": backoff.delay_ms,
        "maxDelay": backoff.max_ms,
        "jitter": backoff.jitter,
    }
