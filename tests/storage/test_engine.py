"""Connections: one that is gone is noticed before a transaction begins on it."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
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
