"""`hubqueue add` with every option of the table, on a real hub."""

from __future__ import annotations

import msgspec

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.model.job import Job
from hubqueue.model.option import Door
from hubqueue.model.options import new_job, options_at
from support.hub_process import HubProcess
from support.job_options import SAMPLES
from support.shell import Shell

FLAGS = (
    "--id mine-1 --priority 7 --delay 60s --run-at 2096-10-02T07:06:40+00:00 --attempts 9 --backoff 2500ms "
    "--backoff-type fixed --backoff-max 1m --backoff-jitter 0.5 --timeout 30s --ttl 10m --stall-timeout 45s --lifo "
    "--durable --dedup key --dedup-ttl 2m --dedup-extend --dedup-replace --remove-on-complete --remove-on-fail --tag a "
    "--tag b --group kitchen --group-max-size 5 --depends-on first --parent-queue q --parent-id above "
    "--on-failure ignore"
)


async def found(hub: HubProcess, id: str) -> Job:
    async with RemoteHub(LinkSettings.from_url(hub.url)) as remote:
        job = await remote.get(id)
        assert job is not None
        return job


async def test_every_flag_reaches_the_job(hub: HubProcess, shell: Shell) -> None:
    shell("add", "q", "1", "--id", "first")
    shell("add", "q", "1", "--id", "above")
    shell("add", "q", '{"on": true}', *FLAGS.split())
    job = await found(hub, "mine-1")
    # keep_trying ends a job before that time: it goes alone
    given = {option.name: SAMPLES[option.name] for option in options_at(Door.CLI) if option.name != "keep_trying"}
    wanted = new_job("default", None, given)
    assert wanted.options is not None
    assert job.options == msgspec.structs.replace(wanted.options, group_max_size=None)  # it bounds, and is not shown
    assert (job.priority, job.max_attempts, job.run_at_ms) == (7, 9, wanted.run_at_ms)
    assert (await found(hub, "above")).options.children_ids == ("mine-1",)
    shell("add", "q", "1", "--id", "kept", "--keep-trying", "15m", "--delay", "60s")
    kept = await found(hub, "kept")
    assert (kept.options.keep_trying_ms, kept.run_at_ms - kept.created_at_ms) == (900_000, 60_000)


def test_what_would_be_without_effect_is_refused_by_its_flag(shell: Shell) -> None:
    for flags, words in (
        (("--dedup-ttl", "5s"), "--dedup-ttl needs --dedup too"),
        (("--group-max-size", "5"), "--group-max-size needs --group too"),
        (("--on-failure", "fail"), "--on-failure needs --parent-queue too"),
        (("--parent-id", "x"), "--parent-id needs --parent-queue too"),
        (("--run-at", "soon"), "--run-at 'soon' is no time"),
        (("--run-at", "0001-01-01T00:00"), "is no time"),
        (("--ttl", "0s"), "--ttl must be from"),
    ):
        assert words in shell("add", "q", "{}", *flags, code=1).stderr
    assert shell.json("queues") == []
