"""config.yaml of the app: the Supervisor's rules, a rating of 8, and one truth with engine and translations."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import voluptuous as vol
import yaml

import hubqueue
from hubqueue.config import schema
from hubqueue.config.checks import Section
from hubqueue.container.layout import Layout
from hubqueue.container.options import FORWARDER, OPTIONS
from hubqueue.supervisor import SERVICE

ROOT: Final = Path(__file__).parents[2]
ADDON: Final = ROOT / "addon"
CONFIG: Final[dict[str, Any]] = yaml.safe_load((ADDON / "config.yaml").read_text(encoding="utf-8"))

# one element of an options schema, as the Supervisor reads it
ELEMENT: Final = re.compile(
    r"^(?:|str(?:\((?:\d+)?,(?:\d+)?\))?|bool|email|url|port|device(?:\((?:subsystem=[a-z]+)\))?|match\(.*\)"
    r"|list\(.+\)|password(?:\((?:\d+)?,(?:\d+)?\))?|(?:int|float)(?:\((?:[\d.-]+)?,(?:[\d.-]+)?\))?)\??$"
)
MAP: Final = re.compile(
    r"^(data|config|ssl|addons|backup|share|media|homeassistant_config|all_addon_configs|addon_config|app_config)"
    r"(?::(rw|ro))?$"
)
PORT: Final = re.compile(r"^\d+(?:/tcp|/udp)?$")
slug: Final = vol.Match(r"^[-_.A-Za-z0-9]+$")
element: Final = vol.Match(ELEMENT)
# keys that this app uses or might; an unknown one is a mistake, for the Supervisor drops it in silence
SUPERVISOR: Final = vol.Schema(
    {
        vol.Required("name"): str,
        vol.Required("version"): str,
        vol.Required("slug"): slug,
        vol.Required("description"): str,
        vol.Required("arch"): vol.All([vol.In({"aarch64", "amd64"})], vol.Unique()),
        "url": vol.Url(),
        "image": vol.Match(r"^([a-zA-Z\-\.:\d{}]+/)*?([\-\w{}]+)/([\-\w{}]+)$"),
        "homeassistant": vol.Match(r"^\d{4}\.\d{1,2}\.\d+$"),
        "startup": vol.In({"initialize", "system", "services", "application", "once"}),
        "boot": vol.In({"auto", "manual", "manual_only"}),
        "init": bool,
        "stage": vol.In({"stable", "experimental", "deprecated"}),
        "timeout": vol.All(int, vol.Range(10, 300)),
        "discovery": [str],
        "services": [vol.Match(r"^(mqtt|mysql):(provide|want|need)$")],
        "map": [vol.Match(MAP)],
        "ingress": bool,
        "ingress_port": vol.All(int, vol.Range(0, 65535)),
        "ingress_stream": bool,
        "panel_icon": vol.Match(r"^mdi:[a-z0-9-]+$"),
        "panel_title": str,
        "panel_admin": bool,
        "ports": {vol.Match(PORT): vol.Any(None, vol.All(int, vol.Range(1, 65535)))},
        "backup": vol.In({"hot", "cold"}),
        "backup_pre": str,
        "backup_post": str,
        "backup_exclude": [str],
        "options": dict,
        "schema": {slug: vol.Any(element, [vol.Any(element, {slug: vol.Any(element, [element])})], {slug: element})},
    }
)
DEFAULTS: Final = {"boot": "auto", "init": True, "stage": "stable", "ingress_port": 8099, "panel_admin": True}


def texts(language: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ADDON / "translations" / f"{language}.yaml").read_text(encoding="utf-8"))
    return found


def rating(config: dict[str, Any]) -> int:
    """The security rating, by the Supervisor's own sum."""
    points = 5
    points += 1 if (ADDON / "apparmor.txt").exists() and config.get("apparmor", True) else 0
    points -= 1 if config.get("apparmor") is False else 0
    points += 2 if config.get("ingress") else 1 if config.get("auth_api") else 0
    points -= 1 if config.get("privileged") or config.get("kernel_modules") else 0
    points -= {"manager": 1, "admin": 2}.get(config.get("hassio_role", "default"), 0)
    points -= 1 if config.get("host_network") else 0
    points -= 2 if config.get("host_pid") else 0
    points -= 1 if config.get("host_uts") else 0
    return 1 if config.get("docker_api") or config.get("full_access") else max(min(8, points), 1)


def test_the_supervisor_would_take_it() -> None:
    SUPERVISOR(CONFIG)
    assert [key for key, value in DEFAULTS.items() if CONFIG.get(key, "unset") == value] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"arch": ["armv7"]},
        {"timeout": 5},
        {"map": ["addon_config:write"]},
        {"schema": {"log_level": "choice(a|b)"}},
        {"ports": {"6789": 0}},
        {"watchdog": "tcp://x"},
    ],
)
def test_a_wrong_config_is_found(wrong: dict[str, Any]) -> None:
    with pytest.raises(vol.Invalid):
        SUPERVISOR({**CONFIG, **wrong})


def test_its_security_rating_is_the_best() -> None:
    assert rating(CONFIG) == 8
    assert rating({**CONFIG, "host_network": True}) == 7


def test_the_default_options_fit_the_schema() -> None:
    required = {name for name, kind in CONFIG["schema"].items() if not (isinstance(kind, str) and kind.endswith("?"))}
    assert set(CONFIG["options"]) == required
    levels = re.fullmatch(r"list\((.*)\)", CONFIG["schema"]["log_level"])
    assert levels is not None
    assert CONFIG["options"]["log_level"] in levels[1].split("|")


def test_options_are_the_engines_keys() -> None:
    assert set(CONFIG["schema"]) == set(OPTIONS)
    (forwarder,) = CONFIG["schema"]["forwarders"]
    assert tuple(forwarder) == FORWARDER
    section = schema.config(Path())
    for path in (path for paths in OPTIONS.values() for path in paths):
        check: Any = section
        for key in path:
            assert isinstance(check, Section)
            check = check.keys[str(key)]
    assert isinstance(section, Section)
    forwarders: Any = section.keys["forwarders"]
    assert set(FORWARDER) <= set(forwarders.check.keys)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_option_and_port_is_translated(language: str) -> None:
    found = texts(language)
    assert set(found) == {"configuration", "network"}
    assert set(found["configuration"]) == set(CONFIG["schema"])
    assert set(found["configuration"]["forwarders"]["fields"]) == set(FORWARDER)
    assert set(found["network"]) == set(CONFIG["ports"])
    entries = [*found["configuration"].values(), *found["configuration"]["forwarders"]["fields"].values()]
    assert all(entry["name"].strip() and entry["description"].strip() for entry in entries)


def test_translations_differ() -> None:
    english, german = texts("en")["configuration"], texts("de")["configuration"]
    assert [name for name in english if english[name]["description"] == german[name]["description"]] == []


def test_backups_leave_out_what_lives() -> None:
    layout = Layout()
    assert set(CONFIG["backup_exclude"]) == {path.name for path in (layout.live, layout.here, layout.certificates)}
    assert str(layout.token) in CONFIG["backup_pre"]


def test_versions_and_names_agree() -> None:
    assert CONFIG["version"] == hubqueue.__version__
    assert f"## {CONFIG['version']}" in (ADDON / "CHANGELOG.md").read_text(encoding="utf-8")
    assert CONFIG["discovery"] == [SERVICE]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "app.yml").read_text(encoding="utf-8"))
    assert CONFIG["image"].endswith(f"/{workflow['env']['IMAGE']}")
    assert yaml.safe_load(workflow["env"]["ARCHITECTURES"]) == sorted(CONFIG["arch"], key=lambda arch: arch != "amd64")
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text(encoding="utf-8"))
    assert repository["url"] == CONFIG["url"]


@pytest.mark.parametrize(("name", "width", "height"), [("icon", 128, 128), ("logo", 250, 100)])
def test_pictures_have_their_size(name: str, width: int, height: int) -> None:
    assert (ADDON / f"{name}.svg").exists()
    png = (ADDON / f"{name}.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (width, height)


def test_the_apparmor_profile_can_be_read() -> None:
    checked = subprocess.run(
        ["/usr/sbin/apparmor_parser", "--skip-kernel-load", "--skip-cache", str(ADDON / "apparmor.txt")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr
    assert "profile hubqueue " in (ADDON / "apparmor.txt").read_text(encoding="utf-8")


def test_the_image_pins_what_the_engine_needs() -> None:
    engine = tomllib.loads((ROOT / "engine" / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ADDON / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    project, wanted = engine["project"], [*engine["project"]["dependencies"], "hubqueue[app]"]
    needed = set()
    for each in wanted:  # an extra that names others is followed
        name, extras = re.match(r"([\w-]+)(?:\[([\w,]+)\])?", each).groups()  # type: ignore[union-attr]
        if name == "hubqueue":
            wanted += [more for extra in extras.split(",") for more in project["optional-dependencies"][extra]]
        else:
            needed.add(name.lower())
    assert {"pint", "aiokafka"} < needed
    assert needed - pinned == set()


def test_another_engine_fetches_no_library_anew() -> None:
    """What is copied for a step of the build is what it depends on: the pins alone, then the engine."""
    build = (ADDON / "Dockerfile").read_text(encoding="utf-8").partition("\nFROM ${BUILD_FROM}\n")[0]
    libraries, engine = build.index("--requirement /pins/constraints.txt"), build.index("COPY . .")
    assert build.index("constraints.tx[t] /pins/") < libraries < engine < build.index("--no-index")
