"""Both sides tell the number of their API; with another one the client says which of the two has to be updated."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import ApiMismatch
from hubqueue.forward.sinks.hub import HubSink
from hubqueue.model.apinumber import API
from hubqueue.model.job import NewJob
from support.hub_process import HubProcess, clean_environment
from support.other_api import program
from support.peer import Peer
from support.ports import free_port
from support.waiting import until

OTHERS = [pytest.param(API - 1, "the hub at", id="older"), pytest.param(API + 1, "hubqueue on this side", id="newer")]


def settings(url: str) -> LinkSettings:
    return replace(LinkSettings.from_url(url), backoff_first_s=0.01, backoff_max_s=0.1)


@pytest.mark.parametrize(("number", "whom"), OTHERS)
async def test_a_hub_of_another_api_is_named_with_which_side_to_update(tmp_path: Path, number: int, whom: str) -> None:
    with HubProcess(tmp_path, program=program(number)) as hub:
        with pytest.raises(ApiMismatch) as refused:
            await RemoteHub(settings(hub.url)).open()
        assert f"API {number}" in refused.value.message
        assert f"update {whom}" in refused.value.hint


@pytest.mark.parametrize(("number", "whom"), OTHERS)
def test_the_command_line_says_it_too(tmp_path: Path, number: int, whom: str) -> None:
    with HubProcess(tmp_path, program=program(number)) as hub:
        asked = subprocess.run(
            [sys.executable, "-m", "hubqueue", "queues", "--url", hub.url],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert asked.returncode == 4
    assert whom in asked.stderr


@pytest.mark.parametrize(("number", "whom"), OTHERS)
async def test_a_client_waits_for_a_hub_that_is_updated_and_loses_nothing(
    tmp_path: Path, number: int, whom: str
) -> None:
    port = free_port()
    fits = HubProcess(tmp_path, "--tcp-port", str(port))
    other = HubProcess(tmp_path, "--tcp-port", str(port), program=program(number))
    with fits:
        async with RemoteHub(settings(fits.url)) as remote:
            await remote.enqueue("q", [NewJob()])
            fits.stop()
            with other:
                await until(lambda: isinstance(remote.link.state.error, ApiMismatch))
                with pytest.raises(ApiMismatch, match="API") as refused:
                    await remote.enqueue("q", [NewJob()])
                assert "what is asked until then is not done" in refused.value.hint
                other.stop()
            fits.start()
            await until(lambda: remote.link.state.up)
            await remote.enqueue("q", [NewJob()])
            assert (await remote.counts("q")).waiting == 2


async def test_the_client_tells_its_own_number_and_asks_none_of_other_servers() -> None:
    async with Peer() as peer, RemoteHub(settings(peer.url)):  # no hub of ours: it answers none
        assert peer.hello["api"] == API


async def test_a_forwarder_does_not_look_at_it(tmp_path: Path) -> None:
    with HubProcess(tmp_path, program=program(API + 1)) as hub:
        sink = HubSink(settings(hub.url))
        await sink.connect()
        await sink.may_write("q")
        await sink.close()
