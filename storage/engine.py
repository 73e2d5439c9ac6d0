"""The engine behind the house's database, and how its transactions begin.

SQLite runs in WAL mode: readers never wait, writers queue. A transaction that will write asks for it at its start
(``engine.execution_options(**WRITES)`` → ``BEGIN IMMEDIATE``), because SQLite refuses to turn a reader into a writer
once somebody else has written in between. PostgreSQL ignores the option.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from settings import SHANGHAI
from storage.tables import Base

WRITES = {"house_writes": True}
"""Execution options of an engine whose transactions write."""

BUSY_SECONDS = 30
"""How long a statement may wait for a lock or for an answer before it fails."""


def create_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine for ``url`` (``sqlite+aiosqlite://…`` or ``postgresql+asyncpg://…``)."""
    options["hide_parameters"] = True  # an error's text goes into logs, where no customer's words belong
    if make_url(url).get_backend_name() != "sqlite":
        options.setdefault("connect_args", {"timeout": 10, "command_timeout": BUSY_SECONDS})
        return create_async_engine(url, pool_pre_ping=True, **options)
    # isolation_level None: sqlite3 begins nothing by itself, so that the event below decides how a transaction begins
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}, **options)

    set_pragmas(engine, "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("house_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def set_pragmas(engine: AsyncEngine, *pragmas: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def insert(session: AsyncSession, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, which both databases write alike and SQLAlchemy keeps in their dialects."""
    return postgresql.insert(table) if session.get_bind().dialect.name == "postgresql" else sqlite.insert(table)


async def insert_numbered(
    session: AsyncSession, table: type[Base], prefix: str, now: datetime, values: Callable[[str], dict[str, Any]]
) -> str:
    """Inserts a row under a new number that people can read out: ``prefix``, the day in the shop and six random digits.

    ``values`` gives the row's other columns for a number. A number that is taken, even by a transaction that has not
    committed yet, is never given out again.
    """
    for _ in range(20):
        number = f"{prefix}{now.astimezone(SHANGHAI):%y%m%d}{secrets.randbelow(10**6):06}"
        row = {"id": number, **values(number)}
        done = await session.execute(insert(session, table).values(row).on_conflict_do_nothing().returning(text("id")))
        if done.first():
            return number
    raise RuntimeError(f"no free {prefix} number found today")
