"""Lists of files, as their names or as patterns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hubqueue.config import checks
from hubqueue.config.mistakes import Wrong


class FilePatterns(checks.Each):
    """A list of files and patterns (`pipelines/*.yaml`), as the files they stand for, each once."""

    def __init__(self, base: Path) -> None:
        super().__init__(_files(base))

    def __call__(self, value: Any) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(Path(os.path.normpath(file)) for files in super().__call__(value) for file in files))


def _files(base: Path) -> checks.Check:
    def check(value: Any) -> tuple[Path, ...]:
        text = checks.text(value)
        if not any(sign in text for sign in "*?["):
            return (checks.existing_file(base)(text),)
        pattern = base / Path(text).expanduser()
        try:
            found = sorted(path for path in Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
        except (ValueError, NotImplementedError) as error:
            raise Wrong("is no pattern of files", value) from error
        return tuple(path for path in found if path.is_file())

    return check
