"""The first page: what somebody should know, jobs by state, the queues, and how it went lately as charts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.ui.alerts import alerts
from hubqueue.ui.formats import duration, size
from hubqueue.ui.render import page, texts_of
from hubqueue.ui.requestcontext import session_of, swaps
from hubqueue.ui.text import Texts

SPANS: Final = ("15m", "1h", "6h", "24h")
STATES: Final = ("waiting", "prioritized", "delayed", "active", "waiting-children", "completed", "failed")
IN_OVERVIEW: Final = {"waiting-children": "waitingChildren"}  # what `Overview` calls a state, where it differs
COLUMNS: Final = (  # a phone shows the first ones without scrolling
    "name",
    "waiting",
    "failed",
    "active",
    "delayed",
    "oldestMs",
    "enqueuedPerMinute",
    "completedPerMinute",
    "completed",
)
MOST_QUEUES: Final = 100  # rows: 10 ms of rendering; the search finds the others
SEARCHED: Final = 10_000  # queues


class Chart(msgspec.Struct, frozen=True):
    """One figure: its series are those of `History`. unit: how values are written."""

    name: str
    unit: str
    series: tuple[str, ...]


CHARTS: Final = (
    Chart("throughput", "rate", ("enqueued", "completed", "failed")),
    Chart("latency", "time", ("waitP50Ms", "waitP95Ms", "runP50Ms", "runP95Ms")),
    Chart("backlog", "count", ("waiting",)),
    Chart("lag", "time", ("oldestMs", "lagMs")),
)


async def show(request: web.Request) -> web.Response:
    """The page, or its live part for htmx."""
    wanted = request.query.get("q", "").strip()
    options = {"limit": SEARCHED} if wanted else {}
    overview = msgspec.to_builtins(await session_of(request).ask("Overview", **options))
    known = alerts(overview)
    overview["totals"] = {state: overview["totals"][IN_OVERVIEW.get(state, state)] for state in (*STATES, "expired")}
    for queue in overview["queues"]:
        queue["waiting"] += queue.pop("prioritized")  # one column: what is ready to be taken
    sort = Sort.of(request.query.get("sort", ""))
    queues = sort.sorted([queue for queue in overview["queues"] if wanted.lower() in queue["name"].lower()])
    span = request.query.get("span", "")
    return page(
        request,
        "overview_state.html" if swaps(request) else "overview.html",
        overview=overview,
        alerts=known,
        states=STATES,
        queues=queues[:MOST_QUEUES],
        more=max(0, (len(queues) if wanted else overview["queueCount"]) - MOST_QUEUES),
        total=overview["queueCount"],
        columns=[{"name": name, "link": sort.toggled(name), "now": sort.now(name)} for name in COLUMNS],
        sort=sort.text,
        q=wanted,
        facts=_facts(overview, texts_of(request)),
        charts=CHARTS,
        spans=SPANS,
        span=span if span in SPANS else SPANS[1],
    )


async def history(request: web.Request) -> web.Response:
    """The samples of a span for the charts; what JSON cannot say is unknown."""
    span = request.query.get("span", "")
    found = msgspec.to_builtins(await session_of(request).ask("History", span=span if span in SPANS else SPANS[1]))
    known = {name: [_known(value) for value in values] for name, values in found["series"].items()}
    body = msgspec.json.encode({"times": found["times"], "series": known})
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


class Sort(msgspec.Struct, frozen=True):
    """By which column the queues stand, and which way."""

    column: str
    descending: bool

    @classmethod
    def of(cls, text: str) -> Sort:
        """From the address: `waiting`, or `-waiting` for the most first."""
        column = text.removeprefix("-")
        return cls(column, text.startswith("-")) if column in COLUMNS else cls("name", False)

    @property
    def text(self) -> str:
        return "-" * self.descending + self.column

    def toggled(self, column: str) -> str:
        """What a click on a column's head asks for: numbers start with the most."""
        if column == self.column:
            return column if self.descending else f"-{column}"
        return column if column == "name" else f"-{column}"

    def now(self, column: str) -> str:
        """As aria-sort says it; empty for the other columns."""
        return "" if column != self.column else "descending" if self.descending else "ascending"

    def sorted(self, queues: list[Any]) -> list[Any]:
        by_name = sorted(queues, key=lambda queue: queue["name"])
        if self.column == "name":
            return by_name[::-1] if self.descending else by_name
        return sorted(by_name, key=lambda queue: queue[self.column] or 0, reverse=self.descending)


def _facts(overview: Mapping[str, Any], t: Texts) -> list[dict[str, str]]:
    hub, storage = overview["hub"], overview["storage"]
    return [
        {"name": "hub", "value": hub["hubId"]},
        {"name": "version", "value": hub["version"]},
        {"name": "uptime", "value": duration(t, hub["uptimeMs"])},
        {"name": "used", "value": size(t, storage["usedBytes"])},
        {"name": "wal", "value": size(t, storage["walBytes"])},
        {"name": "free", "value": size(t, storage.get("freeBytes"))},
    ]


ROUTES: Final = (web.get("/", show), web.get("/history.json", history))
