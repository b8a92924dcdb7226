"""Numbers in sentences: `1 job`, `1,700 jobs`. Lines are numbered as editors show them."""

from __future__ import annotations


def jobs(count: int) -> str:
    return f"{count:,} job" if count == 1 else f"{count:,} jobs"


def lines(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"
