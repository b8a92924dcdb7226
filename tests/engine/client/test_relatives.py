"""Groups and flows through the client: what goes in over a real hub's door comes out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import NotFound, QueueFull
from hubqueue.model.job import NewJob, OnFailure, Options
from hubqueue.model.state import State
from support.served import served


@pytest.mark.parametrize("policy", [None, *OnFailure])
async def test_a_job_keeps_its_group_and_its_relatives(tmp_path: Path, policy: OnFailure | None) -> None:
    async with served(tmp_path / "hub.db") as where, RemoteHub(LinkSettings.from_url(where.url)) as hub:
        (child,) = await hub.enqueue("q", [NewJob(options=Options(parent_id="pending", on_failure=policy))])
        options = Options(group="g", depends_on=(child,), children_ids=(child,))
        (parent,) = await hub.enqueue("q", [NewJob(options=options)])
        found = await hub.get(parent)
        assert (found.state, found.options) == (State.WAITING_CHILDREN, options)
        kept = (await hub.get(child)).options
        assert (kept.parent_id, kept.on_failure) == ("pending", policy)


async def test_a_full_group_and_an_unknown_dependency_refuse(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as where, RemoteHub(LinkSettings.from_url(where.url)) as hub:
        grouped = NewJob(options=Options(group="g", group_max_size=1))
        await hub.enqueue("q", [grouped])
        with pytest.raises(QueueFull):
            await hub.enqueue("q", [grouped])
        with pytest.raises(NotFound):
            await hub.enqueue("q", [NewJob(options=Options(depends_on=("nowhere",)))])
