"""A WeChat of the tests' own, and what a house keeps of it on SQLite and on a really started PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.wechat.tables import AccessToken, Consent, Grant, KfAccount, Nudge, Refusal, Welcome
from storage import WRITES, create_engine, migrate
from tests.connectors.conftest import aside, free_port
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.wechat import stand_in
from tests.connectors.wechat.shop import Shop, until
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
        for table in (AccessToken, Consent, Grant, KfAccount, Nudge, Refusal, Welcome):
            await connection.execute(delete(table))
    yield engine
    await engine.dispose()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


# ---- gateways, each with a WeChat of its own; both are there for the whole session: use customers of your own ----


@contextmanager
def opened(folder: Path, rasa: FakeRasa, *, safe: bool) -> Iterator[Shop]:
    with stand_in.serve(free_port()) as wechat:
        shop = aside(lambda: Shop(folder, rasa, wechat, safe=safe))
        shop.gateway.start()
        yield shop
        shop.gateway.stop()


@pytest.fixture(scope="session")
def safe_shop(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("safe"), rasa_server, safe=True) as shop:
        yield shop


@pytest.fixture
def shop(safe_shop: Shop, rasa: FakeRasa) -> Shop:
    """One with a service account, in safe mode."""
    safe_shop.wechat.reset()
    return safe_shop


@pytest.fixture(scope="session")
def small_shop(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """In plain mode, with an account that may not send by itself."""
    with opened(tmp_path_factory.mktemp("plain"), rasa_server, safe=False) as shop:
        shop.wechat.service = False
        yield shop


@pytest.fixture
async def alone(small_shop: Shop, rasa: FakeRasa) -> Shop:
    """The house has learned that it may not."""
    if not small_shop.refusals():
        rasa.gate.clear()
        assert await small_shop.customer().says("在吗") is None
        rasa.gate.set()
        await until(lambda: bool(small_shop.refusals()))
        rasa.reset()
    return small_shop
