"""Names of queues that come from data: a level of a topic, a header, a key, in any script.

Rules: two texts never give the same name. What can be a name stays as it is; other characters become their code
points, as in `K:xfc:che` for Küche and `Living:x20:Room`; a colon that would begin what reads as such an escape
becomes one itself (`:x3a:`). So a name can be read back, and no text begins with `_` that did not before.
"""

from __future__ import annotations

import re
from typing import Final

from hubqueue.errors import Invalid
from hubqueue.model.limits import MAX_NAME_CHARS, check_queue

# What a queue name cannot have, a run of it at once; or a colon in front of what would be read as an escape, which
# ends with a colon, or with one that is still to be written.
_TO_ESCAPE: Final = re.compile(r"[^A-Za-z0-9_.:-]+|:(?=x[0-9a-f]+(?:-[0-9a-f]+)*(?:[^A-Za-z0-9_.-]))")


def escaped(text: str) -> str:
    """The text with every character that a queue name cannot have told by its code point."""
    return _TO_ESCAPE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f":x{'-'.join(f'{ord(char):x}' for char in found[0])}:"


def queue_from_data(name: str, *, internal: bool) -> str:
    """A queue name that data has a part in, checked; internal: its author wrote the `_` at its beginning.

    Errors: Invalid for one that is empty, too long, or that data made an internal one.
    """
    if not name:
        raise Invalid("the queue name is empty", hint="the level or value it is made of is empty")
    if name.startswith("_") and not internal:
        raise Invalid(f"queue name {name[:80]!r} is internal", hint="data cannot choose a queue that starts with _")
    if len(name) > MAX_NAME_CHARS:
        raise Invalid(f"queue name {name[:80]}... is too long: {len(name)} characters, at most {MAX_NAME_CHARS}")
    return check_queue(name)
