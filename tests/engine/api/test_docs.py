"""Every program in docs/python.md runs as it is printed; only the port of its hub is another."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

import hubqueue
from support.served import served

GUIDE = Path(__file__).parents[3] / "docs" / "python.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)


async def run(program: str, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        program,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize(
    ("index", "printed"),
    [
        (0, "Hello Ada!"),
        (1, "greet prioritized"),
        (2, "waiting=103, prioritized=1, delayed=3"),
        (3, "{'delivered': True}"),
    ],
)
async def test_a_program_of_the_guide_runs(index: int, printed: str, tmp_path: Path) -> None:
    async with served(tmp_path / "elsewhere.db") as there:
        program = PROGRAMS[index].replace("tcp://127.0.0.1:6789", there.url)
        assert printed in await run(program, tmp_path)


def test_every_program_of_the_guide_is_tried() -> None:
    assert len(PROGRAMS) == 4


def test_every_public_name_is_there() -> None:
    for name in dir(hubqueue):
        assert getattr(hubqueue, name) is not None
    with pytest.raises(AttributeError):
        hubqueue.nothing  # noqa: B018
