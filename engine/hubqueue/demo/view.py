"""What the demo shows: one picture a second on a terminal, one line every few seconds elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hubqueue.cli.output import escape, number, table
from hubqueue.cli.times import clock_ms, span
from hubqueue.model.verbs import Event, QueueInfo

if TYPE_CHECKING:
    from rich.console import RenderableType

_EVENT_STYLES = {"completed": "green", "failed": "red", "delayed": "yellow", "link": "magenta"}


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of what happened lately. Units: at_ms Unix milliseconds."""

    at_ms: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the edge hub can be looked into while it plays: by programs, and with a browser."""

    tcp: str
    dashboard: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the demo knows at one moment. Units: seconds; rates in jobs per second."""

    elapsed_s: float
    hour: float
    published: int
    queues: Sequence[QueueInfo]
    done_per_s: dict[str, float]
    uplink_open: bool
    link_state: str
    link_since_s: float
    waiting_to_forward: int
    forwarded: int
    central: int
    happenings: Sequence[Happening]


def render(picture: Picture, doors: Doors) -> RenderableType:
    """The whole picture for a terminal."""
    from rich.console import Group
    from rich.text import Text

    hours, minutes = int(picture.hour), int(picture.hour % 1 * 60)
    head = Text.from_markup(
        f"[bold]hubqueue demo[/]  {span(picture.elapsed_s)}, {hours:02d}:{minutes:02d} in the house, "
        f"{picture.published:,} MQTT messages published"
    )
    foot = Text.from_markup(
        f"Dashboard  [bold]{doors.dashboard}[/]   [dim]Ctrl-C ends it.[/]\n"
        f"[dim]From another terminal:  hubqueue queues --url {doors.tcp}[/]"
    )
    return Group(head, _queues(picture), _link(picture), "", _happenings(picture), "", foot)


def line(picture: Picture) -> str:
    """The picture in one line, where there is no terminal."""
    queues = ", ".join(
        f"{info.name} {info.counts.waiting + info.counts.prioritized} waiting/{info.counts.completed} done"
        f"/{info.counts.failed} dead"
        for info in picture.queues
    )
    return (
        f"{picture.elapsed_s:5.0f} s  published {picture.published}  {queues}  "
        f"uplink {'open' if picture.uplink_open else 'cut'}, link {picture.link_state}, "
        f"{picture.waiting_to_forward} to forward, {picture.central} at the central hub"
    )


def _queues(picture: Picture) -> RenderableType:
    columns = ("queue", "waiting", "retrying", "active", "done", "dead", "done/s")
    drawn = table(columns, right=columns[1:])
    for info in picture.queues:
        counts = info.counts
        drawn.add_row(
            escape(info.name),
            number(counts.waiting + counts.prioritized),
            f"[yellow]{counts.delayed}[/]" if counts.delayed else number(0),
            number(counts.active),
            f"[green]{counts.completed:,}[/]",
            f"[red]{counts.failed}[/]" if counts.failed else number(0),
            f"{picture.done_per_s.get(info.name, 0.0):.1f}",
        )
    return drawn


def _link(picture: Picture) -> RenderableType:
    from rich.text import Text

    wire = "[green]━━━━━━▶[/]" if picture.uplink_open else "[red]━━ ╳ ━━[/]"
    style = "green" if picture.link_state == "up" else "red"
    return Text.from_markup(
        f"edge hub  {wire}  central hub     link [{style}]{picture.link_state}[/] for {span(picture.link_since_s)}\n"
        f"[bold]{picture.waiting_to_forward:,}[/] wait here, {picture.forwarded:,} were forwarded, "
        f"[bold]{picture.central:,}[/] have arrived"
    )


def _happenings(picture: Picture) -> RenderableType:
    from rich.text import Text

    lines = []
    for one in picture.happenings:
        style = _EVENT_STYLES.get(one.kind, "default")
        lines.append(f"[dim]{clock_ms(one.at_ms)[:8]}[/]  [{style}]{one.kind:<9}[/] {escape(one.text)}")
    text = Text.from_markup("\n".join(lines) or "[dim]nothing has happened yet[/]", overflow="ellipsis")
    text.no_wrap = True
    return text


def told(event: Event) -> Happening | None:
    """The event as a line, if a person wants to see it: failures, retries and links, not every success."""
    if event.kind == "forwarder:link":
        link = msgspec.msgpack.decode(event.data or b"\x80")
        why = f" ({link['reason']})" if link.get("reason") else ""
        return Happening(event.at_ms, "link", f"the forwarder's link is {link.get('link')}{why}")
    if event.kind not in ("failed", "delayed", "retried", "stalled"):
        return None
    text = event.error or f"{event.job_id} waits for its next try"
    return Happening(event.at_ms, event.kind, f"{event.queue}: {text}")
