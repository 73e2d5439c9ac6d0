"""Writers of one SQLite file wait for each other in turn, and none is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage import WRITES, create_engine
from storage import engine as engines


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """Its connections are open, so that whoever wants to write queues at once."""
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path}/house.db", pool_size=40)
    async with AsyncExitStack() as connected:
        for _ in range(40):
            await connected.enter_async_context(engine.connect())
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(text("CREATE TABLE entry (id INTEGER PRIMARY KEY, writer INTEGER)"))
    yield engine
    await engine.dispose()


async def write(engine: AsyncEngine, writer: int) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await insert(connection, writer)


async def insert(connection: AsyncConnection, writer: int) -> None:
    await connection.execute(text("INSERT INTO entry (writer) VALUES (:writer)"), {"writer": writer})


async def written(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        return list(await connection.scalars(text("SELECT writer FROM entry ORDER BY id")))


async def queue(engine: AsyncEngine, *writers: int) -> list[asyncio.Task[None]]:
    """Of writers that have come one after the other."""
    waiting = [asyncio.create_task(write(engine, writer)) for writer in writers]
    await asyncio.sleep(0)
    return waiting


async def test_first_come_first_served(engine: AsyncEngine) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await insert(connection, 0)
        waiting = await queue(engine, *range(1, 30))
    await asyncio.gather(*waiting)
    assert await written(engine) == list(range(30))


async def test_one_that_is_cancelled_while_it_waits_holds_up_nobody(engine: AsyncEngine) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await insert(connection, 0)
        waiting = await queue(engine, 1, 2, 3)
        waiting[1].cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting, return_exceptions=True)
    assert await written(engine) == [0, 1, 3]


async def test_one_that_is_cancelled_while_it_writes_holds_up_nobody(engine: AsyncEngine) -> None:
    began = asyncio.Event()

    async def hang() -> None:
        async with engine.execution_options(**WRITES).begin() as connection:
            await insert(connection, 0)
            began.set()
            await asyncio.Event().wait()

    hanging = asyncio.create_task(hang())
    await began.wait()
    waiting = await queue(engine, 1, 2)
    hanging.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(hanging, *waiting, return_exceptions=True)
    assert await written(engine) == [1, 2]


async def test_a_statement_that_fails_holds_up_nobody(engine: AsyncEngine) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (1)"))
    async with asyncio.timeout(10):
        await write(engine, 1)


@pytest.mark.parametrize("statement", [None, "INSERT INTO entry (writer) VALUES (0)", "INSERT INTO nowhere VALUES (0)"])
async def test_what_is_rolled_back_leaves_its_connection_as_it_was(engine: AsyncEngine, statement: str | None) -> None:
    alone = create_engine(str(engine.url), pool_size=1, max_overflow=0)
    for _ in range(2):
        with suppress(OperationalError):
            async with alone.execution_options(**WRITES).connect() as connection:
                await connection.begin()
                if statement:
                    await connection.execute(text(statement))
                await connection.rollback()
        await write(engine, 1)
        await write(alone, 2)
    await alone.dispose()
    assert await written(engine) == [1, 2] * 2


async def test_who_waits_too_long_is_told_so(engine: AsyncEngine) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "BUSY_SECONDS", 0.2)
        hasty = create_engine(str(engine.url))
    async with engine.execution_options(**WRITES).begin() as connection:
        await insert(connection, 0)
        with pytest.raises(OperationalError, match="database is locked"):
            await write(hasty, 1)
    await write(hasty, 2)
    await hasty.dispose()
    assert await written(engine) == [0, 2]
