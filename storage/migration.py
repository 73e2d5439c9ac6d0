"""The migrations that bring the database of the whole house up to date."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path

from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from storage.engine import WRITES, create_engine, set_pragmas

_MIGRATION_LOCK = 7_246_110
"""Any number, the same in every starter: the PostgreSQL advisory lock that migrations hold."""

_LOOK_SECONDS = 0.2


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
        set_pragmas(engine, "foreign_keys = OFF")
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
