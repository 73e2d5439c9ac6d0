"""The engine behind the mall, and the migrations that bring its database up to date.

SQLite runs in WAL mode: readers never wait, writers queue. A transaction that will write asks for it at its start
(``engine.execution_options(**WRITES)`` → ``BEGIN IMMEDIATE``), because SQLite refuses to turn a reader into a writer
once somebody else has written in between. PostgreSQL ignores the option.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from mall_adapter.models import Base
from settings import SHANGHAI

WRITES = {"mall_writes": True}
"""Execution options of an engine whose transactions write."""

BUSY_SECONDS = 30
"""How long a statement may wait for a lock or for an answer before it fails."""

_MIGRATION_LOCK = 7_246_110
"""Any number, the same in every starter: the PostgreSQL advisory lock that migrations hold."""


def create_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine for ``url`` (``sqlite+aiosqlite://…`` or ``postgresql+asyncpg://…``)."""
    options["hide_parameters"] = True  # an error's text goes into logs, where no customer's words belong
    if make_url(url).get_backend_name() != "sqlite":
        connect = {"timeout": 10, "command_timeout": BUSY_SECONDS}
        return create_async_engine(url, connect_args=connect, pool_pre_ping=True, **options)
    # isolation_level None: sqlite3 begins nothing by itself, so that the event below decides how a transaction begins
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}, **options)

    _set_pragmas(engine, "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("mall_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _set_pragmas(engine: AsyncEngine, *pragmas: str) -> None:
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


async def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``; any number of processes may do so at once.

    Runs in one transaction under a lock. A revision below the present one goes down, ``"base"`` drops everything.
    """
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        # batch mode changes a table by copying and dropping it, which must not touch the rows that point at it
        _set_pragmas(engine, "foreign_keys = OFF")
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            await connection.run_sync(_run, revision)
    finally:
        await engine.dispose()


def _run(connection: Connection, revision: str) -> None:
    # only here, because every process imports this file and Alembic takes as long to import as SQLAlchemy
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if revision == "head":
        command.upgrade(config, revision)
    else:
        command.downgrade(config, revision)
