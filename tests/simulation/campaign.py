"""Many seeds, each in a process of its own that ends with its world: nothing of one is left for another.

    python -m simulation.campaign --seeds 1000              from seed 1 on, on all cores
    python -m simulation.campaign --seconds 60 --first 500  as many as fit
    python -m simulation.campaign --seed 4711               one, with its whole history

Ends with 1 if a promise was broken: it prints the seed and its history up to there. The same seed is the same history.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import pickle
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from simulation.ledger import DEFECT
from simulation.seeds import Lived, live

LINES: Final = 80  # of a history that is printed
HANGS_S: Final = 300  # of CPU: no seed takes so long


@dataclass
class Result:
    """Of a campaign."""

    seeds: int = 0
    steps: int = 0
    simulated_s: float = 0.0
    broken: list[Lived] = field(default_factory=list)


def in_a_process(work: Callable[[Path], Any]) -> Callable[[], Any]:
    """Begin work(folder) in a child; the answer is waited for by calling what this returns. Errors: RuntimeError."""
    folder = Path(tempfile.mkdtemp(prefix="hubqueue-simulation-"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_a_child(work, folder, os.fdopen(writing, "wb"))
    os.close(writing)

    def answer() -> Any:
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(child, 0)
        shutil.rmtree(folder)
        if not told:
            raise RuntimeError(f"a child has ended without a word, with {os.waitstatus_to_exitcode(status)}")
        value = pickle.loads(told)
        if isinstance(value, BaseException):
            raise value
        return value

    return answer


def lived(seed: int, work: Callable[[Path], Lived]) -> Callable[[], Lived]:
    """As `in_a_process`; a child that says nothing of its seed has broken it."""
    answer = in_a_process(work)

    def told() -> Lived:
        try:
            life: Lived = answer()
        except RuntimeError as error:
            return Lived(seed, f"{DEFECT}: {error}", [], 0, 0.0)
        return life

    return told


def _be_a_child(work: Callable[[Path], Any], folder: Path, pipe: BinaryIO) -> None:
    """Never returns, and clears nothing away: what is left of simulated processes must not run."""
    resource.setrlimit(resource.RLIMIT_CPU, (HANGS_S, HANGS_S))
    gc.disable()
    logging.disable(logging.CRITICAL)
    try:
        told: Any = work(folder)
    except BaseException as error:
        told = RuntimeError(f"{type(error).__name__}: {error}")
    pipe.write(pickle.dumps(told))
    pipe.flush()
    os._exit(0)


def run(
    seeds: Iterator[int], until_s: float = float("inf"), tell: Callable[[Result], None] = lambda result: None
) -> Result:
    """Live through seeds, as many beside each other as there are cores, until a monotonic time or the first broken."""
    result, under_way = Result(), []
    while True:
        while not result.broken and time.monotonic() < until_s and len(under_way) < (os.cpu_count() or 1):
            seed = next(seeds, None)
            if seed is None:
                break
            under_way.append(lived(seed, partial(live, seed)))
        if not under_way:
            return result
        life = under_way.pop(0)()
        result.seeds += 1
        result.steps += life.steps
        result.simulated_s += life.simulated_s
        if life.broken is not None:
            result.broken.append(life)
        tell(result)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, metavar="N", help="how many")
    parser.add_argument("--seconds", type=float, metavar="S", help="or for how long")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="the first seed (default: 1)")
    parser.add_argument("--seed", type=int, metavar="N", help="only this one, with its whole history")
    asked = parser.parse_args()
    if asked.seed is not None:
        life = lived(asked.seed, partial(live, asked.seed))()
        print("\n".join(life.history or [str(life.broken)]))
        return life.broken is not None
    began = time.monotonic()
    until_s = began + asked.seconds if asked.seconds else float("inf")
    result = run(islice(count(asked.first), asked.seeds), until_s, _progress if sys.stderr.isatty() else lambda _: None)
    took_s = time.monotonic() - began
    for life in result.broken:
        print("\n".join(life.history[-LINES:]), f"seed {life.seed}: {life.broken}", sep="\n")
    print(
        f"{result.seeds} seeds from {asked.first} in {took_s:.0f} s, {result.simulated_s:.0f} s simulated: "
        f"{result.steps} steps, {result.steps / took_s:.0f} a second; {len(result.broken)} promises broken"
    )
    return bool(result.broken)


def _progress(result: Result) -> None:
    print(f"\r{result.seeds} seeds", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
