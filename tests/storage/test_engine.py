"""Connections: one that is gone is noticed before a transaction begins on it, and a server that is away is named so."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage import create_engine
from storage import engine as engines

pytestmark = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)  # SQLite has no server


async def backend(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        number: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        return number


async def test_the_server_has_closed_it(migrated: str, engine: AsyncEngine) -> None:
    other = create_engine(migrated)
    for _ in range(3):
        first = await backend(engine)
        async with other.connect() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
        async with asyncio.timeout(10):
            assert await backend(engine) != first
    await other.dispose()


async def test_one_that_lay_is_asked(migrated: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await backend(engine)
    assert await backend(engine) == first
    monkeypatch.setattr(engines, "IDLE_SECONDS", -1)
    assert await backend(engine) == first  # it answers

    def silent(_: object) -> None:
        raise engine.dialect.loaded_dbapi.InterfaceError("no answer")

    monkeypatch.setattr(AsyncAdapt_asyncpg_connection, "ping", silent)
    assert await backend(engine) != first


async def test_a_server_that_is_killed_is_away_and_comes_back(engine: AsyncEngine) -> None:
    faults: list[type[Exception]] = []
    async with engine.connect() as connection:
        doomed = await connection.execute(text("SELECT pg_backend_pid()"))
        os.kill(doomed.scalar_one(), signal.SIGKILL)
        with pytest.raises((OperationalError, InterfaceError)):
            await connection.execute(text("SELECT pg_sleep(30)"))
    async with asyncio.timeout(60):
        while True:
            try:
                await backend(engine)
                break
            except (SQLAlchemyError, OSError) as error:
                faults.append(type(error))
                await asyncio.sleep(0.01)
    assert {fault for fault in faults if issubclass(fault, SQLAlchemyError)} <= {OperationalError, InterfaceError}
