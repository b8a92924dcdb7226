"""Files that pages load: read once, served compressed, with their hash in the address and kept by browsers for a year.

Everything in `static/`. A changed file has another address, so nobody ever needs to clear a cache.
"""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

FOLDER: Final = Path(__file__).with_name("static")
SERVED: Final = {".css", ".js", ".svg", ".png"}
FOREVER: Final = "public, max-age=31536000, immutable"
WORTH_BYTES: Final = 1024  # smaller files are not compressed: it would save no packet


class Asset(msgspec.Struct, frozen=True):
    """One file. packed: gzip, or None where it does not pay."""

    content: bytes
    packed: bytes | None
    content_type: str
    digest: str


@cache
def assets() -> dict[str, Asset]:
    """Every file by its path below `static/`."""
    paths = (path for path in FOLDER.rglob("*") if path.suffix in SERVED)
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    packed = gzip.compress(content, mtime=0) if len(content) >= WORTH_BYTES else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(content, packed, kind, sha256(content).hexdigest()[:12])


def asset_path(name: str) -> str:
    """Where a file is served, below the base. Errors: KeyError when there is none of this name."""
    return f"/static/{assets()[name].digest}/{name}"


async def serve(request: web.Request) -> web.Response:
    """One file; an address with an outdated hash is not found."""
    asset = assets().get(request.match_info["name"])
    if asset is None or asset.digest != request.match_info["digest"]:
        raise web.HTTPNotFound
    answer = web.Response(body=asset.content, headers={"Cache-Control": FOREVER, "Vary": "Accept-Encoding"})
    if asset.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        answer = web.Response(body=asset.packed, headers={**answer.headers, "Content-Encoding": "gzip"})
    answer.content_type = asset.content_type
    if asset.content_type.startswith(("text/", "image/svg")):
        answer.charset = "utf-8"
    return answer


ROUTES: Final = (web.get("/static/{digest}/{name:.+}", serve),)
