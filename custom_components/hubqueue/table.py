"""What the hub has written down for those who are no part of it: `options.json`, which script/options writes.

The number of its API goes up when what the two say to each other changes: then the older one has to be updated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

type Row = Mapping[str, Any]

_TABLE: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_name("options.json").read_bytes())
API: Final[int] = _TABLE["api"]
OPTIONS: Final[list[Row]] = _TABLE["options"]
