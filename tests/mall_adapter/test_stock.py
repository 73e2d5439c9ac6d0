"""Warehouses, their ledger, and those who count."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from random import Random

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlMall, models
from mall_adapter.errors import MallError, NotFound, NotPermitted, OutOfStock, StaleVersion, StillAllocated
from mall_adapter.stocktaking import unbalanced
from mall_adapter.values import StockLevel
from storage import WRITES, Actor, Role
from storage.events import EventRow
from tests.mall_adapter.goods import add_stock, add_supplier, stock_of
from tests.mall_adapter.offices import OPERATOR, office, own_office, place_order, ship_order

from .conftest import Clock

SHOES = ("W-S1", "P1-1")


async def balanced(engine: AsyncEngine) -> bool:
    async with AsyncSession(engine) as session:
        return not await unbalanced(session)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("missing", "code", "said"), [(0, 0, "库存与流水一致"), (1, 1, "W-S1 P1-1")])
async def test_an_operator_has_the_ledger_checked(
    url: str, engine: AsyncEngine, missing: int, code: int, said: str
) -> None:
    changed = update(models.Stock).where(models.Stock.sku_id == "P1-1").values(on_hand=models.Stock.on_hand - missing)
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(changed)
    command = [sys.executable, "-m", "mall_adapter", "stock-check"]
    environment = {**os.environ, "DATABASE_URL": url.replace("+aiosqlite", "")}
    checking = await asyncio.create_subprocess_exec(
        *command, cwd=settings.ROOT, env=environment, stdout=PIPE, stderr=STDOUT
    )
    told, _ = await checking.communicate()
    assert (checking.returncode, said in told.decode()) == (code, True), told.decode()


async def add_warehouse(engine: AsyncEngine, region: str, **stock: int) -> None:
    """Another one of the same supplier."""
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Warehouse(id="W-2", supplier_id="S1", region=region, name="二号仓"))
        await session.flush()
        for sku_id, pieces in stock.items():
            add_stock(session, sku_id.replace("_", "-"), "W-2", pieces)


async def fulfilments(engine: AsyncEngine, order_id: str) -> dict[str, int]:
    """Pieces by warehouse."""
    query = (
        select(models.Fulfilment.warehouse_id, models.OrderLine.quantity)
        .join(models.OrderLine, models.OrderLine.fulfilment_id == models.Fulfilment.id)
        .where(models.Fulfilment.order_id == order_id)
    )
    async with AsyncSession(engine) as session:
        return {row[0]: row[1] for row in await session.execute(query)}


@pytest.mark.parametrize(
    ("region", "there", "pieces", "sent"),
    [
        pytest.param("330100", 5, 2, {"W-2": 2}, id="nearest: the customer lives in the city of the second"),
        pytest.param("510100", 5, 2, {"W-S1": 2}, id="as far as the other: the first"),
        pytest.param("330100", 1, 2, {"W-S1": 2}, id="one that has them all goes before a near one"),
        pytest.param("330100", 5, 12, {"W-2": 5, "W-S1": 7}, id="none has them all"),
    ],
)
async def test_goods_come_from_the_nearest_warehouse_and_from_one_where_one_has_them(
    mall: SqlMall, engine: AsyncEngine, region: str, there: int, pieces: int, sent: dict[str, int]
) -> None:
    await add_warehouse(engine, region, P1_1=there)  # C2 lives in 330100, the first warehouse is in 310000
    order = await place_order(mall, "C2", {"P1-1": pieces}, "k1")
    assert await fulfilments(engine, order.id) == sent
    assert sum(line.quantity for line in order.lines) == pieces
    assert len(order.lines) == len(sent)
    assert await balanced(engine)


async def test_more_than_all_warehouses_have_is_refused(mall: SqlMall, engine: AsyncEngine) -> None:
    await add_warehouse(engine, "330100", P1_1=5)
    with pytest.raises(OutOfStock):
        await place_order(mall, "C1", {"P1-1": 16}, "k1")
    await place_order(mall, "C1", {"P1-1": 15}, "k2")
    assert await stock_of(engine, "P1-1") == (16, 16)


async def test_a_count_is_what_lies_there_and_the_ledger_tells_the_difference(
    mall: SqlMall, engine: AsyncEngine
) -> None:
    at_first = (await office(mall).stock(OPERATOR, "P1-1"))[0]
    assert at_first == StockLevel(*SHOES, on_hand=11, allocated=1, held=0, version=1)
    counted = await office(mall).count_stock(OPERATOR, *SHOES, 9, "k1", if_version=1)
    assert (counted.on_hand, counted.version) == (9, 2)
    assert await office(mall).count_stock(OPERATOR, *SHOES, 9, "k1", if_version=1) == counted
    adjusted = await office(mall).adjust_stock(OPERATOR, *SHOES, -2, "摔坏", "k2", if_version=2)
    received = await office(mall).receive_stock(OPERATOR, *SHOES, 5, "k3")
    assert (adjusted.on_hand, received.on_hand) == (7, 12)
    assert await balanced(engine)
    async with AsyncSession(engine) as session:
        told = (await session.scalars(select(EventRow).order_by(EventRow.id))).all()
    assert [(one.kind, one.data["before"], one.data["after"]) for one in told] == [
        ("stock_counted", 11, 9),
        ("stock_adjusted", 9, 7),
        ("stock_received", 7, 12),
    ]


async def test_who_has_counted_what_others_have_moved_since_is_told_what_is_there(mall: SqlMall) -> None:
    await office(mall).receive_stock(OPERATOR, *SHOES, 4, "k1")
    with pytest.raises(StaleVersion) as stale:
        await office(mall).count_stock(OPERATOR, *SHOES, 9, "k2", if_version=1)
    assert stale.value.current == StockLevel(*SHOES, on_hand=15, allocated=1, held=0, version=2)
    await ship_order(mall, "ORD10003", "顺丰速运", "SF1", "k3")
    with pytest.raises(StaleVersion):
        await office(mall).adjust_stock(OPERATOR, *SHOES, 1, "找到", "k4", if_version=2)


async def test_orders_that_come_in_do_not_disturb_who_counts(mall: SqlMall) -> None:
    await place_order(mall, "C1", {"P1-1": 2}, "k1")
    counted = await office(mall).count_stock(OPERATOR, *SHOES, 12, "k2", if_version=1)
    assert (counted.on_hand, counted.allocated) == (12, 3)


async def test_what_orders_wait_for_cannot_be_counted_away(mall: SqlMall, engine: AsyncEngine) -> None:
    with pytest.raises(StillAllocated) as refused:
        await office(mall).count_stock(OPERATOR, *SHOES, 0, "k1")
    assert refused.value.current.allocated == 1
    assert await stock_of(engine, "P1-1") == (11, 1)


async def test_a_sku_comes_into_a_warehouse_with_its_first_pieces(mall: SqlMall, engine: AsyncEngine) -> None:
    await add_warehouse(engine, "330100")
    with pytest.raises(StaleVersion) as stale:
        await office(mall).count_stock(OPERATOR, "W-2", "P2-1", 3, "k1", if_version=4)
    assert stale.value.current is None
    assert (await office(mall).count_stock(OPERATOR, "W-2", "P2-1", 3, "k2", if_version=0)).version == 1
    assert await stock_of(engine, "P2-1") == (8, 1)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("W-9", "P1-1", 1), NotFound),
        (("W-S1", "P9-1", 1), NotFound),
        (("W-S2", "P1-1", 1), NotFound),  # another supplier's warehouse
        (("W-S1", "P1-1", -1), ValueError),
    ],
)
async def test_a_count_that_cannot_be_changes_nothing(
    mall: SqlMall, engine: AsyncEngine, arguments: tuple[str, str, int], error: type[Exception]
) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        add_supplier(session, "S2", "百货二号")
    with pytest.raises(error):
        await office(mall).count_stock(OPERATOR, *arguments, "k1")
    assert await balanced(engine)


async def test_a_supplier_counts_their_own_and_a_customer_nothing(mall: SqlMall) -> None:
    theirs = Actor(Role.SUPPLIER, "P-s1", supplier_id="S1")
    another = Actor(Role.SUPPLIER, "P-s2", supplier_id="S2")
    assert (await office(mall).count_stock(theirs, *SHOES, 8, "k1")).on_hand == 8
    for nobody in (another, Actor(Role.CUSTOMER, "P-C1")):
        for ask in (
            office(mall).count_stock(nobody, *SHOES, 9, "k1"),
            office(mall).receive_stock(nobody, *SHOES, 9, "k2"),
            office(mall).sync_stock(nobody, "W-S1", {"P1-1": 9}, "k3"),
            office(mall).stock(nobody, "P1-1"),
        ):
            with pytest.raises(NotPermitted):
                await ask


async def test_a_system_tells_a_whole_warehouse_at_once(mall: SqlMall, engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Sku(id="P1-9", product_id="P1", spec="新"))
        (await session.get_one(models.Stock, SHOES)).held = 4
    told = {"P1-1": 3, "P2-1": 0, "P3-1": 0, "P1-9": 6, "X-1": 2}
    done = await office(mall).sync_stock(OPERATOR, "W-S1", told, "k1")
    assert (done.changed, done.short, done.unknown) == (3, ("P2-1",), ("X-1",))
    assert await stock_of(engine, "P1-1") == (3, 1)
    assert await stock_of(engine, "P2-1") == (1, 1)  # an order waits for it
    assert await stock_of(engine, "P1-9") == (6, 0)
    assert await stock_of(engine, "P4-1") == (3, 0)  # was not told
    assert (await office(mall).stock(OPERATOR, "P1-1"))[0].held == 2
    assert await balanced(engine)
    assert await office(mall).sync_stock(OPERATOR, "W-S1", told, "k1") == done
    assert (await office(mall).sync_stock(OPERATOR, "W-S1", told, "k2")).changed == 0


async def test_after_whatever_happens_every_balance_is_the_sum_of_its_movements(
    mall: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    await add_warehouse(engine, "330100", P1_1=3, P2_1=2)
    rng, back, orders = Random(7), office(mall), list[str]()  # noqa: S311  (a walk, not a secret)

    async def step(number: int) -> None:
        key, sku, warehouse = f"k{number}", rng.choice(("P1-1", "P2-1", "P4-1")), rng.choice(("W-S1", "W-2"))
        match rng.randrange(8):
            case 0 | 1 | 2:
                items = {sku: rng.randint(1, 4), rng.choice(("P1-1", "P2-1")): 1}
                paid = rng.random() < 0.7
                order = await back.place_order(OPERATOR, rng.choice(("C1", "C2")), items, key, paid=paid)
                orders.append(order.id)
            case 3:
                await back.ship(OPERATOR, rng.choice(orders or ["ORD10003"]), "顺丰速运", f"SF{number}", key)
            case 4:
                await mall.cancel_order(rng.choice(("web:zhou", "web:he")), rng.choice(orders or ["ORD10003"]), key)
            case 5:
                await back.count_stock(OPERATOR, warehouse, sku, rng.randint(0, 9), key)
            case 6:
                await back.receive_stock(OPERATOR, warehouse, sku, rng.randint(1, 5), key)
            case 7:
                clock.advance(hours=3)
                await own_office(engine, clock).expire_reservations()

    done = 0
    for number in range(80):
        try:
            await step(number)
            done += 1
        except MallError:
            continue
    assert done > 30
    assert await balanced(engine)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        (await session.get_one(models.Stock, SHOES)).on_hand += 1
    assert not await balanced(engine)  # the check can fail


async def test_nothing_moves_twice_for_one_cause(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        known = (await session.scalars(select(models.StockMovement).limit(1))).one()
        again = {"warehouse_id": "W-S1", "sku_id": "P2-1", "kind": known.kind, "quantity": 1, "cause": known.cause}
        session.add(models.StockMovement(**again, at=known.at, role=known.role))
        with pytest.raises(IntegrityError):
            await session.flush()
