"""The commands against a real hub process: what they print, in which form, and how they end."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import hubqueue
from hubqueue.cli.group import COMMANDS
from support.certificates import make
from support.hub_process import HubProcess
from support.shell import Shell
from support.waiting import until


def test_what_is_added_is_listed_and_shown(shell: Shell) -> None:
    id = shell("add", "lights", '{"room": "kitchen"}', "--name", "switch", "--priority", "3").stdout.strip()
    job = shell.json("job", id)
    assert (job["queue"], job["name"], job["data"], job["priority"]) == ("lights", "switch", {"room": "kitchen"}, 3)
    assert shell.json("queues")[0]["prioritized"] == 1
    assert [one["id"] for one in shell.json("jobs", "lights")] == [id]
    for table in (shell("queues"), shell("jobs", "lights"), shell("job", id)):
        assert "lights" in table.stdout or "kitchen" in table.stdout
        assert "\x1b" not in table.stdout  # colours are for terminals


def test_data_that_is_no_json_is_text(shell: Shell) -> None:
    id = shell("add", "notes", "buy milk").stdout.strip()
    assert shell.json("job", id)["data"] == "buy milk"


def test_a_file_becomes_jobs_line_by_line(shell: Shell) -> None:
    lines = "\n".join(f'{{"n": {n}}}' for n in range(1200))
    assert shell.json("add", "bulk", "--from-file", "-", stdin=lines) == {"added": 1200}
    newest, oldest = (
        shell.json("jobs", "bulk", "--limit", "300"),
        shell.json("jobs", "bulk", "--oldest", "--limit", "1"),
    )
    assert [job["data"]["n"] for job in newest] == list(range(1199, 899, -1))
    assert oldest[0]["data"] == {"n": 0}
    wrong = shell("add", "bulk", "--from-file", "-", stdin="{}\n{oops\n", code=1)
    assert "line 2" in wrong.stderr


def test_a_paused_queue_says_so_and_goes_on(shell: Shell) -> None:
    shell("add", "q", "1")
    shell("pause", "q")
    assert shell.json("queues")[0]["paused"] is True
    assert "paused" in shell("queues").stdout
    shell("resume", "q")
    assert shell.json("queues")[0]["paused"] is False


def test_a_queue_is_deleted_when_nothing_is_in_it(shell: Shell) -> None:
    for options in ((), ("--force",), ("--force", "--yes")):
        assert "There is no queue ligths" in shell("delete-queue", "ligths", *options, code=6).stderr
    shell("add", "ligths", "1")
    refused = shell("delete-queue", "ligths", code=1)
    assert "The queue ligths holds 1 job" in refused.stderr
    assert "by force" in refused.stderr
    shell("pause", "ligths")
    asked = shell("delete-queue", "ligths", "--force", stdin="n\n", code=1).stderr
    assert "The queue ligths holds 1 job. Delete it with them for good?" in asked
    assert len(shell.json("jobs", "ligths")) == 1
    assert shell("delete-queue", "ligths", "--force", "--yes").stdout == "Queue ligths is deleted.\n"
    shell("pause", "empty")
    shell("delete-queue", "empty")
    assert shell.json("queues") == []


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("http://hub.local:6790", "tcp://hub.local:6789"),
        ("https://hub.local", "tls://hub.local:6789"),
        ("ws://hub.local:6790/api/v1/ws", "tcp://hub.local:6789"),
    ],
)
def test_the_address_of_the_other_port_is_told_apart(shell: Shell, url: str, better: str) -> None:
    refused = shell("queues", "--url", url, code=1)
    assert f"'{url}' is an address for browsers" in refused.stderr
    assert better in refused.stderr


def test_dead_jobs_are_listed_retried_and_purged(shell: Shell, hub: HubProcess) -> None:
    ids = [shell("add", "work", str(n), "--attempts", "1").stdout.strip() for n in range(2)]
    fail_all(hub)
    dead = shell.json("dlq", "list", "work")
    assert {job["id"] for job in dead} == set(ids)
    assert "no lamp" in shell("dlq", "list", "work").stdout
    assert "no lamp" in shell("job", ids[0]).stdout
    assert "--limit goes with a QUEUE" in shell("dlq", "retry", "--id", ids[0], "--limit", "3", code=2).stderr
    assert shell.json("dlq", "retry", "--id", ids[0]) == {"count": 1, "passed": 0, "kept": 0, "why": None}
    assert shell("dlq", "retry", "work").stdout == "1 job waits again.\n"
    fail_all(hub)
    assert "Delete 2 dead jobs" in shell("dlq", "purge", "work", stdin="n\n", code=1).stderr
    assert shell.json("dlq", "purge", "work", "--yes") == {"count": 2}


def test_jobs_are_listed_by_all_of_their_tags(shell: Shell, hub: HubProcess) -> None:
    both = shell("add", "work", "1", "--attempts", "1", "--tag", "a", "--tag", "b").stdout.strip()
    one = shell("add", "work", "2", "--attempts", "1", "--tag", "a").stdout.strip()
    for listing in (("jobs", "work"), ("dlq", "list", "work")):
        assert [job["id"] for job in shell.json(*listing, "--tag", "a")] == [one, both], listing
        assert [job["id"] for job in shell.json(*listing, "--tag", "b", "--tag", "a")] == [both], listing
        assert "such job" in shell(*listing, "--tag", "A").stderr
        assert "tags must be" in shell(*listing, "--tag", "x" * 257, code=1).stderr
        fail_all(hub)


def fail_all(hub: HubProcess) -> None:
    def lamp(_: hubqueue.RunningJob) -> None:
        raise hubqueue.Reject("no lamp")

    async def run() -> None:
        async with hubqueue.Client(hub.url) as client:
            queue = client.queue("work")

            async def both_failed() -> bool:
                return (await queue.counts()).failed == 2

            async with client.worker("work", lamp):
                await until(both_failed)

    asyncio.run(run())


def test_events_are_followed(shell: Shell) -> None:
    command = [sys.executable, "-m", "hubqueue", "tail", "mail", "--count", "1", "--json"]
    with subprocess.Popen(
        command, env=shell.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stderr is not None
        assert follower.stdout is not None
        assert "Following mail" in follower.stderr.readline()
        shell("add", "other", "1")
        id = shell("add", "mail", "1").stdout.strip()
        told = json.loads(follower.stdout.readline())
        assert (told["eventType"], told["jobId"], told["queue"]) == ("pushed", id, "mail")
        assert follower.wait(20) == 0


def test_a_result_is_waited_for(shell: Shell) -> None:
    late = shell("add", "nobody", "1", "--wait", "200ms", code=1)
    assert "has not finished in time" in late.stderr


def test_a_backup_is_restored_with_what_it_held(shell: Shell, hub: HubProcess) -> None:
    shell("add", "kept", '"before"')
    written = Path(shell.json("backup")["path"])
    assert written.parent == hub.folder / "backups"
    mine = hub.folder / "mine.db"
    shell("backup", str(mine))
    assert "exists already" in shell("backup", str(mine), code=1).stderr
    shell("add", "kept", '"after"')
    assert "already open" in shell("restore", str(mine), "--data-path", "hub.db", "--yes", code=1).stderr
    assert hub.stop() == 0
    shell("restore", str(mine), "--data-path", "hub.db", "--yes")
    hub.start()
    shell.environ["HUBQUEUE_URL"] = hub.url
    assert [job["data"] for job in shell.json("jobs", "kept")] == ["before"]
    assert len(list(hub.folder.glob("hub.db.before-restore-*Z"))) == 1


def test_the_doctor_finds_a_sound_hub_sound(shell: Shell) -> None:
    shell("add", "q", "1")
    found = shell.json("doctor")
    assert "problem" not in {finding["grade"] for finding in found}
    assert any("sound" in finding["text"] for finding in found)


def test_the_doctor_finds_wrong_counters(shell: Shell, hub: HubProcess) -> None:
    shell("add", "q", "1")
    hub.stop()
    with sqlite3.connect(hub.folder / "hub.db") as db:
        db.execute("UPDATE counter SET waiting = 7")
    db.close()
    hub.start()
    shell.environ["HUBQUEUE_URL"] = hub.url
    assert "queue q counts 7 waiting jobs and holds 1" in shell("doctor", code=1).stdout


def test_the_doctor_finds_a_missing_hub(lonely: Shell) -> None:
    assert "problem" in lonely("doctor", code=1).stdout
    lonely("doctor", "--offline")


def test_adopt_keeps_the_id(shell: Shell, hub: HubProcess) -> None:
    hub.stop()
    assert shell.json("adopt", "--data-path", "hub.db", "--yes") == {"hub_id": hub.hub_id}


def test_forwarders_of_a_hub_without_any(shell: Shell) -> None:
    assert shell.json("forward") == []


def test_a_forwarder_is_made_paused_drained_and_removed(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token\n")
    add = ("forward", "add", "readings", "--to", "tcp://127.0.0.1:1", "--token-from", "token")
    told = shell(*add, "--window", "mon-fri 22:00-06:00", "--timezone", "Europe/Berlin", "--rate", "5")
    assert "Forwarding readings to tcp://127.0.0.1:1" in told.stdout
    (shown,) = shell.json("forward", "list")
    assert shown["schedule"] == {"windows": ["mon-fri 22:00-06:00"], "timezone": "Europe/Berlin"}
    assert (shown["name"], shown["rate"], shown["hasToken"], shown["paused"]) == ("readings", 5.0, True, False)
    shell("forward", "pause", "readings")
    table = shell("forward")
    assert "paused" in table.stdout
    assert "secret-token" not in table.stdout
    assert "paused" in shell("forward", "drain", "readings", code=1).stderr
    shell("forward", "resume", "readings")
    assert "nothing to drain" in shell("forward", "drain", "readings").stdout
    shell("forward", "add", "readings", "--to", "tcp://127.0.0.1:1", "--no-token")
    (shown,) = shell.json("forward")
    assert (shown["hasToken"], shown["schedule"]) == (False, None)
    assert "a forwarder already: readings" in shell(*add, "--name", "second", code=1).stderr
    assert "timezone" in shell(*add, "--timezone", "UTC", code=1).stderr
    shell("forward", "remove", "readings")
    assert shell.json("forward") == []
    assert "no forwarder" in shell("forward", "remove", "readings", code=6).stderr
    assert "No such command" in shell("forward", "bogus", code=2).stderr


def test_a_forwarder_gets_the_certificates_of_its_files(shell: Shell, tmp_path: Path) -> None:
    files = make(tmp_path)
    add = ("forward", "add", "readings", "--to", "tls://127.0.0.1:1", "--ca", "ca.pem")
    shell(*add, "--cert", "cert.pem", "--key", "key.pem", "--server-name", "central.example")
    (shown,) = shell.json("forward")
    assert (shown["hasCaCert"], shown["hasClientCert"]) == (True, True)
    assert (shown["serverName"], shown["verify"]) == ("central.example", True)
    shell(*add[:5], "--cert", "client.pem", "--no-verify")
    (shown,) = shell.json("forward")
    assert (shown["hasCaCert"], shown["hasClientCert"]) == (True, True)
    assert (shown["serverName"], shown["verify"]) == (None, False)
    other = make(tmp_path / "other")
    assert "belongs to another one" in shell(*add, "--cert", "cert.pem", "--key", str(other.key), code=1).stderr
    assert "add --cert" in shell(*add, "--key", "key.pem", code=1).stderr
    files.client.unlink()
    assert "client.pem" in shell(*add, "--cert", "client.pem", code=2).stderr


async def test_a_forwarder_is_removed_when_its_queue_is_empty(hub: HubProcess, shell: Shell) -> None:
    async with hubqueue.Client(hub.url) as client:
        await client.queue("readings").add("n", 1)
    shell("forward", "add", "readings", "--to", "tcp://127.0.0.1:1")
    shell("forward", "remove", "readings", "--when-empty")
    (shown,) = shell.json("forward")
    assert shown["retiring"]
    assert "retiring" in shell("forward").stdout


def test_a_hub_that_is_not_there_is_told_with_what_to_do(lonely: Shell) -> None:
    told = lonely("queues", code=4)
    assert "cannot be reached" in told.stderr
    assert "hubqueue run" in told.stderr


def test_a_wrong_token_is_told(tmp_path: Path, lonely: Shell) -> None:
    with HubProcess(tmp_path, environ={"HUBQUEUE_AUTH_TOKENS": "right"}) as hub:
        lonely.environ |= {"HUBQUEUE_URL": hub.url}
        assert "token" in lonely("queues", code=5).stderr
        (tmp_path / "token").write_text("right\n")
        lonely("queues", "--token-file", "token")
        lonely.environ |= {"HUBQUEUE_TOKEN": "right"}
        lonely("queues")


def test_a_job_that_is_not_there_is_told(shell: Shell) -> None:
    shell("job", "nothing-1", code=6)


def test_a_misspelt_command_gets_a_suggestion(lonely: Shell) -> None:
    assert "Did you mean 'queues'?" in lonely("queus", code=2).stderr


def test_check_config_lists_every_mistake(lonely: Shell) -> None:
    (lonely.folder / "bad.yaml").write_text("tcp: {port: x, hots: y}\n")
    assert "2 mistakes" in lonely("check-config", "bad.yaml", code=3).stderr
    (lonely.folder / "good.yaml").write_text("tcp: {port: 1}\n")
    assert lonely.json("check-config", "good.yaml") == []


def test_check_config_counts_what_it_found(lonely: Shell) -> None:
    text = "mqtt: {url: 'mqtt://h', rules: [{topic: a, queue: q}]}\npipelines: [nothing/*.yaml]\n"
    (lonely.folder / "good.yaml").write_text(text)
    told = lonely("check-config", "good.yaml").stdout
    assert "1 MQTT rule, no pipelines, as no file has such a name." in told


def test_the_self_test_measures(lonely: Shell) -> None:
    rows = lonely.json("bench", "--jobs", "400", "--folder", ".")
    assert len(rows) == 5
    assert all(row["jobs_per_s"] > 0 for row in rows)
    assert not list(lonely.folder.glob("hubqueue-bench-*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, lonely: Shell) -> None:
    assert "Usage: hubqueue" in lonely(command, "--help").stdout


def test_help_loads_little(lonely: Shell) -> None:
    """What a command does not need is not loaded: a hundred of these are a script, and a Raspberry Pi is slow."""
    program = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print(' '.join(sys.modules), file=sys.stderr))\n"
        "sys.argv = ['hubqueue', '--help']\n"
        "runpy.run_module('hubqueue', run_name='__main__', alter_sys=True)\n"
    )
    engine_alone = {**lonely.environ, "PYTHONPATH": str(Path(hubqueue.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=engine_alone, capture_output=True, text=True, check=True)
    assert "Usage: hubqueue" in done.stdout
    loaded = done.stderr.split()
    packages = {name.partition(".")[0] for name in loaded if not name.startswith("_")} - sys.stdlib_module_names
    assert packages == {"click", "hubqueue"}
    assert "sqlite3" not in loaded
    assert len(loaded) < 280  # 212 here


def test_health_says_that_the_hub_takes_jobs(shell: Shell, lonely: Shell) -> None:
    assert shell.json("health")["ready"] is True
    assert "store" in shell("health").stdout
    lonely("health", code=4)


def test_a_job_is_kept_trying_tried_now_and_snoozed(shell: Shell) -> None:
    id = shell("add", "mail", "hello", "--keep-trying", "1d", "--delay", "1h", "--ttl", "2d").stdout.strip()
    job = shell.json("job", id)
    assert (job["keepTrying"], job["ttl"], "attempts" in job) == (86_400_000, 172_800_000, False)
    assert job["endsAt"] == job["createdAt"] + 86_400_000
    assert "kept until" in shell("job", id).stdout
    assert "1 job of mail runs now." in shell("try-now", "mail").stdout
    assert shell.json("job", id)["state"] == "waiting"
    assert "No job of mail is delayed." in shell("try-now", "mail").stdout
    assert f"Job {id} runs at " in shell("snooze", id, "--for", "10m").stdout
    assert shell.json("job", id)["state"] == "delayed"
    shell("snooze", id, "--until", "2020-01-31T18:00")
    assert shell.json("job", id)["state"] == "waiting"
    assert "Give one of --for and --until." in shell("snooze", id, code=2).stderr
    assert "'nobody'" in shell("snooze", "nobody", "--for", "1s", code=6).stderr
    refused = shell("add", "mail", "x", "--keep-trying", "1h", "--delay", "2h", code=1)
    assert "ends before the job is due" in refused.stderr
    assert "Hint" in refused.stderr


def test_expired_jobs_are_counted(shell: Shell) -> None:
    shell("add", "mail", "late", "--ttl", "1ms")
    shell("add", "mail", "waits")

    def expired() -> bool:
        (mail,) = shell.json("queues")
        return (mail["expired"], mail["waiting"]) == (1, 1)

    assert any(expired() for _ in range(10))
    assert "expired" in shell("queues").stdout
