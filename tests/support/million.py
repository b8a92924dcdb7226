"""A job file with a million jobs in mixed states, made by one statement: for the speed of lists."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from hubqueue.model.job import Attempt, History, history_blob
from hubqueue.store.tx import Tx

JOBS: Final = 1_000_000
QUEUES: Final = ("big", "mail", "other")  # nine tenths of the jobs are in the first
DAY_MS: Final = 86_400_000

# i % 100: up to 59 waiting, 74 delayed, 75 active, 93 completed, 99 dead
FILL: Final = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :jobs)
    INSERT INTO job (seq, queue, state, priority, ord, run_at_ms, created_at_ms, max_attempts, name, data,
                     finished_at_ms, deadline_ms, history)
    SELECT :first + i,
           CASE WHEN i % 20 = 0 THEN :mail WHEN i % 10 = 0 THEN :other ELSE :big END,
           CASE WHEN i % 100 < 60 THEN 0 WHEN i % 100 < 75 THEN 1 WHEN i % 100 < 76 THEN 2
                WHEN i % 100 < 94 THEN 4 ELSE 5 END,
           CASE WHEN i % 7 = 0 THEN 3 WHEN i % 11 = 0 THEN -2 ELSE 0 END,
           :then + i / 1000,
           :then + i / 1000 + CASE WHEN i % 100 BETWEEN 60 AND 74 THEN :day ELSE 0 END,
           :then + i / 1000,
           3,
           CASE WHEN i % 5 = 0 THEN 'send' ELSE 'read' END,
           :data,
           CASE WHEN i % 100 >= 76 THEN :then + i / 1000 END,
           CASE WHEN i % 100 = 75 THEN :then + :day END,
           CASE WHEN i % 100 >= 94 THEN CASE WHEN i % 3 = 0 THEN :refused ELSE :lost END END
    FROM n
"""
COUNT: Final = """
    INSERT OR REPLACE INTO counter
    SELECT queue, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3), sum(state = 4), sum(state = 5),
           sum(state = 0 AND priority > 0), 0
    FROM job GROUP BY queue
"""


def fill(tx: Tx, now_ms: int) -> None:
    """Put them behind the jobs that are there; the queues exist. The hub must be opened anew to know them."""
    db: sqlite3.Connection = tx.db
    (first,) = db.execute("SELECT max(seq) FROM job").fetchone()
    db.execute("DROP TRIGGER IF EXISTS temp.only_beginnings")  # every_python: these jobs were never enqueued
    db.execute(
        FILL,
        {
            "jobs": JOBS,
            "first": first,
            "then": now_ms - 3_600_000,
            "day": DAY_MS,
            "data": msgspec.msgpack.encode({"sensor": "kitchen", "value": 21.5, "pad": "x" * 100}),
            "lost": _history("no route to 10.0.0.7"),
            "refused": _history("HTTP 503 from the other side"),
            **{name: tx.queues.by_name[name].id for name in QUEUES},
        },
    )
    db.execute(COUNT)


def _history(error: str) -> bytes | None:
    return history_blob(
        History(attempts=(Attempt(1, 1, 2, "explicit_fail", error),), reason="max_attempts_exceeded", error=error)
    )
