"""Puts the demo mall into a migrated database, and moves its stories to today."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime
from random import Random

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from demo import cards, rows, seasons, stories
from demo.after_sales import Case, invent_cases
from demo.coupons import invent_coupons, redeem
from demo.goods import Article, load_articles
from demo.history import DAYS, Sale, invent_sales
from demo.people import Person, Region, invent_people, load_regions, load_staff
from demo.place import refuse_beside_own
from mall_adapter import models
from mall_adapter.house_rules import house_policy
from mall_adapter.policy import AfterSalesPolicy
from storage import WRITES

SEED = 20_250_101
CUSTOMERS = 2_000
ORDERS = 20_001
_CHUNK = 5_000
_IN_ORDER_OF_KEYS: tuple[type[models.Base], ...] = (
    models.Supplier,
    models.Warehouse,
    models.Product,
    models.Sku,
    models.Price,
    models.Stock,
    models.FreightTemplate,
    models.Customer,
    models.Principal,
    models.Membership,
    models.Coupon,
    models.Order,
    models.Fulfilment,
    models.OrderLine,
    models.Shipment,
    models.ShipmentLine,
    models.TrackingEvent,
    models.StockMovement,
    models.Ticket,
    models.TicketLine,
    models.TicketEvent,
)


async def seed(engine: AsyncEngine, today: date, say: Callable[[str], None] = print) -> None:
    """Puts the demo mall into a migrated database, all of it or nothing. ``today`` is a date in Asia/Shanghai.

    In a mall that has it already, story orders of an earlier day move to ``today``, unless somebody has since changed
    them or made a ticket of them; nothing else is touched. Raises DemoRefused where a shop has data of its own.
    """
    told = stories.load_stories()
    async with engine.execution_options(**WRITES).begin() as connection:
        await refuse_beside_own(connection)
        query = select(models.Order.id, models.Order.placed_at, models.Order.status)
        found = await connection.execute(query.where(models.Order.id.in_([story.id for story in told])))
        present = {order_id: (placed_at, status) for order_id, placed_at, status in found}
        if not present:
            await _build(connection, told, today, say)
        await _hire(connection, seasons.midnight(today))
        await cards.pass_on(connection, Random(SEED), seasons.midnight(today))  # noqa: S311
        if not present:
            return
        stale = [story for story in told if story.id in present and present[story.id][0] != story.placed_at(today)]
        moved = await _move(connection, stale, today) if stale else 0
        say(f"Demo mall is there, {moved} story orders moved to today / 演示商城已存在，{moved} 个示例订单已更新到今天")


async def _build(
    connection: AsyncConnection, told: list[stories.Story], today: date, say: Callable[[str], None]
) -> None:
    start = time.monotonic()
    rng = Random(SEED)  # noqa: S311  (a demo, not a secret)
    now = seasons.midnight(today)
    policy = house_policy()
    regions = load_regions()
    articles = load_articles()
    say(f"Demo mall: {len(articles)} products / 演示商城：{len(articles)} 个商品")

    owners = stories.people(regions, today)
    people = invent_people(rng, regions, today, DAYS, CUSTOMERS - len(owners))
    sales = invent_sales(rng, articles, people, regions, today, ORDERS - len(told))
    coupons = invent_coupons(Random(SEED), people, sales, now)  # noqa: S311
    sales = redeem(sales, coupons)
    cases = invent_cases(rng, policy, sales, now)
    story_sales, story_cases = _tell(told, articles, owners, regions, policy, today)
    wanted = frozenset(line.sku.id for sale in story_sales for line in sale.lines)
    say(f"  {CUSTOMERS} customers, {ORDERS} orders, {len(cases)} tickets / 顾客、订单、售后单已生成")

    everything = (
        rows.of_articles(rng, articles, [*sales, *story_sales], wanted, now)
        | rows.of_terms(articles, today)
        | rows.of_people([*people, *owners])
        | rows.of_sales([*sales, *story_sales])
        | rows.of_cases([*cases, *story_cases])
        | rows.of_coupons([*coupons, *stories.coupons(owners, today)])
    )
    await _insert(connection, rows.with_cases(everything))
    if await connection.scalar(select(models.Demo.id)) is None:
        await connection.execute(insert(models.Demo), [{"id": 1, "seeded_at": now}])
    say(f"  written in {time.monotonic() - start:.0f} s / 写入完成，用时 {time.monotonic() - start:.0f} 秒")


async def _hire(connection: AsyncConnection, now: datetime) -> None:
    """Those who work there, unless there are some: a demo of an earlier release had none."""
    person = models.Principal
    working = select(person.id).where(person.demo, person.customer_id.is_(None)).limit(1)
    if await connection.scalar(working) is not None:
        return
    staff = load_staff(await connection.scalars(select(models.Supplier.id).where(models.Supplier.demo)))
    indexes = {models.name_index(one.name): one for one in staff if one.name}
    taken = await connection.scalars(select(person.name_index).where(person.name_index.in_(indexes)))
    namesakes = {indexes[index] for index in taken if index}  # of real people, whose names stay theirs
    await _insert(connection, rows.of_staff((one for one in staff if one not in namesakes), now))


async def _move(connection: AsyncConnection, stale: list[stories.Story], today: date) -> int:
    """Writes these stories again with the dates of ``today``; returns how many were still as they had been told."""
    regions = load_regions()
    owners = stories.people(regions, today)
    told = _tell(stale, load_articles(), owners, regions, house_policy(), today)
    untouched = await _untouched(connection, *told)
    sales = [sale for sale in told[0] if sale.id in untouched]
    cases = [case for case in told[1] if case.sale.id in untouched]
    new = rows.with_cases(rows.of_sales(sales) | rows.of_cases(cases))

    orders = new.pop(models.Order, [])
    shipments = select(models.Shipment.id).where(models.Shipment.order_id.in_(untouched))
    tickets = select(models.Ticket.id).where(models.Ticket.order_id.in_(untouched))
    for old in (
        delete(models.TicketEvent).where(models.TicketEvent.ticket_id.in_(tickets)),
        delete(models.TicketLine).where(models.TicketLine.ticket_id.in_(tickets)),
        delete(models.Ticket).where(models.Ticket.order_id.in_(untouched)),
        delete(models.TrackingEvent).where(models.TrackingEvent.shipment_id.in_(shipments)),
        delete(models.ShipmentLine).where(models.ShipmentLine.shipment_id.in_(shipments)),
        delete(models.Shipment).where(models.Shipment.order_id.in_(untouched)),
        delete(models.OrderLine).where(models.OrderLine.order_id.in_(untouched)),
        delete(models.Fulfilment).where(models.Fulfilment.order_id.in_(untouched)),
    ):
        await connection.execute(old)
    for order in orders:  # others may point at the order itself: whoever has proved that it is theirs
        times = ("placed_at", "paid_at", "ships_by", "delivered_at")
        values = {name: order[name] for name in (*times, "refunded_cents")}
        await connection.execute(update(models.Order).where(models.Order.id == order["id"]).values(values))
    await _insert(connection, new)
    return len(sales)


async def _untouched(connection: AsyncConnection, sales: list[Sale], cases: list[Case]) -> set[str]:
    """Ids of the orders whose state and tickets are those that the stories gave them."""
    ids = [sale.id for sale in sales]
    orders = await connection.execute(select(models.Order.id, models.Order.status).where(models.Order.id.in_(ids)))
    query = select(models.Ticket.order_id, models.Ticket.id, models.Ticket.status)
    tickets = await connection.execute(query.where(models.Ticket.order_id.in_(ids)))
    as_told = {(case.sale.id, case.id, case.status) for case in cases}
    found = {(order_id, ticket_id, status) for order_id, ticket_id, status in tickets}
    statuses = {sale.id: sale.status for sale in sales}
    unchanged = {order_id for order_id, status in orders if status is statuses[order_id]}
    return unchanged - {order_id for order_id, _, _ in found ^ as_told}


def _tell(
    told: list[stories.Story],
    articles: list[Article],
    owners: list[Person],
    regions: dict[str, Region],
    policy: AfterSalesPolicy,
    today: date,
) -> tuple[list[Sale], list[Case]]:
    pairs = [stories.tell(story, articles, owners, regions, policy, today) for story in told]
    sales = redeem([sale for sale, _ in pairs], stories.coupons(owners, today))
    return sales, [case for _, case in pairs if case]


async def _insert(connection: AsyncConnection, new: rows.Rows) -> None:
    for model in _IN_ORDER_OF_KEYS:
        pending = new.get(model, [])
        for start in range(0, len(pending), _CHUNK):
            await connection.execute(insert(model), pending[start : start + _CHUNK])
