"""A real Home Assistant and a real hub, each killed with SIGKILL while the other runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import hub_process, url_of
from support.ports import free_port

sys.path.insert(0, str(Path(__file__).parent))
import several
from real_home import RealHome

AUTOMATIONS = """
- id: enqueue
  alias: Enqueue
  triggers: [{trigger: event, event_type: go}]
  mode: queued
  max: 100
  actions:
    - action: hubqueue.enqueue
      data: {queue: mail, create: true, name: send, data: {to: ada}}
"""


def jobs(home: RealHome) -> list[dict[str, Any]]:
    answer = home.ask("/api/services/hubqueue/list_jobs?return_response", {"queue": "mail"})
    found: list[dict[str, Any]] = answer["service_response"]["jobs"]
    return found


@pytest.mark.timeout(400)
def test_jobs_of_an_automation_survive_both_sides(tmp_path: Path) -> None:
    hub = hub_process(tmp_path, http_port=free_port())
    with hub, RealHome(tmp_path, free_port(), AUTOMATIONS, several.CONFIGURATION) as home:
        flow = home.ask("/api/config/config_entries/flow", {"handler": "hubqueue"})
        done = home.ask(f"/api/config/config_entries/flow/{flow['flow_id']}", {"url": url_of(hub)})
        assert done["type"] == "create_entry"
        home.ask("/api/events/go", {})
        home.until(lambda: home.state("sensor.mail_waiting") == "1")
        (job,) = jobs(home)
        assert (job["name"], job["data"], job["state"]) == ("send", {"to": "ada"}, "waiting")

        lights = several.begin(home)
        hub.kill()
        home.until(lambda: home.state("sensor.mail_waiting") == "unavailable")
        hub.start()
        home.until(lambda: home.state("sensor.mail_waiting") == "1")
        home.ask("/api/events/go", {})
        home.until(lambda: len(jobs(home)) == 2)

        home.until(lambda: (home.folder / ".storage" / "core.config_entries").exists())
        home.kill()
        home.start()
        home.until(lambda: home.state("sensor.mail_waiting") == "2")
        assert len(jobs(home)) == 2
        several.end(home, lights)
        said = (home.folder / "out").read_text()
        assert not re.search("blocking call.*custom_components/hubqueue", said)
