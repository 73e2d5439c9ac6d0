"""Databases of both kinds, with nothing in them but what a test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.tables import ChoiceList, KeptMedia
from mall_adapter import models
from storage import WRITES, create_engine, migrate
from storage.inbox import Inbox
from storage.outbox import Outbox
from tests.databases import Postgres, Sqlite, databases, house

__all__ = ["databases", "house"]


@pytest.fixture(scope="session")
def migrated(databases: Sqlite | Postgres, house: Path) -> str:
    address = databases.create()
    asyncio.run(migrate(address))
    return address


@pytest.fixture
async def engine(migrated: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(migrated)
    async with engine.execution_options(**WRITES).begin() as connection:
        for table in (
            ChoiceList,
            KeptMedia,
            models.LeadTalk,
            models.Lead,
            models.DeskUpdate,
            models.Handoff,
            Inbox,
            Outbox,
        ):
            await connection.execute(delete(table))
    yield engine
    await engine.dispose()
