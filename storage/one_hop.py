"""aiosqlite, with one way to the thread of a connection and back for each statement.

As it is, a cursor is opened, executed, fetched from and closed in four calls, each of which waits for that thread; that
costs more than most of the house's statements do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

import aiosqlite


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
    def cursor(self) -> _Cursor:  # type: ignore[override]  # SQLAlchemy only enters it
        return _Cursor(self)


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """For SQLAlchemy's ``async_creator_fn``; takes what ``sqlite3.connect`` takes."""
    connection = _Connection(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy has it for connections that it makes itself
    return connection
