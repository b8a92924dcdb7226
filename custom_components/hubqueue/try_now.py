"""Try now: what waits for its next try is done at once, in queues and in forwarders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .client import HubClient
from .errors import HubError


async def async_try_now(client: HubClient, queues: Iterable[str] = (), forwarders: Iterable[str] = ()) -> int:
    """How many jobs that are. One that cannot be tried keeps none of the others from it. Errors: HubError, of all."""
    # forwarders first: what they let go of their queue is not counted again
    commands = [("ForwarderDrain", "name", name, "waiting") for name in dict.fromkeys(forwarders)]
    commands += [("PromoteJobs", "queue", queue, "count") for queue in dict.fromkeys(queues)]
    count, errors = 0, list[HubError]()
    for cmd, field, value, counted in commands:
        fields: dict[str, Any] = {field: value}
        try:
            count += int((await client.call(cmd, **fields))[counted])
        except HubError as error:
            errors.append(error)
    if errors:
        said = "; ".join(dict.fromkeys(each.message for each in errors))
        raise HubError(errors[0].code, said, hint=errors[0].hint, retryable=errors[0].retryable) from errors[0]
    return count
