"""`hubqueue pipeline check` and `try`: without a hub."""

from __future__ import annotations

import json
from pathlib import Path

from support.shell import Shell

PIPELINE = """
name: p
from: {queue: in}
steps:
  - filter: "data.value is number"
  - map: {rename: {value: t}, drop: [raw]}
  - validate: {schema: {required: [device]}}
to:
  - queue: out
  - mqtt: {topic: "t/{{ data.device }}"}
"""


def pipeline(shell: Shell, text: str = PIPELINE) -> Path:
    (shell.folder / "p.yaml").write_text(text, encoding="utf-8")
    return shell.folder / "p.yaml"


def test_a_pipeline_is_checked(lonely: Shell) -> None:
    pipeline(lonely)
    assert lonely("pipeline", "check", "p.yaml").stdout == "The pipeline p is right: steps filter, map, validate.\n"
    assert lonely.json("pipeline", "check", "p.yaml") == []
    pipeline(lonely, PIPELINE.replace("data.value", "dta.value"))
    assert "did you mean 'data'" in lonely("pipeline", "check", "p.yaml", code=3).stderr
    (wrong,) = json.loads(lonely("pipeline", "check", "p.yaml", "--json", code=3).stdout)
    assert (wrong["path"], wrong["source"], wrong["line"]) == ("steps[0].filter", "p.yaml", 5)
    assert "does not exist" in lonely("pipeline", "check", "no.yaml", code=3).stderr.replace(
        "No such file", "does not exist"
    )


def test_a_trial_shows_what_each_step_did(lonely: Shell) -> None:
    pipeline(lonely)
    samples = (
        '{"device": "[red]a", "value": 1, "raw": 0}\n\n{"data": {"value": 2}, "name": "n", "at": 5, "id": "i"}\n7\n'
    )
    shown = lonely("pipeline", "try", "p.yaml", "--sample", "-", stdin=samples, code=1).stdout
    assert shown.splitlines() == [
        'line:1  {"device": "[red]a", "value": 1, "raw": 0}',
        "  filter       passed",
        "  map          changed  - value",
        "               - raw",
        "               + t: 1",
        "  validate     passed",
        '  goes on      {"device": "[red]a", "t": 1}',
        "",
        'line:3  {"value": 2}',
        "  filter       passed",
        "  map          changed  - value",
        "               + t: 2",
        '  validate     refused  "device" is a required property',
        "",
        "line:4  7",
        "  filter       left out",
        "",
        "3 samples, 1 records out, 1 refused.",
    ]
    first, second, third = json.loads(
        lonely("pipeline", "try", "p.yaml", "--sample", "-", "--json", stdin=samples, code=1).stdout
    )
    assert first["out"] == [{"data": {"device": "[red]a", "t": 1}, "name": "default", "id": "line-1"}]
    assert second["steps"][-1] == {
        "step": "validate",
        "did": "refused",
        "data": [],
        "reason": '"device" is a required property',
    }
    assert third == {"line": 4, "sample": 7, "steps": [{"step": "filter", "did": "left out", "data": []}], "out": []}


def test_what_is_gathered_is_shown_when_all_samples_are_in(lonely: Shell) -> None:
    pipeline(
        lonely,
        "name: p\nto: {queue: q}\nsteps:\n- batch: {count: 2}\n"
        "- map: {compute: {ns: \"data.records|map(attribute='n')\"}}",
    )
    samples = "".join(f'{{"n": {n}}}\n' for n in range(3))
    shown = lonely.json("pipeline", "try", "p.yaml", "--sample", "-", stdin=samples)
    assert [each["line"] for each in shown] == [1, 2, 3, None]
    assert {each["steps"][0]["did"] for each in shown[:3]} == {"gathered"}
    assert [each["data"]["ns"] for each in shown[3]["out"]] == [[0, 1], [2]]


def test_samples_that_cannot_be_read_are_told_by_line(lonely: Shell) -> None:
    pipeline(lonely)
    (lonely.folder / "s.jsonl").write_bytes(
        b'{"value": 1}\n{oops\n\xff\n{"data": 1, "at": "noon"}\n{"data": 1, "name": 3}\n'
    )
    told = lonely("pipeline", "try", "p.yaml", "--sample", "s.jsonl", code=1).stderr
    for number in (2, 3, 4, 5):
        assert f"s.jsonl:{number}: " in told
    assert "s.jsonl:1:" not in told
    assert "holds no samples" in lonely("pipeline", "try", "p.yaml", "--sample", "-", stdin="\n\n", code=1).stderr
    assert "No such file" in lonely("pipeline", "try", "p.yaml", "--sample", "none.jsonl", code=2).stderr


def test_a_server_that_is_gone_is_told(lonely: Shell) -> None:
    pipeline(
        lonely, "name: p\nto: {queue: q}\nsteps:\n- enrich: {http: {url: 'http://127.0.0.1:1/{{ data.id }}'}, into: x}"
    )
    shown = lonely("pipeline", "try", "p.yaml", "--sample", "-", stdin='{"id": 1}', code=1).stdout
    assert "waits  a look-up got no answer" in shown
