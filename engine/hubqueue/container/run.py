"""`hubqueue run --app`: the hub as Home Assistant's app, from root's first moment to the file laid to rest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hubqueue import app, logs
from hubqueue.container.backuphooks import lay_to_rest, wake
from hubqueue.container.configuration import configure
from hubqueue.container.layout import Layout
from hubqueue.container.owner import become_user, is_root


def serve(flags: Mapping[str, Any], layout: Layout | None = None) -> None:
    """Run until a signal ends it. Errors: ConfigError, those of store.backup.restore and App.start."""
    layout = layout or Layout()
    os.umask(0o077)
    config = configure(layout, flags, os.environ)
    logs.configure(config.log.level, config.log.format)
    if is_root():
        become_user(layout)
    wake(layout)
    app.main(config)
    lay_to_rest(layout)
