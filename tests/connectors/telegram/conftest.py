"""The channel beside a stand-in of Telegram, with a database of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.channel import Gone, Shared
from connectors.inbound import Inbound
from connectors.rendering import Bubble
from connectors.telegram.bot import Telegram
from privacy import KeyRing
from storage import create_engine, migrate
from tests.connectors.telegram.stand_in import TOKEN, StandIn, serve, until
from tests.databases import Sqlite, house

__all__ = ["house"]


class House:
    """What the gateway is to a channel."""

    def __init__(self, engine: AsyncEngine, http: httpx.AsyncClient) -> None:
        self.received: list[Inbound] = []  # each once, in order
        self.refusals: list[Exception] = []  # raised first, in order
        self._engine, self._http = engine, http

    async def receive(self, inbound: Inbound) -> bool:
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        key = inbound.sender, inbound.message_id
        if key in {(one.sender, one.message_id) for one in self.received}:
            return False
        self.received.append(inbound)
        return True

    def telegram(self, public_url: str = "http://127.0.0.1:8000") -> Telegram:
        async def answer(_: Inbound, __: float, ___: Gone) -> list[Bubble] | None:
            raise AssertionError("Telegram answers nothing passively")

        ring = KeyRing.load(settings.keyring_file())
        shared = Shared(engine=self._engine, ring=ring, http=self._http, public_url=public_url, answer=answer)
        return Telegram(TOKEN, self.receive, shared)

    async def heard(self, messages: int, seconds: float = 10.0) -> list[Inbound]:
        await until(lambda: len(self.received) >= messages, seconds)
        return self.received

    def texts(self) -> list[str | None]:
        return [one.text for one in self.received]


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    async with serve() as api:
        monkeypatch.setenv("TELEGRAM_API_BASE", api.url)
        yield api


@pytest.fixture(scope="session")
def migrated(house: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    address = Sqlite(tmp_path_factory.mktemp("telegram")).create()
    asyncio.run(migrate(address))
    return address


@pytest.fixture
async def engine(migrated: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(migrated)
    yield engine
    await engine.dispose()


@pytest.fixture
async def shop(engine: AsyncEngine) -> AsyncIterator[House]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield House(engine, http)


@pytest.fixture
async def telegram(shop: House, api: StandIn) -> AsyncIterator[Telegram]:
    telegram = shop.telegram()
    yield telegram
    await telegram._bot.session.close()
