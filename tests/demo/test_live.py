"""The demo mall lives on: a week in seconds, nothing stuck, nothing twice, and nobody else's touched."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import selectinload

import settings
from demo import live_on, seasons, seed, seeding, stories
from demo.live import Live, Pace
from mall_adapter import SqlBackOffice, models, orders
from mall_adapter.stock import ALLOCATED, ON_HAND
from mall_adapter.values import OrderStatus, ParcelStatus, TicketStatus
from storage import WRITES, create_engine, migrate
from storage.events import EventRow
from tests.mall_adapter.offices import OPERATOR

TODAY = date(2026, 11, 23)
MIDNIGHT = seasons.midnight(TODAY)
WEEK, END = MIDNIGHT + timedelta(days=7), MIDNIGHT + timedelta(days=2)
PACE = Pace.load().model_copy(update={"orders_a_day": 3})
OWN = "C-own"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "CUSTOMERS", 80)
    monkeypatch.setattr(seeding, "ORDERS", 200)


async def a_mall(url: str) -> AsyncEngine:
    """The demo, and in it a customer of the shop's own with an order that waits."""
    await migrate(url)
    engine = create_engine(url)
    await seed(engine, TODAY, say=lambda _: None)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        stock = models.Stock
        free = select(stock.sku_id).where(stock.on_hand - stock.allocated - stock.held > 3).order_by(stock.sku_id)
        sku = (await session.scalars(free.limit(1))).one()
        phone = "13800001111"
        session.add(
            models.Customer(
                id=OWN,
                name="周琳",
                phone=phone,
                phone_index=models.phone_index(phone),
                address="上海市静安区延平路 1 号",
                region="310000",
                registered_at=MIDNIGHT,
            )
        )
    office = SqlBackOffice(engine, lambda: MIDNIGHT - timedelta(days=4))
    await office.place_order(OPERATOR, OWN, {sku: 1}, "own")
    return engine


async def everything(engine: AsyncEngine) -> list[models.Order]:
    whole = (
        selectinload(models.Order.lines),
        selectinload(models.Order.shipments).options(
            selectinload(models.Shipment.events), selectinload(models.Shipment.lines)
        ),
    )
    async with AsyncSession(engine) as session:
        return list((await session.scalars(select(models.Order).options(*whole).order_by(models.Order.id))).all())


def story(found: list[models.Order]) -> list[tuple[Any, ...]]:
    """What happened, without the numbers that are drawn anew in every mall."""
    return sorted(
        (
            order.customer_id,
            order.placed_at,
            order.status,
            order.total_cents,
            tuple(
                (parcel.carrier, parcel.status, parcel.shipped_at, tuple((one.time, one.text) for one in parcel.events))
                for parcel in order.shipments
            ),
        )
        for order in found
    )


def touchy(found: list[models.Order]) -> list[tuple[Any, ...]]:
    """Of orders that are nobody's to touch."""
    owners = {one.customer for one in stories.load_stories()} | {OWN}
    return story([order for order in found if order.customer_id in owners])


async def adds_up(engine: AsyncEngine) -> None:
    """What the stock has set apart is what waits."""
    waiting: Counter[str] = Counter()
    for order in await everything(engine):
        left = orders.unsent(order)
        for line in order.lines:
            waiting[line.sku_id] += left.get(line.id, 0)
    stock, movement = models.Stock, models.StockMovement
    async with AsyncSession(engine) as session:
        moved = await session.execute(
            select(movement.warehouse_id, movement.sku_id, movement.kind, func.sum(movement.quantity)).group_by(
                movement.warehouse_id, movement.sku_id, movement.kind
            )
        )
        on_hand, allocated, held = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[str]()
        for warehouse, sku, kind, pieces in moved:
            on_hand[warehouse, sku] += pieces if kind in ON_HAND else 0
            allocated[warehouse, sku] += pieces if kind in ALLOCATED else 0
        for row in await session.scalars(select(stock)):
            assert (row.on_hand, row.allocated) == (
                on_hand[row.warehouse_id, row.sku_id],
                allocated[row.warehouse_id, row.sku_id],
            )
            held[row.sku_id] += row.allocated
    assert +held == +waiting


@pytest.fixture
def file(tmp_path: Path, house: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/mall.db"


@pytest.fixture
async def mall(databases: Any, house: Path) -> Any:
    engine = await a_mall(databases.create())
    yield engine
    await engine.dispose()


async def test_a_week(mall: AsyncEngine) -> None:
    before = await everything(mall)
    await Live(mall, MIDNIGHT, PACE).advance(WEEK)
    after = await everything(mall)

    assert touchy(after) == touchy(before)
    known = {order.id for order in before}
    new = [order for order in after if order.id not in known]
    assert 15 <= len(new) <= 35
    assert {order.placed_at.astimezone(settings.SHANGHAI).date() for order in new} == {
        TODAY + timedelta(days=day)
        for day in range(-1, 7)  # and what was still to come of the day before
    }
    assert {order.status for order in new} >= {OrderStatus.PAID, OrderStatus.SHIPPED, OrderStatus.DELIVERED}
    assert any(len(order.shipments) > 1 for order in new)
    await adds_up(mall)

    owners = {one.customer for one in stories.load_stories()} | {OWN}
    for order in after:
        if order.customer_id in owners:
            continue
        if order.status is OrderStatus.PAID:
            assert order.placed_at > WEEK - timedelta(days=6), f"{order.id} is stuck in the shop"
        for parcel in order.shipments:
            under_way = parcel.status not in (ParcelStatus.DELIVERED, ParcelStatus.LOST)
            assert not under_way or (parcel.promised_by or MIDNIGHT) > WEEK - timedelta(days=7), (
                f"{parcel.id} is stuck on its way"
            )
            times = [event.time for event in parcel.events]
            assert times == sorted(times)
            assert len(times) == len(set(times)), f"{parcel.id} was told of twice"
            assert max(times) <= WEEK
        received = order.shipments and all(parcel.delivered_at for parcel in order.shipments)
        assert not received or order.status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED)
        assert order.delivered_at is None or order.placed_at < order.delivered_at <= WEEK
    async with AsyncSession(mall) as session:
        waiting = select(func.max(models.Ticket.created_at)).where(models.Ticket.status == TicketStatus.OPEN)
        oldest = (await session.execute(waiting)).scalar()
        assert not oldest or oldest > WEEK - timedelta(days=3)
        kinds = set(await session.scalars(select(EventRow.kind)))
    assert kinds >= {"parcel_shipped", "parcel_moved", "order_shipped", "order_delivered"}


async def test_the_same_mall_lives_the_same_life_however_often_it_is_started(file: str, tmp_path: Path) -> None:
    one, other = await a_mall(file), await a_mall(f"sqlite+aiosqlite:///{tmp_path}/other.db")
    await Live(one, MIDNIGHT, PACE).advance(MIDNIGHT + timedelta(days=1))
    for hours in range(0, 25, 8):  # started anew each time
        await Live(other, MIDNIGHT + timedelta(hours=max(0, hours - 8)), PACE).advance(
            MIDNIGHT + timedelta(hours=hours)
        )
    assert story(await everything(one)) == story(await everything(other))
    await one.dispose()
    await other.dispose()


async def test_killed_in_the_middle_it_does_nothing_twice(databases: Any, house: Path) -> None:
    url = databases.create()
    engine = await a_mall(url)
    program = (
        "import asyncio; from demo import seeding; from datetime import datetime; from demo.live import Live, Pace;"
        "from storage import create_engine; seeding.CUSTOMERS = 80;"
        "pace = Pace.load().model_copy(update={'orders_a_day': 3});"
        f"start, end = map(datetime.fromisoformat, ({MIDNIGHT.isoformat()!r}, {END.isoformat()!r}));"
        f"asyncio.run(Live(create_engine({url!r}), start, pace).advance(end))"
    )
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=settings.ROOT)  # noqa: ASYNC220
        seen, deadline = await events(engine), time.monotonic() + 60
        while await events(engine) < seen + 10 and process.poll() is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        process.kill()
        process.wait()
    await Live(engine, MIDNIGHT, PACE).advance(END)
    await adds_up(engine)
    found = await everything(engine)
    owners = {one.customer for one in stories.load_stories()}
    buys = Counter((order.customer_id, order.placed_at) for order in found if order.customer_id not in owners)
    assert max(buys.values()) == 1
    for order in found:
        for parcel in order.shipments:
            assert len(parcel.events) == len({event.time for event in parcel.events})
        sent = Counter[str]()
        for parcel in order.shipments:
            sent.update({line.order_line_id: line.quantity for line in parcel.lines})
        assert all(sent[line.id] <= line.quantity - line.released for line in order.lines)
    async with AsyncSession(engine) as session:
        told = await session.execute(select(EventRow.kind, EventRow.subject, EventRow.at))
        assert max(Counter(tuple(one) for one in told).values()) == 1
    await engine.dispose()


async def events(engine: AsyncEngine) -> int:
    async with AsyncSession(engine) as session:
        return await session.scalar(select(func.count()).select_from(EventRow)) or 0


async def test_a_database_that_is_away_is_waited_for(
    tmp_path: Path, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.live._PAUSES", (0.05,))
    here, away = tmp_path / "here", tmp_path / "away"
    here.mkdir()
    await (await a_mall(f"sqlite+aiosqlite:///{here}/mall.db")).dispose()
    engine, said = create_engine(f"sqlite+aiosqlite:///{away}/mall.db"), asyncio.Queue[str]()
    living = asyncio.create_task(live_on(engine, until=datetime.now(UTC), pace=PACE, say=said.put_nowait))
    assert (await said.get()).startswith("The database does not answer (")
    here.rename(away)
    await asyncio.wait_for(living, 60)
    assert await events(engine) > 0
    await engine.dispose()


async def test_time_runs_at_the_speed_that_is_asked_for(file: str) -> None:
    """Twelve hours in a few seconds: what is due is done as time reaches it."""
    engine = await a_mall(file)
    now = datetime.now(UTC)
    await live_on(engine, speed=43_200, until=now + timedelta(hours=12), pace=PACE, say=lambda _: None)
    newest = max(order.placed_at for order in await everything(engine))
    assert now - timedelta(days=2) < newest <= now + timedelta(hours=12)
    await engine.dispose()


async def test_where_there_is_no_demo_it_ends(file: str) -> None:
    await migrate(file)
    engine, said = create_engine(file), list[str]()
    await live_on(engine, say=said.append)
    assert said == ["There is no demo mall here / 这里没有演示商城"]
    await engine.dispose()


@pytest.mark.parametrize(
    "wrong",
    [{"orders_a_day": -1}, {"parcels": {"late": 2, "late_in_a_rush": 0, "lost": 0}}, {"ordres": 3}, {"tickets": {}}],
)
def test_a_pace_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Pace.model_validate(Pace.load().model_dump() | wrong)


@pytest.mark.parametrize("arguments", [["--speed", "0"], ["--speed", "fast"], ["--until", "tomorrow"]])
def test_what_cannot_be_asked_for_is_said(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mall_adapter", "live", *arguments]
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=settings.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr
