"""Files that pages load: addresses with hashes, caching, nothing inline, and that vendored ones are what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from hubqueue.ui.assets import FOLDER, SERVED, asset_path, assets
from hubqueue.ui.render import FOLDER as TEMPLATES
from support.pages import Pages

VENDOR = FOLDER / "vendor"
ROOT = Path(__file__).parents[3]


async def test_a_file_is_kept_for_a_year_at_an_address_with_its_hash(pages: Pages) -> None:
    async with pages.client.get(pages.url + asset_path("dashboard.css")) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
        assert answer.headers["Content-Encoding"] == "gzip"
        assert await answer.read() == (FOLDER / "dashboard.css").read_bytes()


async def test_a_client_without_gzip_gets_the_plain_file(pages: Pages) -> None:
    async with pages.client.get(pages.url + asset_path("icon.svg"), headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.content_type == "image/svg+xml"
        assert await answer.read() == (FOLDER / "icon.svg").read_bytes()


@pytest.mark.parametrize(
    "path", ["/static/000000000000/dashboard.css", "/static/x/../../pages.py", "/static/x/nothing.js"]
)
async def test_an_outdated_or_unknown_address_is_not_found(pages: Pages, path: str) -> None:
    await pages.html(path, status=404)


def test_every_file_that_is_served_is_there_and_no_other() -> None:
    assert assets().keys() >= {"dashboard.css", "dashboard.js", "charts.js", "icon.svg", "glyphs.svg"}
    assert {Path(name).suffix for name in assets()} <= SERVED


def vendored() -> dict[str, str]:
    text = (VENDOR / "VENDORED.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", text, re.MULTILINE))


def test_vendored_files_are_what_their_list_says() -> None:
    there = {
        path.name: sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.name != "VENDORED.md"
    }
    assert there == vendored()


def test_what_script_vendor_pins_is_what_is_vendored_with_its_licence() -> None:
    pinned = re.findall(r"^(\S+) +(\d\S*) +(sha512-\S+) (.+)$", (ROOT / "script" / "vendor").read_text(), re.MULTILINE)
    assert len(pinned) >= 3
    listed = (VENDOR / "VENDORED.md").read_text(encoding="utf-8")
    for name, version, integrity, files in pinned:
        assert f"| {name} | {version} | {integrity} |" in listed
        assert {f"{name}.LICENSE", *(Path(file).name for file in files.split())} <= vendored().keys()


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_has_inline_scripts_styles_or_handlers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|\shx-on|<script(?![^>]*\ssrc=)|javascript:", text) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_every_address_in_a_template_is_made_for_the_base(path: Path) -> None:
    addresses = re.findall(r'\s(?:href|src|action|hx-\w+)="(/[^"]*)"', path.read_text(encoding="utf-8"))
    assert addresses == []


def test_templates_escape_whatever_they_show() -> None:
    unsafe = [path.name for path in TEMPLATES.glob("*.html") if re.search(r"\|\s*safe|autoescape", path.read_text())]
    assert unsafe == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.js")), ids=lambda path: path.name)
def test_our_scripts_are_valid(path: Path) -> None:
    subprocess.run(["node", "--check", str(path)], check=True)


def test_the_wheel_has_every_file_of_the_dashboard(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT / "engine", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    ours = ROOT / "engine" / "hubqueue" / "ui"
    files = (path for path in ours.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {f"hubqueue/ui/{path.relative_to(ours)}" for path in files} - packed == set()
