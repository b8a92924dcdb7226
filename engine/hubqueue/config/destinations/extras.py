"""Libraries that not everybody installs: their absence is found with the configuration, not at the first batch."""

from __future__ import annotations

from importlib.util import find_spec

from hubqueue.config.mistakes import Wrong


def needs(module: str, extra: str, *, to: str) -> None:
    """Errors: Wrong says what to install."""
    if find_spec(module) is None:
        raise Wrong(f"needs {module}, which is not installed", to, hint=f"pip install 'hubqueue[{extra}]'", path=["to"])
