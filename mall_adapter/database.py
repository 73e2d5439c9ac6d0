"""The engine behind the mall, and the migrations that bring its database up to date.

SQLite runs in WAL mode: readers never wait, writers queue. A transaction that will write asks for it at its start
(``engine.execution_options(**WRITES)`` → ``BEGIN IMMEDIATE``), because SQLite refuses to turn a reader into a writer
once somebody else has written in between. PostgreSQL ignores the option.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from mall_adapter.models import Base
from settings import SHANGHAI

WRITES = {"mall_writes": True}
"""Execution options of an engine whose transactions write."""

BUSY_SECONDS = 30
"""How long a statement may wait for a lock or for an answer before it fails."""

_MIGRATION_LOCK = 7_246_110
"""Any number, the same in every starter: the PostgreSQL advisory lock that migrations hold."""

_LOOK_SECONDS = 0.2


def create_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine for ``url`` (``sqlite+aiosqlite://…`` or ``postgresql+asyncpg://…``)."""
    options["hide_parameters"] = True  # an error's text goes into logs, where no customer's words belong
    if make_url(url).get_backend_name() != "sqlite":
        options.setdefault("connect_args", {"timeout": 10, "command_timeout": BUSY_SECONDS})
        return create_async_engine(url, pool_pre_ping=True, **options)
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


class MigrationRefused(ValueError):
    """A migration that was not asked for, or cannot be. The message says what to do, English and Chinese."""


async def migrate(url: str, revision: str = "head", *, down: bool = False) -> None:
    """Bring the database at ``url`` to ``revision``; any number of processes may do so at once, one after another.

    Takes as long as it takes. A revision below the present one drops what came after it (``"base"``: everything), so
    ``down`` has to be said; else MigrationRefused, and for a revision that nobody knows.
    """
    sqlite = make_url(url).get_backend_name() == "sqlite"
    engine = create_engine(url, poolclass=NullPool, **({} if sqlite else {"connect_args": {"timeout": 10}}))
    if sqlite:
        # batch mode changes a table by copying and dropping it, which must not touch the rows that point at it
        _set_pragmas(engine, "foreign_keys = OFF")
    try:
        async with AsyncExitStack() as held:
            if sqlite:
                file = os.open(f"{engine.url.database}.migrating", os.O_RDWR | os.O_CREAT, 0o600)
                held.callback(os.close, file)
                await _turn(partial(_lock_file, file))
            connection = await held.enter_async_context(engine.execution_options(**WRITES).connect())
            if not sqlite:
                for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                    await connection.execute(text("SELECT set_config(:limit, '0', false)"), {"limit": limit})
                await connection.commit()
                await _turn(partial(_lock_session, connection))
            async with connection.begin():
                await connection.run_sync(_run, revision, down)
    finally:
        await engine.dispose()


async def _turn(lock: Callable[[], Awaitable[bool]]) -> None:
    """Waits until the lock is ours; it goes with the file or the connection that holds it, however that ends."""
    for attempt in count():
        if await lock():
            return
        if attempt == 0:
            print("Waiting for another migration / 等待另一个数据库更新完成", flush=True)
        await asyncio.sleep(_LOOK_SECONDS)


async def _lock_file(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _lock_session(connection: AsyncConnection) -> bool:
    query = text("SELECT pg_try_advisory_lock(:lock)")
    taken = bool((await connection.execute(query, {"lock": _MIGRATION_LOCK})).scalar())
    await connection.commit()
    return taken


def _run(connection: Connection, revision: str, down: bool) -> None:
    # only here, because every process imports this file and Alembic takes as long to import as SQLAlchemy
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    known = [each.revision for each in scripts.walk_revisions()]  # the latest first
    if present is not None and present not in known:
        raise MigrationRefused(
            f"The database is at revision {present}, which this version does not know: it was made by a newer one."
            f" Install that, or restore a backup. / 数据库版本 {present} 比程序新，请升级程序或恢复备份。"
        )
    try:
        target = scripts.as_revision_number(revision) or "base"
        below = [] if target == "base" else [each.revision for each in scripts.walk_revisions("base", str(target))]
    except CommandError:
        raise MigrationRefused(
            f"There is no revision {revision}; there are {', '.join(reversed(known))}. / 没有 {revision} 这个版本。"
        ) from None
    if present is None or present in below:
        if target != "base":
            command.upgrade(config, revision)
        return
    if not down:
        raise MigrationRefused(
            f"The database is at revision {present}: going down to {revision} drops what came after it. If you mean it,"
            f" make a backup, and then: python -m mall_adapter migrate --down {revision}"
            f" / 数据库已是 {present}，退回 {revision} 会删除之后的数据；确实需要时请先备份，再加 --down。"
        )
    command.downgrade(config, revision)
