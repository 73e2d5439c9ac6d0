"""The mark of the demo, on both databases."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from demo import DemoRefused, unseed
from demo.place import refuse_beside_own
from mall_adapter import is_demo, models, was_demo
from mall_adapter.policy import Trade
from mall_adapter.values import OrderStatus
from storage import WRITES, create_engine, migrate
from storage.migrations import versions
from tests.mall_adapter.conftest import NOW, Postgres, Sqlite

MARKED = (models.Customer, models.Supplier)


def mark_what_was_seeded(connection: Connection) -> None:
    """As the migration does it when it comes to an older house."""
    (file,) = Path(versions.__path__[0]).glob("*_demo.py")
    migration = importlib.import_module(f"{versions.__name__}.{file.stem}")
    with Operations.context(MigrationContext.configure(connection)):
        migration.mark_what_was_seeded()


async def mark(engine: AsyncEngine, *ids: str) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        for model in MARKED:
            await connection.execute(update(model).where(model.id.in_(ids)).values(demo=True))


async def left(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        counts = {
            table.name: await connection.scalar(select(func.count()).select_from(table))
            for table in models.Base.metadata.sorted_tables
            if table.name != "region"  # which came with the migrations
        }
    return {name: count for name, count in counts.items() if count}


async def test_what_has_no_mark_is_the_shops(engine: AsyncEngine) -> None:
    before = await left(engine)
    assert not await is_demo(engine)
    async with engine.connect() as connection:
        with pytest.raises(DemoRefused, match="of its own"):
            await refuse_beside_own(connection)
    assert await unseed(engine) == 0
    assert await left(engine) == before


async def test_one_customer_of_the_demo_goes_with_all_that_is_hers(engine: AsyncEngine) -> None:
    await mark(engine, "C2")  # her order is of the shop's goods
    before = await left(engine)
    await unseed(engine)
    after = await left(engine)
    assert {name: before[name] - after.get(name, 0) for name in ("customer", "orders", "order_line", "shipment")} == {
        "customer": 1,
        "orders": 1,
        "order_line": 1,
        "shipment": 1,
    }
    assert {name: after[name] for name in ("supplier", "product", "sku")} == {"supplier": 1, "product": 4, "sku": 4}


async def test_goods_of_the_demo_that_were_sold_stay(engine: AsyncEngine) -> None:
    await mark(engine, "S1", "C2")
    before = await left(engine)
    assert await is_demo(engine)
    with pytest.raises(DemoRefused, match="nothing was removed"):
        await unseed(engine)
    assert await left(engine) == before


async def test_nothing_is_left_of_a_demo(engine: AsyncEngine) -> None:
    await mark(engine, "S1", "C1", "C2")
    async with engine.connect() as connection:
        await refuse_beside_own(connection)
    await unseed(engine)
    assert await left(engine) == {"principal": 2, "membership": 2}  # the shop's own people
    assert not await is_demo(engine)


@pytest.mark.parametrize("ids", [("C900001", "S01"), ("C1", "S1")])
async def test_a_demo_from_before_the_mark_gets_it(databases: Sqlite | Postgres, ids: tuple[str, str]) -> None:
    """By its story of ORD12345; a shop that has an order of this number is no demo."""
    url = databases.create()
    await migrate(url)
    engine = create_engine(url)
    customer = {"name": "周琳", "phone": "1", "phone_index": "1", "address": "1", "region": "310000"}
    recipient = {"recipient_name": "1", "recipient_phone": "1", "recipient_address": "1", "phone_tail_index": "1"}
    sold = {"status": OrderStatus.PAID, "placed_at": NOW, "total_cents": 1, "region": "310000"}
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Customer(id=ids[0], registered_at=NOW, **customer))
        session.add(models.Supplier(id=ids[1], name="x", trade=Trade.FOOD, region="310000"))
        session.add(models.Order(id="ORD12345", customer_id=ids[0], **sold, **recipient))
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.run_sync(mark_what_was_seeded)
    was = ids[0] == "C900001"
    assert (await is_demo(engine), await was_demo(engine)) == (was, was)
    async with engine.connect() as connection:
        assert await connection.scalar(select(models.Customer.demo)) is was
    await engine.dispose()
