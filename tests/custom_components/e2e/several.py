"""Two lights of a real Home Assistant, one of which is away while everything is killed: part of test_real_home.py."""

from __future__ import annotations

from typing import Any

from real_home import RealHome

LIGHT = """
        - name: {name}
          unique_id: {name}
          state: "{{{{ is_state('input_boolean.{name}', 'on') }}}}"
          availability: "{{{{ is_state('input_boolean.{name}_is_there', 'on') }}}}"
          turn_on:
            - {{action: counter.increment, target: {{entity_id: counter.{name}}}}}
            - {{action: input_boolean.turn_on, target: {{entity_id: input_boolean.{name}}}}}
          turn_off: [{{action: input_boolean.turn_off, target: {{entity_id: input_boolean.{name}}}}}]
"""
NAMES = ("one", "two")
CONFIGURATION = f"""
input_boolean: {{{", ".join(f"{name}: {{}}, {name}_is_there: {{}}" for name in NAMES)}}}
counter: {{{", ".join(f"{name}: {{}}" for name in NAMES)}}}
template:
  - light:{"".join(LIGHT.format(name=name) for name in NAMES)}
"""


def job_of(home: RealHome, id: str) -> dict[str, Any]:
    answer = home.ask("/api/services/hubqueue/get_job?return_response", {"id": id})
    found: dict[str, Any] = answer["service_response"]["job"]
    return found


def begin(home: RealHome) -> str:
    """Turn both on, of which one can be reached; the job, once that one is noted as done. It is off again then."""
    home.ask("/api/services/input_boolean/turn_on", {"entity_id": "input_boolean.one_is_there"})
    home.until(lambda: (home.state("light.one"), home.state("light.two")) == ("off", "unavailable"))
    given = {"action": "light.turn_on", "target": {"entity_id": ["light.one", "light.two"]}, "state": "on"}
    answer = home.ask("/api/services/hubqueue/run_action?return_response", given)
    id: str = answer["service_response"]["id"]
    home.until(lambda: job_of(home, id)["data"].get("progress", {}).get("light.one") == "done")
    assert home.state("light.one") == "on"
    home.ask("/api/services/input_boolean/turn_off", {"entity_id": "input_boolean.one"})
    return id


def end(home: RealHome, id: str) -> None:
    """Both can be reached after a new start: only the other one is turned on."""
    home.ask("/api/services/input_boolean/turn_on", {"entity_id": "input_boolean.one_is_there"})
    home.ask("/api/services/input_boolean/turn_on", {"entity_id": "input_boolean.two_is_there"})

    def completed() -> bool:
        home.ask("/api/services/hubqueue/try_now", {"queue": "ha_actions"})  # however long its back-off has become
        return bool(job_of(home, id)["state"] == "completed")

    home.until(completed)
    assert job_of(home, id)["result"] == {"done": ["light.one", "light.two"]}
    assert (home.state("counter.one"), home.state("light.one")) == ("0", "off")  # not again since the start
    assert (home.state("counter.two"), home.state("light.two")) == ("1", "on")
