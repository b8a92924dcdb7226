"""The number of the API that hub, integration and nodes speak: both sides tell theirs in Hello.

It goes up when a name or a meaning of what they send each other changes. Then the older side has to be updated, which
the client says; the hub refuses nobody, for clients of bunqueue send none. options.json tells it who is no Python.
"""

from __future__ import annotations

from typing import Final

API: Final = 1
