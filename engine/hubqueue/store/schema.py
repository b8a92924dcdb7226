"""The tables, as numbered migrations.

To change the schema: append a function to MIGRATIONS, never edit one that was released; tests migrate a dump
of every released schema. Each migration and its number are one transaction.
Every index says why it exists: an index on `job` costs a page write per job and commit on an SD card.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

from hubqueue.errors import NewerFile

APPLICATION_ID: Final = 0x68756271  # "hubq": tells our files from other SQLite files


def _first(db: sqlite3.Connection) -> None:
    for statement in _FIRST:
        db.execute(statement)


LOSE: Final = """
    UPDATE job_group
    SET waiting = waiting - (OLD.state = 0), delayed = delayed - (OLD.state = 1), active = active - (OLD.state = 2)
    WHERE queue = OLD.queue AND grp = OLD.grp
"""
GAIN: Final = """
    INSERT INTO job_group (queue, grp, waiting, delayed, active, turn)
    VALUES (NEW.queue, NEW.grp, NEW.state = 0, NEW.state = 1, NEW.state = 2,
            1 + (SELECT coalesce(max(turn), 0) FROM job_group WHERE queue = NEW.queue AND waiting > 0))
    ON CONFLICT (queue, grp) DO UPDATE
    SET waiting = waiting + excluded.waiting, delayed = delayed + excluded.delayed, active = active + excluded.active,
        turn = CASE WHEN waiting = 0 AND excluded.waiting = 1 THEN excluded.turn ELSE turn END
"""

# The counts of a group follow its jobs whatever moves them. Made with the first job that has a group (store/groups):
# a file without groups would pay about 5 % of each lease and completion for their WHEN.
GROUP_TRIGGERS: Final = (
    f"CREATE TRIGGER IF NOT EXISTS group_gains AFTER INSERT ON job WHEN NEW.grp IS NOT NULL BEGIN {GAIN}; END",
    f"CREATE TRIGGER IF NOT EXISTS group_loses AFTER DELETE ON job WHEN OLD.grp IS NOT NULL BEGIN {LOSE}; END",
    f"""
    CREATE TRIGGER IF NOT EXISTS group_moves AFTER UPDATE OF state ON job
    WHEN NEW.grp IS NOT NULL AND NEW.state <> OLD.state
    BEGIN {LOSE}; {GAIN}; END
    """,
)

_FIRST: Final = (
    # hub_id, secret, seq block end, last hub time, machine
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE queue (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        paused INTEGER NOT NULL DEFAULT 0,
        limits BLOB,
        settings BLOB
    ) STRICT
    """,
    # one row per queue, written once per group and touched queue, in the transaction that moves the jobs
    """
    CREATE TABLE counter (
        queue INTEGER PRIMARY KEY,
        waiting INTEGER NOT NULL, delayed INTEGER NOT NULL, active INTEGER NOT NULL,
        waiting_children INTEGER NOT NULL, completed INTEGER NOT NULL, failed INTEGER NOT NULL,
        prioritized INTEGER NOT NULL,
        expired INTEGER NOT NULL -- jobs that their ttl has removed, ever
    ) STRICT
    """,
    """
    CREATE TABLE job (
        seq INTEGER PRIMARY KEY,
        queue INTEGER NOT NULL,
        state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
        flags INTEGER NOT NULL DEFAULT 0,
        priority INTEGER NOT NULL DEFAULT 0,
        ord INTEGER NOT NULL,
        run_at_ms INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        max_attempts INTEGER NOT NULL,
        lease_no INTEGER NOT NULL DEFAULT 0,
        lease_ms INTEGER,
        deadline_ms INTEGER,
        lost INTEGER NOT NULL DEFAULT 0, -- 1: the connection of its worker broke, 2: the hub went down
        owner TEXT,
        started_at_ms INTEGER,
        heartbeat_at_ms INTEGER,
        finished_at_ms INTEGER,
        expires_at_ms INTEGER,
        stall_count INTEGER NOT NULL DEFAULT 0,
        lost_count INTEGER NOT NULL DEFAULT 0,
        restarts INTEGER NOT NULL DEFAULT 0, -- how often the hub went down with it, and nobody came back for it
        progress REAL NOT NULL DEFAULT 0,
        name TEXT NOT NULL,
        custom_id TEXT,
        grp TEXT,
        options BLOB,
        history BLOB,
        result BLOB,
        data BLOB
    ) STRICT
    """,
    # the lease: highest priority first, then order (rowid breaks ties)
    "CREATE INDEX job_waiting ON job (queue, priority DESC, ord) WHERE state = 0 AND grp IS NULL",
    # the lease inside a group: pays only for grouped jobs
    "CREATE INDEX job_grouped ON job (queue, grp, priority) WHERE state = 0 AND grp IS NOT NULL",
    # promotion of due jobs, per queue; the priority rides along so that counting by it reads no rows
    "CREATE INDEX job_delayed ON job (queue, run_at_ms, priority) WHERE state = 1",
    # the sweep of expired leases
    "CREATE INDEX job_active ON job (deadline_ms) WHERE state = 2",
    # jobs whose time ends, and dead ones that are tried again by themselves: pays only for those
    "CREATE INDEX job_ends ON job (expires_at_ms) WHERE expires_at_ms IS NOT NULL",
    # lists and retention: by queue, state and seq (the rowid), never a scan
    "CREATE INDEX job_list ON job (queue, state)",
    # groups of jobs that take turns: one row per group with queued or running jobs, or with settings
    """
    CREATE TABLE job_group (
        queue INTEGER NOT NULL,
        grp TEXT NOT NULL,
        waiting INTEGER NOT NULL DEFAULT 0,
        delayed INTEGER NOT NULL DEFAULT 0,
        active INTEGER NOT NULL DEFAULT 0,
        turn INTEGER NOT NULL,
        paused INTEGER NOT NULL DEFAULT 0,
        limits BLOB,
        PRIMARY KEY (queue, grp)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX job_group_turn ON job_group (queue, turn) WHERE waiting > 0",
    # jobs of `_overflow`, each with the queue it belongs to: the first of a queue, in order, without a look at others
    """
    CREATE TABLE overflow (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        own_options BLOB -- those it has where it belongs
    ) STRICT
    """,
    "CREATE INDEX overflow_queue ON overflow (queue)",
    # custom ids: the owner's row, or an idempotent id remembered until expires_at_ms after it finished
    """
    CREATE TABLE custom_id (
        id TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        expires_at_ms INTEGER
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX custom_id_expiry ON custom_id (expires_at_ms) WHERE expires_at_ms IS NOT NULL",
    # ids of forwarded jobs, as integers: 20 bytes a row instead of 66
    """
    CREATE TABLE forward_source (
        id INTEGER PRIMARY KEY,
        hub_id TEXT NOT NULL,
        queue TEXT NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0,
        gone INTEGER NOT NULL DEFAULT 0, -- how many of its ids have outlived their jobs' rows
        token TEXT, -- whose ids they are: the name of the token that sends them
        UNIQUE (hub_id, queue)
    ) STRICT
    """,
    """
    CREATE TABLE forward_id (
        source INTEGER NOT NULL,
        source_seq INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        gone_at_ms INTEGER, -- when the job had finished, once its row is gone
        PRIMARY KEY (source, source_seq)
    ) STRICT, WITHOUT ROWID
    """,
    # forgetting them after a while; those of jobs that are still here pay nothing
    "CREATE INDEX forward_id_gone ON forward_id (gone_at_ms) WHERE gone_at_ms IS NOT NULL",
    # deduplication keys of one queue
    """
    CREATE TABLE dedup (
        queue INTEGER NOT NULL,
        key TEXT NOT NULL,
        seq INTEGER NOT NULL,
        expires_at_ms INTEGER,
        PRIMARY KEY (queue, key)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX dedup_expiry ON dedup (expires_at_ms) WHERE expires_at_ms IS NOT NULL",
    """
    CREATE TABLE job_log (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        level TEXT NOT NULL,
        message TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX job_log_job ON job_log (job)",
    """
    CREATE TABLE schedule (
        key TEXT PRIMARY KEY,
        interval INTEGER NOT NULL,
        next_run_at_ms INTEGER,
        spec BLOB NOT NULL,
        runs INTEGER NOT NULL DEFAULT 0,
        last_seq INTEGER
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX schedule_due ON schedule (next_run_at_ms)",
    # state blobs that a settle stores with its jobs
    """
    CREATE TABLE blob (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (namespace, key)
    ) STRICT, WITHOUT ROWID
    """,
    # who waits for whom: pays only for jobs of flows. outcome: model.flow.Outcome
    """
    CREATE TABLE dependency (
        dependent INTEGER NOT NULL,
        dependency INTEGER NOT NULL,
        child INTEGER NOT NULL,
        outcome INTEGER NOT NULL DEFAULT 0,
        place INTEGER NOT NULL,
        label TEXT NOT NULL,
        value BLOB,
        PRIMARY KEY (dependent, dependency)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX dependency_of ON dependency (dependency)",
    # first answers to requests that carried an idempotency key; place: bytes of all answers up to this one
    """
    CREATE TABLE answer (
        place INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        request BLOB NOT NULL,
        reply BLOB NOT NULL,
        expires_at_ms INTEGER NOT NULL
    ) STRICT
    """,
    # where events are sent by HTTP
    """
    CREATE TABLE webhook (
        id TEXT PRIMARY KEY,
        spec BLOB NOT NULL,
        created_at_ms INTEGER NOT NULL,
        triggered_at_ms INTEGER,
        succeeded INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID
    """,
    # forwarders made while the hub ran (spec, with their tokens), and which of all are paused
    """
    CREATE TABLE forwarder (
        name TEXT PRIMARY KEY,
        spec BLOB,
        paused INTEGER NOT NULL DEFAULT 0,
        created_at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # who may come in: digest is the SHA-256 of the token, which itself is nowhere
    """
    CREATE TABLE token (
        name TEXT PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        spec BLOB NOT NULL,
        created_at_ms INTEGER NOT NULL,
        used_at_ms INTEGER
    ) STRICT, WITHOUT ROWID
    """,
    # ended runs per queue and minute: kind 0 completed, 1 failed
    """
    CREATE TABLE metric (
        queue INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        minute INTEGER NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (queue, kind, minute)
    ) STRICT, WITHOUT ROWID
    """,
    # queues whose name was obliterated: maintenance deletes their rows in slices
    "CREATE TABLE doomed (queue INTEGER PRIMARY KEY) STRICT",
)

MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_first,)
VERSION: Final = len(MIGRATIONS)


def migrate(db: sqlite3.Connection) -> int:
    """Bring the file to this version; the number of migrations done.

    Errors: NewerFile when the file is ahead of this version.
    """
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise NewerFile(f"The job file has schema {version}; this version knows up to {VERSION}")
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            migration(db)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return VERSION - version
