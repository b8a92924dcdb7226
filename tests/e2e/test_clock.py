"""Rule 19 with a whole process: its system clock (libfaketime) jumps by a day, forward and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.child import Puppet, puppet
from support.waiting import until

DAY_S = 86_400
LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)


class SetClock:
    """The system clock of a child process, wrong by so many seconds; its monotonic clock is right."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)
        library = next((each for each in LIBRARIES if Path(each).exists()), None)
        assert library is not None, "libfaketime is missing: apt-get install faketime"
        self.env = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, wrong_s: int) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{wrong_s:+d}\n")
        fresh.rename(self._file)


async def _followed(told: Puppet) -> bool:
    hub_ms, system_ms = await told("clocks_ms")
    return bool(abs(hub_ms - system_ms) < 1000)


@pytest.mark.parametrize("days", [(1, 0), (-1, 0), (1, -1)])
async def test_a_process_whose_clock_jumps_by_days_expires_nothing_and_keeps_the_order(
    days: tuple[int, ...], tmp_path: Path
) -> None:
    clock = SetClock(tmp_path)
    async with puppet(tmp_path / "hub.db", clock.env) as told:
        started_ms = (await told("clocks_ms"))[0]
        await told("enqueue", [1, 2, 3], False, 10)
        leased = await told("lease", 1, 60_000)
        await told("enqueue", [4], False, 10, 3_600_000)
        added = 5
        for day in days:
            clock.set(day * DAY_S)
            system_ms = (await told("clocks_ms"))[1]
            assert abs(system_ms - started_ms - day * DAY_S * 1000) < 60_000  # the process sees the jump
            await told("enqueue", [added], False, 10)
            await until(lambda: _followed(told))
            await told("enqueue", [added + 1], False, 10)
            added += 2
            assert abs((await told("clocks_ms"))[0] - started_ms - day * DAY_S * 1000) < 60_000
            assert await told("extend", leased) == ["renewed"]
            found = await told("numbers")
            assert (found["active"], found["delayed"]) == ([1], [4])
        await told("complete", leased, True)
        taken = [n for n, _, _ in await told("lease", 100, 60_000)]
        assert taken == [2, 3, *range(5, added)]
        assert await told("miscounted") == []
