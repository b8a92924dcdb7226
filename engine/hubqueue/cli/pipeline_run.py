"""`hubqueue pipeline run`: a pipeline on a Kafka topic, without a hub, as one member of a consumer group."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--source",
    required=True,
    metavar="URL",
    envvar="HUBQUEUE_SOURCE",
    help="kafka://host:9092/topic?group=name; kafkas:// is encrypted.  [HUBQUEUE_SOURCE]",
)
@click.option(
    "--payload",
    type=click.Choice(["json", "text", "number", "msgpack"]),
    default="json",
    show_default=True,
    help="How records are read.",
)
@click.option("--dead-letters", metavar="TOPIC", help="Where refused records go; without it they are logged.")
@click.option(
    "--metrics",
    default="127.0.0.1:9464",
    show_default=True,
    metavar="HOST:PORT",
    envvar="HUBQUEUE_METRICS",
    help="Where /metrics, /health and /ready are.  [HUBQUEUE_METRICS]",
)
@click.option("--session", default=10.0, show_default=True, metavar="SECONDS", help="Silence until others take over.")
@click.option(
    "--instance",
    metavar="NAME",
    envvar="HUBQUEUE_INSTANCE",
    help="One of its own for each, the same after a restart: then its partitions wait for it, as long as a session."
    "  [HUBQUEUE_INSTANCE]",
)
@click.option("--username", envvar="HUBQUEUE_KAFKA_USERNAME", help="[HUBQUEUE_KAFKA_USERNAME]")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Its password; or in HUBQUEUE_KAFKA_PASSWORD.",
)
@click.option(
    "--mechanism",
    type=click.Choice(["scram-sha-512", "scram-sha-256", "plain"]),
    default="scram-sha-512",
    show_default=True,
)
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Private CA of the brokers.")
@click.option("--cert-file", type=click.Path(exists=True, dir_okay=False), help="Client certificate.")
@click.option("--key-file", type=click.Path(exists=True, dir_okay=False), help="Its key.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", envvar="HUBQUEUE_LOG_FORMAT")
def run(
    file: Path,
    source: str,
    payload: str,
    dead_letters: str | None,
    metrics: str,
    session: float,
    instance: str | None,
    username: str | None,
    password_file: Path | None,
    mechanism: str,
    ca_file: str | None,
    cert_file: str | None,
    key_file: str | None,
    log_level: str,
    log_format: str,
) -> None:
    """Run a pipeline on a Kafka topic, without a hub.

    Start it several times, on as many machines as you like: the instances share the partitions of the topic, and
    take over from each other. Offsets are committed after the sinks have written.

    \b
    Example:
      hubqueue pipeline run minutes.yaml --source 'kafka://kafka:9092/readings?group=minutes'
    """
    import os
    from dataclasses import replace
    from typing import Literal, cast

    import uvloop

    from hubqueue import logs
    from hubqueue.client.address import Tls
    from hubqueue.config.pipelines import read_pipeline
    from hubqueue.errors import ConfigError
    from hubqueue.model.decode import Payload
    from hubqueue.sources.address import check_instance, kafka_address
    from hubqueue.sources.settings import Mechanism

    try:
        from hubqueue.kafkagroup.run import main
        from hubqueue.kafkagroup.source import From
    except ImportError as error:
        raise ConfigError("the Kafka library is missing", hint="pip install 'hubqueue[kafka]'") from error

    said = kafka_address(source)
    if said.group is None:
        raise ConfigError("the source names no consumer group", hint=f"write {source}?group=name")
    if not said.encrypted and (ca_file or cert_file or key_file):
        raise ConfigError("certificate files make no sense with kafka://", hint="write kafkas:// in --source")
    password = said.password or os.environ.get("HUBQUEUE_KAFKA_PASSWORD")
    if password_file is not None:
        password = password_file.read_text(encoding="utf-8").strip()
    username = username or said.username
    if (username is None) != (password is None):
        raise ConfigError("username and password go together", hint="--password-file, or HUBQUEUE_KAFKA_PASSWORD")
    brokers = replace(
        said.brokers,
        tls=Tls(ca_file, cert_file, key_file) if said.encrypted else None,
        username=username,
        password=password,
        mechanism=cast(Mechanism, mechanism.upper()),
    )
    host, _, port = metrics.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--metrics {metrics!r} is no address", hint="as in 0.0.0.0:9464")
    logs.configure(log_level, cast(Literal["text", "json"], log_format))
    uvloop.run(
        main(
            read_pipeline(file),
            From(
                brokers=brokers,
                topics=said.topics,
                group=said.group,
                payload=Payload(payload),
                session_s=session,
                instance=None if instance is None else check_instance(instance),
                dead_letters=dead_letters,
            ),
            host,
            int(port),
        )
    )
