"""The sink that is a table of PostgreSQL or TimescaleDB.

A batch is one transaction: COPY into a table of this session alone, from there into the real one, where rows of a
known key change nothing: a batch that is sent again is harmless. What the server refuses is raised for the whole
batch; `deliver` finds the row. A watchdog cuts the connection when the server does not answer.
Source: asyncpg's documentation; docs/forwarding.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeAlias

import asyncpg

from hubqueue.errors import Invalid, LinkDown, TimedOut
from hubqueue.forward.sink import Batch
from hubqueue.forward.sinks.postgres import ddl
from hubqueue.forward.sinks.postgres.destination import Server
from hubqueue.forward.sinks.postgres.maker import make
from hubqueue.forward.sinks.postgres.rows import Rows
from hubqueue.forward.sinks.postgres.table import Table
from hubqueue.forward.sinks.postgres.trouble import as_down, is_conflict, meaning
from hubqueue.forward.verdict import Rejected
from hubqueue.model.limits import WRITE_TIMEOUT_S

log = logging.getLogger(__name__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

PING_EVERY_S: Final = 15.0  # an idle connection may be half-open
CLOSE_S: Final = 2.0
TRIES: Final = 3  # of a batch that met another transaction

# What each session is to be; the last one because a sink says ok only for what is kept for good.
SESSION: Final = """
SELECT set_config('statement_timeout', '{timeout_ms}', false),
       set_config('idle_in_transaction_session_timeout', '{timeout_ms}', false)
"""
DURABLE: Final = """
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""


_DRIVERS: Final = (asyncpg.PostgresError, asyncpg.InternalClientError, OSError)  # what is no value's fault


class PostgresSink:
    """Fills `table` of `server`. Connections: one for each write at the same time. Units: seconds."""

    wants_floor = False

    def __init__(
        self, server: Server, table: Table, *, durable: bool = True, write_timeout_s: float = WRITE_TIMEOUT_S
    ) -> None:
        self._server = server
        self._table = table
        self._durable = durable
        self._timeout_s = write_timeout_s
        self._upsert = ddl.upsert(table)
        self._rows: Rows | None = None
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._gone = asyncio.Event()

    @property
    def target(self) -> str:
        return f"{self._server.url}/{self._table.name}"

    async def connect(self) -> None:
        await self.close()
        self._gone = asyncio.Event()
        try:
            connection = await self._ready(make_table=self._table.create)
            self._idle.append(connection)
            with self._watched(connection, self._server.connect_timeout_s):
                statement = await connection.prepare(ddl.types(self._table))
        except Exception as error:
            raise as_down(error) from error
        kinds = [attribute.type.name for attribute in statement.get_attributes()]
        self._rows = Rows(self._table.columns, kinds)

    async def write(self, batch: Batch) -> list[Rejected | None]:
        rows = self._rows
        if rows is None:
            raise LinkDown(f"there is no connection to {self._server.url}")
        made = [rows.of(batch.queue, parcel) for parcel in batch.parcels]
        records = [(n, *row) for n, row in enumerate(made) if not isinstance(row, Rejected)]
        if records:
            try:
                await self._store(records)
            except Exception as error:
                raise meaning(error) from error
        return [row if isinstance(row, Rejected) else None for row in made]

    async def lost(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._gone.wait(), PING_EVERY_S)
            except TimeoutError:
                try:
                    await self._ping()
                except Exception as error:
                    raise as_down(error) from error
            else:
                raise LinkDown(f"{self._server.url} closed the connection")

    async def close(self) -> None:
        idle, self._idle, busy = self._idle, [], self._all
        self._rows, self._all = None, set()
        for connection in busy.difference(idle):
            connection.terminate()
        for connection in idle:
            connection.remove_termination_listener(self._ended)
            try:
                await connection.close(timeout=CLOSE_S)
            except Exception:  # it is given up all the same
                connection.terminate()

    async def _store(self, records: Sequence[tuple[Any, ...]]) -> None:
        async with self._connection() as connection:
            for left in reversed(range(TRIES)):
                try:
                    await self._transaction(connection, records)
                    return
                except (asyncpg.PostgresError, Invalid) as error:
                    if not connection.is_closed():
                        await connection.execute("ROLLBACK")
                    if not left or not is_conflict(error):
                        raise

    async def _transaction(self, connection: Connection, records: Sequence[tuple[Any, ...]]) -> None:
        columns = [ddl.ORDINAL, *(column.name for column in self._table.columns)]
        await connection.execute("BEGIN")
        try:
            await connection.copy_records_to_table(ddl.STAGE, records=records, columns=columns)
        except _DRIVERS as error:
            raise error
        except Exception as error:  # the driver has no common error for a value that it cannot write
            raise Invalid(f"{self._unread(records)}: the value does not fit its type") from error
        await connection.execute(f"{self._upsert}; COMMIT")

    def _unread(self, records: Sequence[tuple[Any, ...]]) -> str:
        """Which columns may hold what the driver cannot write: those of a type that rows.py does not read."""
        assert self._rows is not None
        names = [
            name
            for place, name in self._rows.unread
            if any(record[1 + place] is not None for record in records)  # the ordinal is first
        ]
        return f"column {names[0]}" if len(names) == 1 else f"one of the columns {', '.join(names)}"

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """A connection for one batch; one that did not end in order is not used again."""
        connection = self._idle.pop() if self._idle else await self._ready()
        try:
            with self._watched(connection, self._timeout_s):
                yield connection
        except (asyncpg.PostgresError, Invalid):
            self._give_back(connection)
            raise
        except BaseException:
            self._drop(connection)
            raise
        self._give_back(connection)

    def _give_back(self, connection: Connection) -> None:
        if connection in self._all and not connection.is_closed():
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.terminate()

    async def _ready(self, *, make_table: bool = False) -> Connection:
        """A new connection with a stage of its own."""
        connection = await self._open()
        try:
            with self._watched(connection, self._server.connect_timeout_s):
                if make_table:
                    await make(connection, self._table)
                await self._prepare(connection)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    async def _open(self) -> Connection:
        server = self._server
        connection: Connection = await asyncpg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=server.database,
            ssl=server.encryption(),
            timeout=server.connect_timeout_s,
            server_settings={"application_name": "hubqueue"},
        )
        self._all.add(connection)
        connection.add_termination_listener(self._ended)
        return connection

    async def _prepare(self, connection: Connection) -> None:
        statements = [SESSION.format(timeout_ms=round(self._timeout_s * 1000)), ddl.stage(self._table)]
        if self._durable:
            statements.append(DURABLE)
        await connection.execute(";".join(statements))

    async def _ping(self) -> None:
        if self._idle:
            async with self._connection() as connection:
                await connection.execute("SELECT 1")

    @contextmanager
    def _watched(self, connection: Connection, timeout_s: float) -> Iterator[None]:
        """Cut the connection when what is done with it takes too long: asyncpg would wait for its end otherwise."""
        late = False

        def cut() -> None:
            nonlocal late
            late = True
            connection.terminate()

        timer = asyncio.get_running_loop().call_later(timeout_s, cut)
        try:
            yield
        except Exception as error:
            if late:
                raise TimedOut(f"{self._server.url} did not answer within {timeout_s:g} s") from error
            raise
        finally:
            timer.cancel()

    def _ended(self, connection: Any) -> None:
        if connection in self._all:  # else it was given up here, and is not missed
            self._gone.set()
