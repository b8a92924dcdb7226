"""What somebody should know, in plain words, from the data of `Overview`. Pure.

Rules: the worst first; each says what happens to the jobs and leads to where something can be done; few enough to
read, so many of a kind become one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from hubqueue.ui.formats import Lasting, Moment, Size

Value = str | int | Moment | Lasting | Size

IDLE_MS: Final = 60_000  # a queue nobody takes from is worth a word after this long; workers come back sooner
MOST_OF_A_KIND: Final = 3  # of more queues in the same trouble the rest is summed up
LITTLE_BYTES: Final = 200_000_000  # free space below this is worth a word before it is gone
UNROUTABLE: Final = "_unroutable"
TONES: Final = ("bad", "warn", "calm")


class Alert(msgspec.Struct, frozen=True):
    """key: of the text `alert.<key>`; values: what it names; link, query and act: where to do something, and what."""

    tone: str
    key: str
    values: dict[str, Value]
    link: str
    act: str = "show"
    query: dict[str, str] = msgspec.field(default_factory=dict)


def alerts(overview: Mapping[str, Any]) -> list[Alert]:
    """All that is worth a word now, the worst first."""
    found = [
        *_storage(overview["storage"]),
        *_broker(overview["mqtt"]),
        *_forwarders(overview["forwarders"]),
        *_dead(overview["queues"]),
        *_left(overview),
        *_paused(overview["queues"]),
    ]
    return sorted(found, key=lambda alert: TONES.index(alert.tone))


def _storage(storage: Mapping[str, Any]) -> Iterator[Alert]:
    free = storage.get("freeBytes")
    if storage["diskFull"]:
        yield Alert("bad", "disk_full", {}, "/settings")
    elif free is not None and free < LITTLE_BYTES:
        yield Alert("warn", "disk_low", {"free": Size(free)}, "/settings")


def _broker(mqtt: Mapping[str, Any] | None) -> Iterator[Alert]:
    if mqtt is None:
        return
    for link in mqtt["links"]:
        if not link["up"]:
            yield Alert("bad", "broker_down", {"since": Moment(link["since"]), "broker": mqtt["broker"]}, "/rules")
    if mqtt["dropped"]:
        yield Alert("bad", "dropped", {"count": mqtt["dropped"]}, "/rules")


def _forwarders(forwarders: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    for one in forwarders:
        behind = one["waiting"] + one["delayed"]
        values: dict[str, Value] = {"name": one["name"], "count": behind}
        if one["paused"]:
            if behind:
                yield Alert("warn", "forwarder_paused", values, "/forwarders", "resume")
        elif one["link"] == "down":
            key = "uplink_refused" if one["alert"] else "uplink_down"
            yield Alert("bad", key, {**values, "since": Moment(one["linkSince"])}, "/forwarders")


def _dead(queues: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    return _summed(
        (queue for queue in queues if queue["failed"]),
        "failed",
        lambda queue: Alert(
            "warn",
            "unroutable" if queue["name"] == UNROUTABLE else "dead",
            {"count": queue["failed"], "queue": queue["name"]},
            "/dead",
            query={"queue": queue["name"]},
        ),
        Alert("warn", "dead_more", {}, "/dead"),
    )


def _left(overview: Mapping[str, Any]) -> Iterator[Alert]:
    """Queues that nobody takes from; a hub that has just started cannot know yet."""
    if overview["hub"]["uptimeMs"] < IDLE_MS:
        return iter(())
    forwarded = {forwarder["queue"] for forwarder in overview["forwarders"]}
    return _summed(
        (queue for queue in overview["queues"] if queue["name"] not in forwarded and _is_left(queue)),
        "oldestMs",
        lambda queue: Alert(
            "warn",
            "no_worker",
            {"count": _ready(queue), "queue": queue["name"], "age": Lasting(queue["oldestMs"])},
            f"/queues/{queue['name']}",
        ),
        Alert("warn", "no_worker_more", {}, "/"),
    )


def _paused(queues: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    return _summed(
        (queue for queue in queues if queue["paused"] and _ready(queue)),
        "waiting",
        lambda queue: Alert(
            "calm",
            "queue_paused",
            {"count": _ready(queue), "queue": queue["name"]},
            f"/queues/{queue['name']}",
            "resume",
        ),
        Alert("calm", "queue_paused_more", {}, "/"),
    )


def _ready(queue: Mapping[str, Any]) -> int:
    waiting: int = queue["waiting"] + queue["prioritized"]
    return waiting


def _is_left(queue: Mapping[str, Any]) -> bool:
    """Whether jobs wait and nobody takes them."""
    took = queue["active"] or queue["completedPerMinute"] or queue["failedPerMinute"]
    return not queue["paused"] and not took and _ready(queue) > 0 and (queue["oldestMs"] or 0) >= IDLE_MS


def _summed(
    found: Iterable[Mapping[str, Any]],
    weight: str,
    told: Callable[[Mapping[str, Any]], Alert],
    rest: Alert,
) -> Iterator[Alert]:
    """An alert for each of the heaviest queues, one for all others. rest gets their number as `count`."""
    heavy = sorted(found, key=lambda queue: (-(queue[weight] or 0), queue["name"]))
    # one more is not summed up: "and 1 more queue" is no shorter than naming it
    shown = len(heavy) if len(heavy) <= MOST_OF_A_KIND + 1 else MOST_OF_A_KIND
    for queue in heavy[:shown]:
        yield told(queue)
    if heavy[shown:]:
        yield msgspec.structs.replace(rest, values={"count": len(heavy) - shown})
