"""P1, P3, P5, P6, P7 and P9, whatever goes wrong; a full disk and stops lose nothing. A seed decides everything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from simulation.campaign import in_a_process
from simulation.faults import forwarded_ids_are_not_known, found, outputs_apart, stale_tokens_are_good
from simulation.ledger import DEFECT
from simulation.seeds import Lived, live_with_edge_killed_at
from support.torture import sized

SEEDS: Final = sized(ci=120, full=20_000)
LEAST: Final = 5  # on a machine with much else to do
SECONDS: Final = sized(ci=60, full=7200)


def campaign(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulation.campaign", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_promises_are_kept_whatever_goes_wrong() -> None:
    """Of whichever seed it ends with: `python -m simulation.campaign --seed N` shows its whole history."""
    done = campaign("--seeds", str(SEEDS), "--seconds", str(SECONDS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 promises broken" in done.stdout
    lived = re.match(r"(\d+) seeds", done.stdout)
    assert lived is not None, done.stdout
    assert int(lived[1]) >= LEAST


def test_the_same_seed_is_the_same_history_in_every_process() -> None:
    """Sets of texts have another order in each: none may decide what is done first."""
    first, again = (campaign("--seed", "3", PYTHONHASHSEED=hash) for hash in ("1", "2"))
    assert first.stdout.count("\n") > 50, first.stderr
    assert again.stdout == first.stdout
    assert campaign("--seed", "4").stdout != first.stdout


@pytest.mark.slow
@pytest.mark.parametrize("fault", [forwarded_ids_are_not_known, outputs_apart, stale_tokens_are_good])
def test_a_fault_is_found(fault: Callable[[], None]) -> None:
    """What the simulation cannot find, it does not prove: it finds a promise broken, no exception of the engine."""
    life = found(fault, most=10)
    assert life is not None
    assert life.broken is not None
    assert not life.broken.startswith(DEFECT), life.broken


@pytest.mark.slow
def test_a_hub_killed_at_any_await_of_a_day_keeps_its_promises() -> None:
    """Every client, worker and forwarder that it has goes on with the next one."""
    steps = in_a_process(lambda folder: live_with_edge_killed_at(0, folder))().steps
    assert steps > 100
    for step in range(1, steps, sized(ci=8, full=1)):
        lived: Lived = in_a_process(lambda folder, step=step: live_with_edge_killed_at(step, folder))()  # type: ignore[misc]
        assert lived.broken is None, "\n".join([*lived.history, f"killed at step {step}"])
