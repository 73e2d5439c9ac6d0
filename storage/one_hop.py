"""aiosqlite as the house needs it: one way to a thread and back for each statement, and writers in a queue.

As it is, a cursor is opened, executed, fetched from and closed in four calls, each of which waits for that thread; that
costs more than most of the house's statements do. And whoever finds SQLite locked looks again every now and then: of
many writers one may find it locked each time. Those of one event loop wait for each other in turn, so that only the
first of each process looks.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

import aiosqlite

BEGIN_TO_WRITE = "BEGIN IMMEDIATE"

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[str, asyncio.Lock]] = WeakKeyDictionary()
"""Who writes now, by database."""


class _Cursor(aiosqlite.Cursor):
    """Has all rows once it is executed; SQLAlchemy asks for them at once anyway."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        super().__init__(connection, cast(sqlite3.Cursor, None))  # opened in the thread
        self._rows: Sequence[Any] = ()

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> _Cursor:
        if sql == BEGIN_TO_WRITE:
            await cast(_Connection, self._conn).wait_to_write()
        await self._at_once(sqlite3.Cursor.execute, sql, () if parameters is None else parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> _Cursor:
        await self._at_once(sqlite3.Cursor.executemany, sql, parameters)
        return self

    async def _at_once(self, execute: Callable[[sqlite3.Cursor, str, Any], object], sql: str, parameters: Any) -> None:
        def run() -> None:
            self._cursor = self._conn._conn.cursor()
            execute(self._cursor, sql, parameters)
            self._rows = self._cursor.fetchall()

        await self._execute(run)  # type: ignore[no-untyped-call]

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        """Nothing of it is open any more."""


class _Connection(aiosqlite.Connection):
    def __init__(self, database: str, **options: Any) -> None:
        super().__init__(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
        self._database, self._patience = database, options["timeout"]
        self._turn: asyncio.Lock | None = None  # while it is this connection's

    async def wait_to_write(self) -> None:
        """Raises what SQLite itself would after as long a wait."""
        turn = _turns.setdefault(asyncio.get_running_loop(), defaultdict(asyncio.Lock))[self._database]
        try:
            async with asyncio.timeout(self._patience):
                await turn.acquire()
        except TimeoutError:
            raise sqlite3.OperationalError("database is locked") from None
        self._turn = turn

    def _written(self) -> None:
        if self._turn is not None:
            self._turn.release()
            self._turn = None

    async def commit(self) -> None:
        await super().commit()
        self._written()

    async def rollback(self) -> None:
        try:
            await super().rollback()
        finally:
            self._written()

    def stop(self) -> asyncio.Future[Any] | None:
        """Whatever way a connection ends, it comes by here."""
        self._written()
        return super().stop()

    def cursor(self) -> _Cursor:  # type: ignore[override]  # SQLAlchemy only enters it
        return _Cursor(self)


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """For SQLAlchemy's ``async_creator_fn``; takes what ``sqlite3.connect`` takes, and needs a ``timeout``."""
    connection = _Connection(database, **options)
    connection._thread.daemon = True  # as SQLAlchemy has it for connections that it makes itself
    return connection
