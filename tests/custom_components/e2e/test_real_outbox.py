"""A real Home Assistant and a real hub, killed with SIGKILL at random while readings and actions come: all there, once.

Promised is an action that was answered, and every reading before one that was answered with `kept`. What was cut off by
a kill may be there or not, but never twice; and what is there is in order.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import hub_process, url_of
from support.hub_process import HubProcess
from support.ports import free_port
from support.torture import sized

sys.path.insert(0, str(Path(__file__).parent))
from real_home import RealHome

WAIT_S = 90.0
FEED = {"name": "Readings", "queue": "readings", "target": {"entity_id": ["sensor.t"]}, "filter": {}, "job": {}}
ROUNDS = sized(ci=1, full=60)


class House:
    """promised: numbers of actions that were answered, and of readings that are as safe as those."""

    def __init__(self, home: RealHome, hub: HubProcess) -> None:
        self.home = home
        self.hub = hub
        self.number = 0
        self.actions: set[int] = set()
        self.readings: set[int] = set()
        self.kept = 0
        self._unsafe: set[int] = set()
        flow = home.ask("/api/config/config_entries/flow", {"handler": "hubqueue"})
        done = home.ask(f"/api/config/config_entries/flow/{flow['flow_id']}", {"url": url_of(hub)})
        self.entry_id = done["result"]["entry_id"]
        base = "/api/config/config_entries/subentries/flow"
        flow = home.ask(base, {"handler": [self.entry_id, "feed"]})
        assert home.ask(f"{base}/{flow['flow_id']}", FEED)["type"] == "create_entry"
        kept = home.folder / ".storage" / "core.config_entries"
        home.until(lambda: kept.exists() and "sensor.t" in kept.read_text())

    def produce(self, count: int) -> None:
        """A reading, then an action, and so on; whatever is cut off is not promised."""
        for _ in range(count):
            self.number += 1
            number = self.number
            try:
                self.home.ask("/api/states/sensor.t", {"state": str(number)})
                self._unsafe.add(number)
                given = {"queue": "mail", "create": True, "data": number}
                answer = self.home.ask("/api/services/hubqueue/enqueue?return_response", given)["service_response"]
            except OSError, ValueError:
                continue
            self.actions.add(number)
            if answer.get("kept"):
                self.kept += 1
                self.readings |= self._unsafe

    def kill_home(self) -> None:
        """With what was not safe yet."""
        self.home.kill()
        self._unsafe.clear()

    def reload(self) -> None:
        """Do not wait until Home Assistant tries again by itself."""
        self.home.until(
            lambda: self.home.ask(f"/api/config/config_entries/entry/{self.entry_id}/reload", {}) is not None
        )

    def jobs(self, queue: str) -> list[int]:
        answer = self.home.ask("/api/services/hubqueue/list_jobs?return_response", {"queue": queue, "limit": 1000})
        found: list[dict[str, Any]] = answer["service_response"]["jobs"]
        found.sort(key=lambda job: job["created_at"])
        return [int(job["data"]["state"] if queue == "readings" else job["data"]) for job in found]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with hub_process(tmp_path, http_port=free_port()) as hub, RealHome(tmp_path, free_port(), "[]") as home:
        yield House(home, hub)


@pytest.mark.timeout(sized(ci=400, full=7200))
@pytest.mark.parametrize("seed", [random.randrange(10**6)])
def test_whatever_is_killed_all_is_there_once(house: House, seed: int) -> None:
    chance = random.Random(seed)

    def during_work(kill: Any) -> None:
        """Kill in the middle of it."""
        timer = threading.Timer(chance.uniform(0, 0.3), kill)
        timer.start()
        house.produce(8)
        timer.join()

    house.produce(5)
    for _ in range(ROUNDS):
        first, second = chance.sample([house.hub.kill, house.kill_home], 2)
        during_work(first)
        if first == house.kill_home:
            house.hub.kill()
        elif chance.random() < 0.5:
            house.produce(5)
        if second == house.kill_home:
            during_work(second)
        house.home.start()  # the hub is not there: it was never reached
        house.produce(5)
        house.hub.start()
        house.reload()
        during_work(house.hub.kill)
        house.hub.start()
    house.home.until(lambda: bool(house.jobs("mail")), WAIT_S)
    outbox = house.home.folder / ".storage" / f"hubqueue.{house.entry_id}.outbox"
    house.home.until(lambda: not outbox.exists(), WAIT_S)
    house.produce(1)
    house.home.until(lambda: house.jobs("readings")[-1:] == [house.number], WAIT_S)
    mail, readings = house.jobs("mail"), house.jobs("readings")
    assert house.kept
    assert house.actions <= set(mail)
    assert house.readings <= set(readings)
    assert mail == sorted(set(mail))
    assert readings == sorted(set(readings))
