"""A WeChat of the tests' own, and what a house keeps of it on SQLite and on a really started PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.wechat.tables import AccessToken, Grant, Nudge, Refusal
from storage import WRITES, create_engine, migrate
from tests.connectors.conftest import free_port
from tests.connectors.wechat import stand_in
from tests.connectors.wechat.stand_in import StandIn
from tests.databases import Postgres, Sqlite, databases, house

__all__ = ["databases", "house"]


@pytest.fixture(scope="session")
def wechat_server() -> Iterator[StandIn]:
    with stand_in.serve(free_port()) as wechat:
        yield wechat


@pytest.fixture
def wechat(wechat_server: StandIn) -> StandIn:
    wechat_server.reset()
    return wechat_server


@pytest.fixture(scope="session")
def migrated(databases: Sqlite | Postgres, house: Path) -> str:
    address = databases.create()
    asyncio.run(migrate(address))
    return address


@pytest.fixture
async def engine(migrated: str) -> AsyncIterator[AsyncEngine]:
    """Nothing is known of the account."""
    engine = create_engine(migrated)
    async with engine.execution_options(**WRITES).begin() as connection:
        for table in (AccessToken, Grant, Nudge, Refusal):
            await connection.execute(delete(table))
    yield engine
    await engine.dispose()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client
