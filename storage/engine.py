"""The engine behind the house's database, and how its transactions begin.

SQLite runs in WAL mode: readers never wait, writers queue (:mod:`storage.one_hop`). A transaction that will write asks
for it at its start (``engine.execution_options(**WRITES)`` → ``BEGIN IMMEDIATE``), because SQLite refuses to turn a
reader into a writer once somebody else has written in between. PostgreSQL ignores the option.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cache
from time import monotonic
from typing import Any, cast

from sqlalchemy import Connection, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from settings import SHANGHAI
from storage import one_hop
from storage.tables import Base

WRITES = {"house_writes": True}
"""Execution options of an engine whose transactions write."""

BUSY_SECONDS = 30
"""How long a statement may wait for a lock or for an answer before it fails."""

AWAY = ("08", "53", "57")
"""Classes of PostgreSQL's codes: the connection is broken, there is no room for it, somebody has stopped the server."""

IDLE_SECONDS = 20
"""How long a connection to PostgreSQL may lie before it is asked whether it is still there."""


def create_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine for ``url`` (``sqlite+aiosqlite://…`` or ``postgresql+asyncpg://…``)."""
    options["hide_parameters"] = True  # an error's text goes into logs, where no customer's words belong
    if make_url(url).get_backend_name() != "sqlite":
        options.setdefault("connect_args", {"timeout": 10, "command_timeout": BUSY_SECONDS})
        engine = create_async_engine(url, **options)
        _look_before_use(engine)
        _know_who_is_away(engine)
        return engine
    # isolation_level None: sqlite3 begins nothing by itself, so that the event below decides how a transaction begins
    connect_args = {"timeout": BUSY_SECONDS, "isolation_level": None, "async_creator_fn": one_hop.connect}
    engine = create_async_engine(url, connect_args=connect_args, **options)

    set_pragmas(engine, "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("house_writes")
        own = cast(one_hop.Connection, connection.connection.driver_connection)
        own.begin(one_hop.BEGIN_TO_WRITE if immediate else one_hop.BEGIN_TO_READ)

    return engine


def _know_who_is_away(engine: AsyncEngine) -> None:
    """A server that is stopped, killed, recovering or full is away (OperationalError), as it is with other drivers.

    asyncpg's errors for these have no class of the DBAPI's, and SQLAlchemy then makes plain DBAPIErrors of them.
    """

    @event.listens_for(engine.sync_engine, "handle_error")
    def name(context: ExceptionContext) -> BaseException | None:
        fault = context.sqlalchemy_exception
        if (
            type(fault) is not DBAPIError
            or fault.orig is None
            or str(getattr(fault.orig, "sqlstate", ""))[:2] not in AWAY
        ):
            return None
        cause, invalid = context.original_exception, bool(fault.connection_invalidated)
        return OperationalError(
            fault.statement, fault.params, cause, hide_parameters=True, connection_invalidated=invalid
        )


def _look_before_use(engine: AsyncEngine) -> None:
    """Replaces a connection that is gone before a transaction begins on it.

    asyncpg knows without asking when the server has closed it. The pool's own ping asks before every transaction, in
    three round trips; here only a connection that has lain for a while is asked, as a network may have forgotten it.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def lay_down(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["since"] = monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, entry: ConnectionPoolEntry, _: object) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server has closed it")
        since = entry.info.pop("since", None)
        if since is not None and monotonic() - since > IDLE_SECONDS:
            try:
                connection.ping()
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError("it does not answer") from error


def set_pragmas(engine: AsyncEngine, *pragmas: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def insert(session: AsyncSession, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, which both databases write alike and SQLAlchemy keeps in their dialects."""
    return insert_on(session.get_bind().dialect.name, table)


def insert_on(dialect: str, table: type[Base] | Table) -> postgresql.Insert | sqlite.Insert:
    """The same by the name of a dialect, for statements that are made once."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


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
        if await session.scalar(if_free(session.get_bind().dialect.name, table), row):
            return number
    raise RuntimeError(f"no free {prefix} number found today")


@cache
def if_free(dialect: str, table: type[Base]) -> Any:
    """An INSERT that gives the id back, or nothing where the row is there. It is made once: that costs more than it."""
    rows = cast(Table, table.__table__)
    return insert_on(dialect, rows).on_conflict_do_nothing().returning(rows.c.id)
