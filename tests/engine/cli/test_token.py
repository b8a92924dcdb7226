"""`hubqueue token` against a running hub, and on the file of one that does not run."""

from __future__ import annotations

from pathlib import Path

from support.hub_process import HubProcess
from support.shell import Shell


def test_tokens_are_made_listed_and_revoked_while_the_hub_runs(shell: Shell) -> None:
    made = shell("token", "add", "laptop")
    admin = made.stdout.strip()
    assert admin.startswith("hq_")
    assert "nothing will show it again" in made.stderr
    assert "valid token" in shell("queues", code=5).stderr
    shell.environ["HUBQUEUE_TOKEN"] = admin
    sensor = shell.json("token", "add", "sensor", "--scope", "enqueue", "--queue", "readings")["token"]
    listed = shell.json("token", "list")
    assert [(each["name"], each["scopes"], each["queues"]) for each in listed] == [
        ("laptop", ["admin"], None),
        ("sensor", ["enqueue"], ["readings"]),
    ]
    assert listed[0]["usedAt"] is not None
    assert "sensor" in shell("token", "list").stdout
    assert sensor not in str(listed)

    shell.environ["HUBQUEUE_TOKEN"] = sensor
    shell("add", "readings", "1")
    assert "'sensor' may not use this queue" in shell("add", "lights", "1", code=5).stderr
    assert "lacks the scope 'read'" in shell("queues", code=5).stderr

    shell.environ["HUBQUEUE_TOKEN"] = admin
    shell("token", "revoke", "sensor")
    shell.environ["HUBQUEUE_TOKEN"] = sensor
    shell("add", "readings", "1", code=5)


def test_who_has_lost_the_last_token_makes_one_in_the_file(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    with HubProcess(tmp_path) as hub:
        shell.environ["HUBQUEUE_URL"] = hub.url
        shell("token", "add", "lost")
        assert "already open" in shell("token", "add", "new", "--data-path", "hub.db", code=1).stderr
        hub.stop()
        token = shell("token", "add", "new", "--data-path", "hub.db").stdout.strip()
        shell("token", "revoke", "lost", "--data-path", "hub.db")
        assert [each["name"] for each in shell.json("token", "list", "--data-path", "hub.db")] == ["new"]
        hub.start()
        shell.environ |= {"HUBQUEUE_URL": hub.url, "HUBQUEUE_TOKEN": token}
        shell("queues")
