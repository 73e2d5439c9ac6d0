"""Where the demo mall may stand: where it is wanted, never beside what is the shop's own, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Table, delete, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import settings
from mall_adapter import is_demo, models, was_demo
from storage import WRITES, EventRow


class DemoRefused(Exception):
    """The demo would get mixed up with what is the shop's own. Its text says what to do, English and Chinese."""


async def unwanted(engine: AsyncEngine) -> str | None:
    """Why the demo mall is not put into this database when the house starts; None where it is."""
    if settings.mall_url():
        return "No demo mall, because MALL_URL names a mall that runs elsewhere / 已设 MALL_URL，不放演示商城"
    match settings.demo():
        case True:
            return None
        case False:
            return "No demo mall, because DEMO=0 / 按 DEMO=0 不放演示商城"
    if await is_demo(engine):
        return None
    if not settings.database_is_own_file():
        return (
            "No demo mall, because DATABASE_URL is set; DEMO=1 asks for it / 指定了 DATABASE_URL，要演示商城请设 DEMO=1"
        )
    if await was_demo(engine):
        return "The demo mall was removed; DEMO=1 brings it back / 演示商城已移除，要恢复请设 DEMO=1"
    return None


async def refuse_beside_own(connection: AsyncConnection) -> None:
    """Raises DemoRefused where there are customers or goods that the demo has not brought."""
    for model in (models.Customer, models.Supplier):
        if await connection.scalar(select(model.id).where(~model.demo).limit(1)) is not None:
            raise DemoRefused(
                "This mall has customers or goods of its own: the demo mall is not put beside them / "
                "商城里已有自己的顾客或商品，不会放入演示数据。"
            )


async def unseed(engine: AsyncEngine) -> int:
    """Removes what the demo brought and all that hangs on it, or nothing; returns how many rows.

    Raises DemoRefused while orders of the shop's own customers hold goods of the demo.
    """
    own = (
        select(models.OrderLine.id)
        .join(models.Order, models.Order.id == models.OrderLine.order_id)
        .join(models.Customer, models.Customer.id == models.Order.customer_id)
        .join(models.Sku, models.Sku.id == models.OrderLine.sku_id)
        .join(models.Product, models.Product.id == models.Sku.product_id)
        .join(models.Supplier, models.Supplier.id == models.Product.supplier_id)
        .where(~models.Customer.demo, models.Supplier.demo)
    )
    async with engine.execution_options(**WRITES).begin() as connection:
        if await connection.scalar(own.limit(1)) is not None:
            raise DemoRefused(
                "Orders of your own customers hold goods of the demo: nothing was removed / "
                "您自己的顾客有订单用到了演示商品，什么都没有删除。"
            )
        rows = await _forget_ways(connection)
        for table, marked in reversed(list(_marked())):
            rows += (await connection.execute(delete(table).where(marked))).rowcount
        return rows


async def _forget_ways(connection: AsyncConnection) -> int:
    """What has no key to what is marked, but its name: events of the demo's cards, and what came of them."""
    card, holder, customer = models.Card, models.CardHolder, models.Customer
    theirs = select(card.id).join(models.Principal, models.Principal.id == card.principal_id)
    cards = theirs.where(models.Principal.demo).scalar_subquery()
    named = (
        select(holder.person)
        .where(holder.card_id.in_(cards))
        .union(select(literal("customer:") + customer.id).where(customer.demo))
        .subquery()
    )
    persons = select(named.c.person)
    lot, budget, supplier = models.EnergyLot, models.OfferBudget, models.Supplier
    of_customer = budget.scope.startswith(literal("customer:") + customer.id + ":")
    of_supplier = budget.scope.startswith(literal("supplier:") + supplier.id + ":")
    subjects = select(literal("person:") + named.c.person).union(
        select(literal("card:") + card.id).where(card.id.in_(cards))
    )
    gone = [
        delete(models.EnergyEntry).where(models.EnergyEntry.lot_id.in_(select(lot.id).where(lot.person.in_(persons)))),
        *(
            delete(table).where(table.person.in_(persons))
            for table in (lot, models.EnergyAccount, models.EnergyReferral, models.EnergySignal, models.LeadQuestion)
        ),
        delete(models.EnergyCard).where(models.EnergyCard.card_id.in_(cards)),
        delete(EventRow).where(EventRow.subject.in_(subjects)),
        delete(budget).where(budget.scope.in_(select(budget.scope).join(customer, of_customer).where(customer.demo))),
        delete(budget).where(budget.scope.in_(select(budget.scope).join(supplier, of_supplier).where(supplier.demo))),
    ]
    return sum([(await connection.execute(each)).rowcount for each in gone])


def _marked() -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Tables, before those that point at them, with what is the demo's: by its mark, or by what it points at."""
    found: dict[Table, ColumnElement[bool]] = {}
    for table in models.Base.metadata.sorted_tables:
        points = [
            column.in_(select(key.column).where(found[key.column.table]))
            for column in table.columns
            for key in column.foreign_keys
            if key.column.table in found
        ]
        marks = [*points, table.columns.demo] if "demo" in table.columns else points
        if marks:
            found[table] = or_(*marks)
            yield table, found[table]
