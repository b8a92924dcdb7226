"""`hubqueue job` shows a job as REST does, whatever it is made of."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.cli import show
from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from support.hub_process import HubProcess
from support.rest import client_of
from support.shell import Shell

OWN: Final = {"__parentId": "mine", "__childrenIds": ["mine"], "__other": 1, "x": 1}
PUSHES: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "first": {"priority": 3, "tags": ["a"], "lifo": True, "ttl": 3_600_000},
    "delayed": {"delay": 3_600_000, "keepTrying": 7_200_000},
    "after": {"dependsOn": ["first"], "childrenIds": ["first"]},
    "child": {"parentId": "plain", "data": {"__parentId": "plain", "__parentQueue": "q", "x": 1}},
    "other": {"groupId": "g", "uniqueKey": "k", "dedup": {"ttl": 60_000}, "backoff": {"type": "fixed", "delay": 5}},
}


async def test_a_job_is_shown_as_rest_shows_it(hub: HubProcess, shell: Shell) -> None:
    async with RemoteHub(LinkSettings.from_url(hub.url)) as remote, client_of(hub.http_port) as rest:

        async def push(**options: Any) -> str:
            reply = await remote.link.request("PUSH", {"queue": "q", "name": "n", "data": OWN, **options})
            return str(msgspec.msgpack.decode(reply)["id"])

        for id, options in PUSHES.items():
            assert await push(jobId=id, **options) == id
        repeated = await push(repeat={"every": 300_000, "limit": 4})
        for id in (*PUSHES, repeated):
            told = await rest.get(f"/jobs/{id}")
            assert show.job_map(await remote.get(id)) == {k: v for k, v in told.items() if v is not None}, id
    told = shell("job", repeated).stdout
    assert "every 5 min, run 1 of 4" in told
    assert "__parent" not in shell("job", "child").stdout
    assert '"__parentId": "mine"' in shell("job", "after").stdout.replace("\n", "")
