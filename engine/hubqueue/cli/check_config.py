"""`hubqueue check-config`: is the configuration right?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check-config")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the mistakes as JSON.")
def check_config(file: Path | None, as_json: bool) -> None:
    """Check the configuration without starting.

    Every mistake is listed at once with its line, its path and a hint. Exit code 3 when there are any.

    \b
    Examples:
      hubqueue check-config
      hubqueue check-config /etc/hubqueue.yaml
    """
    from hubqueue.cli import output
    from hubqueue.cli.mistakes import mistakes_as
    from hubqueue.config.load import load

    with mistakes_as(as_json=as_json):
        config = load(file)
    if as_json:
        output.print_json([])
        return
    parts = [f"job file {config.data_path}", f"tcp {config.tcp.host}:{config.tcp.port}"]
    if config.mqtt is not None:
        parts.append(_counted(len(config.mqtt.rules), "MQTT rule"))
    if config.sources:
        parts.append(_counted(len(config.sources), "source"))
    if config.forwarders:
        parts.append(_counted(len(config.forwarders), "forwarder"))
    if config.pipelines:
        parts.append(_counted(len(config.pipelines), "pipeline"))
    elif any(path.startswith("pipelines") for path in config.origins):
        parts.append("no pipelines, as no file has such a name")
    if config.handlers is not None:
        parts.append(f"handlers in {config.handlers.folder}")
    click.echo(f"The configuration is right: {', '.join(parts)}.")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
