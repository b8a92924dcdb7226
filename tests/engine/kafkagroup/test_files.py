"""docs/fleet: the files parse, fit together and name only what exists. No image is run; docs/fleet.md says so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hubqueue import __version__
from hubqueue.cli.group import hubqueue
from hubqueue.config.load import load
from hubqueue.config.options import OPTIONS
from hubqueue.config.pipelines import read_pipeline
from hubqueue.kafkagroup.metrics import MemberMetrics
from hubqueue.kafkagroup.suited import check
from hubqueue.sources.address import kafka_address

ROOT = Path(__file__).parents[3]
FLEET = ROOT / "docs" / "fleet"
COMPOSE = yaml.safe_load((FLEET / "compose.yaml").read_text())
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((FLEET / "kubernetes.yaml").read_text()))
GUIDE = (ROOT / "docs" / "fleet.md").read_text()


def pods() -> Iterator[dict[str, Any]]:
    for each in OBJECTS:
        if each["kind"] in ("Deployment", "StatefulSet"):
            yield each["spec"]["template"]["spec"]


def containers() -> Iterator[dict[str, Any]]:
    for pod in pods():
        yield from pod["containers"]


def our_commands() -> list[list[str]]:
    ours = [service["command"] for service in COMPOSE["services"].values() if "hubqueue:" in service["image"]]
    return ours + [each["args"] for each in containers() if "hubqueue:" in each["image"]]


def test_every_image_is_pinned_and_ours_is_of_this_version() -> None:
    images = {service["image"] for service in COMPOSE["services"].values()} | {each["image"] for each in containers()}
    images |= set(re.findall(r"^FROM (\S+)", (FLEET / "Dockerfile").read_text(), re.MULTILINE))
    assert len(images) >= 7
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+[\w.-]*\Z", image), image
    assert f"hubqueue:{__version__}" in images
    assert f"hubqueue:{__version__}" in GUIDE


@pytest.mark.parametrize("words", our_commands(), ids=" ".join)
def test_every_command_of_ours_exists(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed by the command line itself; nothing is run."""
    command: click.Command = hubqueue
    context = click.Context(hubqueue)
    rest = list(words)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
    parsed = command.make_context(str(name), rest, parent=context)
    if "source" in parsed.params:
        assert kafka_address(parsed.params["source"]).group


def test_every_variable_of_ours_is_real() -> None:
    known = {option.variable for option in OPTIONS}
    group = hubqueue.get_command(click.Context(hubqueue), "pipeline")
    assert isinstance(group, click.Group)
    run = group.get_command(click.Context(group), "run")
    assert run is not None
    known |= {str(parameter.envvar) for parameter in run.params if parameter.envvar}
    texts = [path.read_text() for path in FLEET.rglob("*.yaml")] + [GUIDE]
    used = {name for text in texts for name in re.findall(r"HUBQUEUE_[A-Z_]+", text)} - {"HUBQUEUE_KAFKA_PASSWORD"}
    assert used
    assert used <= known


def test_what_compose_mounts_is_there() -> None:
    mounted = [
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert len(mounted) >= 6
    for file in mounted:
        assert (FLEET / file).is_file(), file
    named = {
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if not volume.startswith("./")
    }
    assert named == set(COMPOSE["volumes"])
    build = COMPOSE["x-hubqueue"]["build"]
    assert (FLEET / build["context"] / build["dockerfile"]).resolve() == FLEET / "Dockerfile"


def test_what_pods_mount_is_made_from_files_that_are_there() -> None:
    made = yaml.safe_load((FLEET / "kustomization.yaml").read_text())
    for each in made["configMapGenerator"]:
        for file in each["files"]:
            assert (FLEET / file.rpartition("=")[2]).is_file(), file
    maps = {each["name"] for each in made["configMapGenerator"]}
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        assert {volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume} <= maps
        for container in pod["containers"]:
            claims = {"data"}
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes.keys() | claims
    assert made["resources"] == ["kubernetes.yaml"]
    assert len({(each["kind"], each["metadata"]["name"]) for each in OBJECTS}) == len(OBJECTS)


def test_hosts_that_are_named_are_services_of_both() -> None:
    services = {each["metadata"]["name"] for each in OBJECTS if each["kind"] == "Service"}
    text = "".join((FLEET / name).read_text() for name in ("readings.yaml", "minutes.yaml", "gateway/hubqueue.yaml"))
    hosts = set(re.findall(r"(?:to|url): \w+://(?:\w+@)?([\w-]+):", text)) | {"kafka"}
    assert hosts == {"timescale", "kafka", "mosquitto"}
    assert hosts <= services
    assert hosts <= COMPOSE["services"].keys()


def test_the_configurations_are_right(tmp_path: Path) -> None:
    secret = tmp_path / "db-password"
    secret.write_text("x")
    for name in ("readings", "minutes"):
        file = tmp_path / f"{name}.yaml"
        file.write_text((FLEET / f"{name}.yaml").read_text().replace("/run/secrets/db-password", str(secret)))
        check(read_pipeline(file))
    config = load(FLEET / "gateway" / "hubqueue.yaml", environ={})
    assert config.mqtt is not None
    assert [each.queue for each in config.forwarders] == [config.mqtt.rules[0].queue]


def test_the_dashboard_asks_what_the_queries_say() -> None:
    """timescale.sql is run by the tests of the PostgreSQL sink; the dashboard holds nothing else."""
    queries = re.findall(
        r"^-- query: .*\n((?:(?!^-- query).*\n?)*)", (FLEET / "timescale.sql").read_text(), re.MULTILINE
    )
    known = {query.strip().rstrip(";") for query in queries}
    board = json.loads((FLEET / "grafana" / "fleet.json").read_text())
    asked = {target["rawSql"] for panel in board["panels"] for target in panel["targets"]}
    assert asked == known
    assert any("readings_1m" in sql for sql in asked)
    source = yaml.safe_load((FLEET / "grafana" / "datasource.yaml").read_text())["datasources"][0]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
    assert "aggregates" in (FLEET / "readings.yaml").read_text()


def test_the_guide_names_every_figure() -> None:
    for family in MemberMetrics("x").collect():
        assert family.name.removeprefix("hubqueue_pipeline") in GUIDE, family.name
