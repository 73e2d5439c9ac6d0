"""What is kept, on SQLite and on a really started PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from storage import WRITES, create_engine, migrate
from storage.events import EventRow
from storage.idempotency import IdempotencyRecord
from storage.inbox import Inbox
from storage.outbox import Outbox
from tests.databases import Postgres, Sqlite, databases, house

__all__ = ["Postgres", "Sqlite", "databases", "house"]


@pytest.fixture(scope="session")
def migrated(databases: Sqlite | Postgres, house: Path) -> str:
    address = databases.create()
    asyncio.run(migrate(address))
    return address


@pytest.fixture
async def engine(migrated: str) -> AsyncIterator[AsyncEngine]:
    """Nothing is kept yet."""
    engine = create_engine(migrated)
    async with engine.execution_options(**WRITES).begin() as connection:
        for table in (EventRow, IdempotencyRecord, Inbox, Outbox):
            await connection.execute(delete(table))
    yield engine
    await engine.dispose()
