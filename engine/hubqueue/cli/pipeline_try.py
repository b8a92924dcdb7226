"""`hubqueue pipeline check` and `hubqueue pipeline try`: a pipeline file without a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubqueue.pipeline.plan import Pipeline
    from hubqueue.pipeline.trial import StepDid, Tried

_STYLES = {"left out": "yellow", "refused": "red", "waits": "red", "gathered": "cyan", "made": "green"}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the mistakes as JSON.")
def check(file: Path, as_json: bool) -> None:
    """Check a pipeline file without running it.

    Every mistake is listed at once with its line, its path and a hint. Exit code 3 when there are any.
    """
    from hubqueue.cli import output
    from hubqueue.cli.mistakes import mistakes_as

    with mistakes_as(as_json=as_json):
        found = _read(file)
    if as_json:
        output.print_json([])
    else:
        steps = ", ".join(step.name for step in found.steps) or "none"
        click.echo(f"The pipeline {found.name} is right: steps {steps}.")


@click.command("try")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sample", type=click.File("rb"), required=True, metavar="FILE", help="JSON lines; - reads the input.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def try_(file: Path, sample: Any, as_json: bool) -> None:
    """Show what each step of a pipeline does with each sample.

    A line of the sample file is the data of one record, or {"data": ..., "name": ..., "at": ...}. Nothing is sent
    anywhere; only look-ups are made. Exit code 1 when a sample is refused.

    \b
    hubqueue pipeline try minutes.yaml --sample messages.jsonl
    head -20 messages.jsonl | hubqueue pipeline try minutes.yaml --sample -
    """
    import asyncio
    import time

    from hubqueue.cli import output
    from hubqueue.pipeline.trial import read_samples, try_samples

    found = _read(file)
    name = Path(sample.name).name if sample.name not in ("-", "<stdin>") else "line"
    samples = read_samples(sample.read(), name, time.time_ns() // 1_000_000)
    tried = asyncio.run(try_samples(found, samples))
    if as_json:
        output.print_json([_as_json(each) for each in tried])
    else:
        console = output.console()
        for each in tried:
            for line in _lines(each, name):
                console.print(line, soft_wrap=True)
        click.echo(_summary(tried))
    if any(each.went_wrong for each in tried):
        raise click.exceptions.Exit(1)


def _read(file: Path) -> Pipeline:
    """The pipeline; where it writes to the hub's broker, any will do."""
    from hubqueue.config.pipelines import read_pipeline
    from hubqueue.mqttclient.broker import Broker

    return read_pipeline(file, broker=Broker.from_url("mqtt://127.0.0.1"))


def _lines(tried: Tried, name: str) -> Iterator[str]:
    if tried.record is None:
        yield "[bold]when all samples are in[/]"
    else:
        yield f"[bold]{_safe(name)}:{tried.line}[/]  {_safe(_text(tried.record.data))}"
    for step in tried.steps:
        style = _STYLES.get(step.did)
        word = f"[{style}]{step.did}[/]" if style else step.did
        first, *more = [*_changes(step), ""] if step.did != "refused" else [_safe(step.reason), ""]
        yield f"  {_safe(step.step):<12} {word}{f'  {first}' if first else ''}"
        yield from (f"  {'':<12} {line}" for line in more if line)
    for record in tried.out:
        yield f"  [green]goes on[/]      {_safe(_text(record.data))}" + (
            f"  to {_safe(record.aside)}" if record.aside else ""
        )
    yield ""


def _changes(step: StepDid) -> list[str]:
    """What became other, field by field where both are maps."""
    if step.did == "waits":
        return [_safe(step.reason)]
    if step.did == "made":
        return [_safe(_text(data)) for data in step.data]
    if step.did != "changed":
        return []
    if len(step.data) != 1 or not isinstance(step.before, dict) or not isinstance(step.data[0], dict):
        return [_safe(_text(data)) for data in step.data]
    before, after = step.before, step.data[0]
    lines = [f"[red]-[/] {_safe(str(key))}" for key in before if key not in after]
    lines += [
        f"[green]+[/] {_safe(str(key))}: {_safe(_text(value))}" for key, value in after.items() if key not in before
    ]
    lines += [
        f"[yellow]~[/] {_safe(str(key))}: {_safe(_text(before[key]))} -> {_safe(_text(value))}"
        for key, value in after.items()
        if key in before and before[key] != value
    ]
    return lines


def _summary(tried: list[Tried]) -> str:
    samples = [each for each in tried if each.record is not None]
    refused = sum(each.went_wrong for each in samples)
    out = sum(len(each.out) for each in tried)
    text = f"{len(samples)} samples, {out} records out"
    return f"{text}, {refused} refused." if refused else f"{text}."


def _as_json(tried: Tried) -> dict[str, Any]:
    sample = None if tried.record is None else _plain(tried.record.data)
    steps = [
        {"step": step.step, "did": step.did, "data": [_plain(data) for data in step.data]}
        | ({"reason": step.reason} if step.reason else {})
        for step in tried.steps
    ]
    out = [{"data": _plain(each.data), "name": each.name, "id": each.id} for each in tried.out]
    return {"line": tried.line, "sample": sample, "steps": steps, "out": out}


def _text(value: Any) -> str:
    import json

    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """As JSON can say it."""
    import msgspec

    return msgspec.to_builtins(value, str_keys=True)


def _safe(text: str) -> str:
    from hubqueue.cli.output import escape

    return escape(text)
