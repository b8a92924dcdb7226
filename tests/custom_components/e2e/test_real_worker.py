"""Jobs that automations of a real Home Assistant work: to success, to error, and over kills of both sides."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port

sys.path.insert(0, str(Path(__file__).parent))
from real_home import RealHome

WAIT_S = 90.0
AUTOMATIONS = """
- id: enqueue
  alias: Enqueue
  mode: queued
  max: 100
  triggers: [{trigger: event, event_type: go}]
  actions:
    - action: hubqueue.enqueue
      data:
        queue: mail
        name: send
        id: "{{ trigger.event.data.id }}"
        data: {do: "{{ trigger.event.data.do }}"}
        attempts: 2
        backoff: {seconds: 1}

- id: take
  alias: Take
  triggers: [{trigger: hubqueue.job_received, options: {queue: mail}}]
  actions:
    - action: hubqueue.enqueue
      data: {queue: started, create: true, name: "{{ trigger.job.id }}"}
    - if: "{{ trigger.job.data.do == 'fail' }}"
      then: [{action: nothing.there}]
    - if: "{{ trigger.job.data.do == 'wait' }}"
      then: [{wait_template: "{{ is_state('sensor.gate', 'open') }}"}]
    - variables: {answer: {did: "{{ trigger.job.data.do }}"}}
    - {stop: done, response_variable: answer}

- id: bury
  alias: Bury
  mode: queued
  triggers: [{trigger: hubqueue.job_dead_lettered, options: {queue: mail}}]
  actions:
    - action: hubqueue.enqueue
      data: {queue: buried, create: true, name: "{{ trigger.job.id }}", data: "{{ trigger.job.error }}"}
"""


class House:
    """A Home Assistant with a hub, and what they say of jobs."""

    def __init__(self, home: RealHome, hub: HubProcess) -> None:
        self.home = home
        self.hub = hub

    def go(self, id: str, do: str) -> None:
        self.home.ask("/api/events/go", {"id": id, "do": do})

    def gate(self, state: str) -> None:
        self.home.ask("/api/states/sensor.gate", {"state": state})

    def job(self, id: str) -> dict[str, Any]:
        """Errors: OSError, while there is none or the hub is down."""
        answer = self.home.ask("/api/services/hubqueue/get_job?return_response", {"id": id})
        job: dict[str, Any] = answer["service_response"]["job"]
        return job

    def names(self, queue: str) -> list[str]:
        answer = self.home.ask("/api/services/hubqueue/list_jobs?return_response", {"queue": queue})
        return [job["name"] for job in answer["service_response"]["jobs"]]

    def until(self, id: str, state: str) -> dict[str, Any]:
        self.home.until(lambda: self.job(id)["state"] == state, WAIT_S)
        return self.job(id)

    def until_started(self, id: str, times: int) -> None:
        self.home.until(lambda: self.names("started").count(id) >= times, WAIT_S)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with hub_process(tmp_path, http_port=free_port()) as hub, RealHome(tmp_path, free_port(), AUTOMATIONS) as home:
        flow = home.ask("/api/config/config_entries/flow", {"handler": "hubqueue"})
        done = home.ask(f"/api/config/config_entries/flow/{flow['flow_id']}", {"url": url_of(hub)})
        assert done["type"] == "create_entry"
        yield House(home, hub)


@pytest.mark.timeout(400)
def test_every_job_is_run_and_none_is_lost(house: House) -> None:
    house.go("good", "work")
    assert house.until("good", "completed")["result"] == {"did": "work"}

    house.go("bad", "fail")
    bad = house.until("bad", "failed")
    assert (bad["attempts_made"], bad["reason"]) == (2, "max_attempts_exceeded")
    assert "nothing.there" in bad["error"]
    house.home.until(lambda: house.names("buried") == ["bad"], WAIT_S)

    # the hub is killed in the middle of a run: the run goes on, and is told of once the hub is back
    house.gate("closed")
    house.go("hub", "wait")
    house.until_started("hub", 1)
    house.hub.kill()
    house.hub.start()
    house.gate("open")
    assert house.until("hub", "completed")["attempts_made"] == 0
    assert house.names("started").count("hub") == 1

    # Home Assistant is killed in the middle of another: the hub gives the job back, and it is run again
    house.gate("closed")
    house.go("home", "wait")
    house.until_started("home", 1)
    kept = house.home.folder / ".storage" / "core.config_entries"
    house.home.until(lambda: "hubqueue" in kept.read_text(), WAIT_S)
    house.home.kill()
    house.home.start()
    house.until_started("home", 2)
    house.gate("open")
    assert house.until("home", "completed")["attempts_made"] == 0

    for id, state in {"good": "completed", "bad": "failed", "hub": "completed", "home": "completed"}.items():
        assert house.job(id)["state"] == state
    assert house.names("buried") == ["bad"]
