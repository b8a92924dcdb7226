"""What every command has: its name in `cmd`, and the `reqId` that its reply carries."""

from __future__ import annotations

import msgspec

from hubqueue.wire.fields import ABSENT


class Command(msgspec.Struct, tag_field="cmd", rename="camel", gc=False, kw_only=True):
    """A request. Fields that are not known are ignored. `req_id` is echoed as it came, whatever it is."""

    req_id: msgspec.Raw = ABSENT
