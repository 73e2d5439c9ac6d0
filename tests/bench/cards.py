"""``python -m tests.bench.cards [FORWARDS] [PEOPLE]``: how long it takes to note one opening of a smart card, among as
many as a shop may have (1,000,000 of 100,000 people by default), on SQLite and on PostgreSQL; and how long its page
lets one wait for the first byte. One event that is written and committed beside each of them tells how fast the
machine is.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from fastapi import FastAPI
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from connectors.cards import pages
from connectors.pages import Pages
from connectors.web.visitor import Visitors
from mall_adapter import models
from mall_adapter.cards import Cards
from mall_adapter.values import Listing
from privacy import KeyRing, current_ring
from privacy.conversations import conversation_of
from storage import WRITES, EventRow, Role, create_engine, migrate
from tests.databases import Postgres, Sqlite

CARDS = 20
MEASURED = 400
NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)


async def fill(engine: AsyncEngine, forwards: int, people: int) -> list[str]:
    """Tokens of copies. Half of the openings are a person's first of a card, half come from somebody else again."""
    rng = random.Random(7)  # noqa: S311
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for number in range(CARDS):
            sender = f"web:sales{number}"
            session.add(models.Principal(id=f"P{number}", name=f"顾问{number}", created_at=NOW))
            await session.flush()
            session.add(models.Membership(principal_id=f"P{number}", role=Role.SALES, granted_at=NOW))
            session.add(
                models.ChannelAccount(
                    sender_index=models.sender_index(sender),
                    sender=sender,
                    conversation=conversation_of(current_ring(), sender),
                    principal_id=f"P{number}",
                    first_seen_at=NOW,
                )
            )
    cards = Cards(engine, lambda: NOW)
    owned = [await cards.make(f"web:sales{number}") for number in range(CARDS)]
    per_card = forwards // 2 // CARDS
    holder_id, forward_id, tokens = 1000, 1, []
    async with engine.execution_options(**WRITES).begin() as connection:
        rows = [
            {"sender_index": models.sender_index(f"web:v{one}"), "person": f"account:v{one}", "since": NOW}
            for one in range(people)
        ]
        for start in range(0, people, 5000):
            await connection.execute(insert(models.CardVisitor), rows[start : start + 5000])
        for number, copy in enumerate(owned):
            holders, edges, events = [], [], []
            ids, depths = [number + 1], {number + 1: 0}
            for person in rng.sample(range(people), min(per_card, people)):
                holder_id += 1
                parent, token = rng.choice(ids), f"t{holder_id}"
                depths[holder_id] = depths[parent] + 1
                holders.append(
                    {
                        "id": holder_id,
                        "token": token,
                        "card_id": copy.face.card_id,
                        "person": f"account:v{person}",
                        "parent_id": parent,
                        "depth": depths[holder_id],
                        "channel": "web",
                        "since": NOW,
                    }
                )
                for sharer in {parent, rng.choice(ids)}:
                    edge = {"card_id": copy.face.card_id, "sharer_id": sharer, "opener_id": holder_id}
                    edges.append(edge | {"id": forward_id, "channel": "web", "depth": depths[sharer] + 1, "at": NOW})
                    told = {"forward_id": forward_id}
                    event = {"kind": "card.forwarded", "subject": f"card:{copy.face.card_id}", "at": NOW}
                    events.append(event | {"role": Role.CUSTOMER, "channel": "web", "data": told})
                    forward_id += 1
                ids.append(holder_id)
                tokens.append(token)
            for start in range(0, len(holders), 5000):
                await connection.execute(insert(models.CardHolder), holders[start : start + 5000])
            for start in range(0, len(edges), 5000):
                await connection.execute(insert(models.CardForward), edges[start : start + 5000])
                await connection.execute(insert(EventRow), events[start : start + 5000])
        if engine.dialect.name == "postgresql":
            for table in ("card_holder", "card_forward"):
                await connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608
                )
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself, but not at once
    print(f"{forward_id - 1:,} openings, {holder_id - 1000:,} copies, {people:,} people")
    return rng.sample(tokens, MEASURED + 50)


async def measure(name: str, url: str, forwards: int, people: int) -> None:
    await migrate(url)
    engine = create_engine(url)
    tokens = await fill(engine, forwards, people)
    now = NOW + timedelta(days=1)
    cards = Cards(engine, lambda: now)
    columns: dict[str, list[tuple[float, float]]] = {"one event": [], "an opening": [], "the page": []}
    page, signals = _page(engine, cards), {"device": "d", "address": "a"}
    for number, token in enumerate(tokens):
        async with _timed(columns["one event"]):
            await _event(engine)
        async with _timed(columns["an opening"]):
            own = await cards.open(token, f"web:new{number}", signals)
        if own is None or own == token:
            raise RuntimeError("an opening was not noted")
        async with _timed(columns["the page"]):
            answer = await page.get(f"/c/{token}")
        if answer.status_code != 200:
            raise RuntimeError("the page did not come")
    for what, spent in columns.items():
        warm = spent[50:]  # the first make statements and open files
        walls, worked = sorted(wall for wall, _ in warm), sum(each for _, each in warm) / len(warm)
        half, most = walls[len(walls) // 2], walls[len(walls) * 95 // 100]
        print(
            f"{name}, {what}: p50 {half:.1f} ms, p95 {most:.1f} ms, {worked:.1f} ms of this process's CPU", flush=True
        )
    await page.aclose()
    await engine.dispose()


@asynccontextmanager
async def _timed(spent: list[tuple[float, float]]) -> AsyncIterator[None]:
    wall, worked = time.perf_counter(), time.process_time()
    yield
    spent.append(((time.perf_counter() - wall) * 1000, (time.process_time() - worked) * 1000))


async def _event(engine: AsyncEngine) -> None:
    row = {"kind": "nothing", "subject": "nothing", "at": NOW, "role": Role.SERVICE, "data": {}}
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(insert(EventRow), row)


def _page(engine: AsyncEngine, cards: Cards) -> httpx.AsyncClient:
    async def nothing() -> list[Listing]:
        return []

    app = FastAPI()
    app.include_router(pages.router(cards, nothing, Visitors([b"bench"], secure=False), {}, Pages(engine)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


def main(forwards: int = 1_000_000, people: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as server:
        place = Path(folder)
        os.environ["DATA_DIR"] = folder
        KeyRing.load_or_create(settings.keyring_file())
        asyncio.run(measure("SQLite", Sqlite(place).create(), forwards, people))
        postgres = Postgres(Path(server))
        try:
            asyncio.run(measure("PostgreSQL", postgres.create(), forwards, people))
        finally:
            postgres.server.cleanup()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
