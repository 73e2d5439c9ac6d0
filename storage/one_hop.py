"""aiosqlite as the house needs it: one way to a thread and back for each statement, and writers in a queue.

As it is, a cursor is opened, executed, fetched from and closed in four calls, each of which waits for that thread; that
costs more than most of the house's statements do. So do the two more for which a transaction begins and, once it is
over, is rolled back: it begins with its first statement, and what is over needs no call. And whoever finds SQLite
locked looks again every now and then: of many writers one may find it locked each time. Those of one event loop wait
for each other in turn, so that only the first of each process looks.
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

BEGIN_TO_READ, BEGIN_TO_WRITE = "BEGIN", "BEGIN IMMEDIATE"

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[str, asyncio.Lock]] = WeakKeyDictionary()
"""Who writes now, by database."""


class _Cursor(aiosqlite.Cursor):
    """Has all rows once it is executed; SQLAlchemy asks for them at once anyway."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        super().__init__(connection, cast(sqlite3.Cursor, None))  # opened in the thread
        self._rows: Sequence[Any] = ()

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> _Cursor:
        await self._at_once(sqlite3.Cursor.execute, sql, () if parameters is None else parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> _Cursor:
        await self._at_once(sqlite3.Cursor.executemany, sql, parameters)
        return self

    async def _at_once(self, execute: Callable[[sqlite3.Cursor, str, Any], object], sql: str, parameters: Any) -> None:
        begin = await cast(Connection, self._conn).begun()

        def run() -> None:
            self._cursor = self._conn._conn.cursor()
            if begin is not None:
                self._cursor.execute(begin)
            execute(self._cursor, sql, parameters)
            self._rows = self._cursor.fetchall()

        await self._execute(run)  # type: ignore[no-untyped-call]

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        """Nothing of it is open any more."""


class Connection(aiosqlite.Connection):
    def __init__(self, database: str, **options: Any) -> None:
        super().__init__(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
        self._database, self._patience = database, options["timeout"]
        self._turn: asyncio.Lock | None = None  # while it is this connection's
        self._begin: str | None = None  # how the transaction begins that has no statement yet
        self._open = False  # it may have begun

    def begin(self, sql: str) -> None:
        """A transaction begins so with its first statement."""
        self._begin = sql

    async def begun(self) -> str | None:
        """What comes before the next statement. Who will write waits for the turn; raises what SQLite itself would
        after as long a wait."""
        begin, self._begin = self._begin, None
        if begin == BEGIN_TO_WRITE:
            await self._wait_to_write()
        self._open |= begin is not None
        return begin

    async def _wait_to_write(self) -> None:
        turn = _turns.setdefault(asyncio.get_running_loop(), defaultdict(asyncio.Lock))[self._database]
        try:
            async with asyncio.timeout(self._patience):
                await turn.acquire()
        except TimeoutError:
            raise sqlite3.OperationalError("database is locked") from None
        self._turn = turn

    def _is_over(self) -> None:
        self._begin, self._open = None, False
        if self._turn is not None:
            self._turn.release()
            self._turn = None

    async def commit(self) -> None:
        if self._open:
            await super().commit()
        self._is_over()

    async def rollback(self) -> None:
        try:
            if self._open:
                await super().rollback()
        finally:
            self._is_over()

    def stop(self) -> asyncio.Future[Any] | None:
        """Whatever way a connection ends, it comes by here."""
        self._is_over()
        return super().stop()

    def cursor(self) -> _Cursor:  # type: ignore[override]  # SQLAlchemy only enters it
        return _Cursor(self)


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """For SQLAlchemy's ``async_creator_fn``; takes what ``sqlite3.connect`` takes, and needs a ``timeout``."""
    connection = Connection(database, **options)
    connection._thread.daemon = True  # as SQLAlchemy has it for connections that it makes itself
    return connection
