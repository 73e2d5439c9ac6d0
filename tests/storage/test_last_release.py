"""The data of a shop with the last release comes along, on SQLite and PostgreSQL, up, down and up again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from mall_adapter import Desk, SqlMall, people
from mall_adapter.actors import SHELL
from mall_adapter.customer_record import look_up
from mall_adapter.handoff import Speaker
from mall_adapter.transactions import Transactions
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import WRITES, Base, Role, create_engine, migrate
from tests.databases import Postgres, Sqlite

from . import last_release

LOST: dict[str, set[str]] = {
    # table → columns that do not come back on the way down; no column: its rows
    "alembic_version": {"version_num"},
    "stock_movement": {"at"},  # the ledger begins when the release comes
    "idempotency_record": set(),  # of an answer there is no way back to what it answered
}


def everything(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of today's tables, opened. A value that does not open fails the test."""
    found = {}
    for table in Base.metadata.sorted_tables:
        rows = connection.execute(select(table).order_by(*table.primary_key)).mappings()
        found[table.name] = [dict(row) for row in rows]
    return found


async def taken(engine: AsyncEngine, look: Any) -> Any:
    async with engine.execution_options(**WRITES).begin() as connection:
        return await connection.run_sync(look)


@pytest.fixture
async def shop(databases: Sqlite | Postgres) -> str:
    """The address of a database of the last release."""
    url = databases.create()
    await last_release.fill(url)
    return url


async def test_up_down_and_up_again(shop: str) -> None:
    engine = create_engine(shop)
    before = await taken(engine, last_release.read)
    assert all(before.values()), [name for name, rows in before.items() if not rows]  # no table is empty
    await migrate(shop)
    first = await taken(engine, everything)
    await migrate(shop, last_release.REVISION, down=True)
    back = await taken(engine, last_release.read)
    assert back.keys() == before.keys()
    for table, rows in before.items():
        assert kept(table, back[table]) == kept(table, rows), table
    await migrate(shop)
    again = await taken(engine, everything)
    for name, rows in first.items():
        assert kept(name, again[name]) == kept(name, rows), name
    await engine.dispose()


def kept(table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lost = LOST.get(table)
    if lost == set():
        return []
    return [{column: value for column, value in row.items() if column not in (lost or ())} for row in rows]


async def test_the_house_of_today_works_with_it(shop: str) -> None:
    await migrate(shop)
    engine = create_engine(shop)
    mall = SqlMall(engine, clock=lambda: last_release.NOW)
    orders = {order.id: order for order in await mall.orders_of("web:lin", limit=50)}
    assert sorted(orders) == ["ORD50001", "ORD50002", "ORD50003", "ORD50004", "ORD50005"]
    assert {order.status.value for order in orders.values()} == {
        *("pending_payment", "paid", "presale", "shipped", "delivered")
    }
    assert sorted(each.id for each in await mall.orders_of("telegram:4711", limit=50)) == [
        *("ORD50006", "ORD50007", "ORD50008", "ORD50009")
    ]
    # proved, not bound
    assert sorted(order.id for order in await mall.orders_of("web:passer")) == ["ORD50005", "ORD50008"]
    assert {ticket.id: ticket.status.value for ticket in await mall.tickets_of("telegram:4711", limit=50)} == {
        "RT2": "approved",
        "RT3": "goods_received",
        "RT4": "refunded",
        "RT5": "exchanged",
        "RT6": "rejected",
    }
    assert {coupon.id for coupon in await mall.coupons_of("web:lin")} >= {"CP1"}
    assert {coupon.id for coupon in await mall.coupons_of("web:passer")} == {"CP4"}
    customer = await mall.customer_of("wechat:oLin")
    assert customer is not None
    assert customer.name == "林晓"
    delivery = await mall.delivery_of("web:lin", "ORD50002")
    assert delivery is not None
    await engine.dispose()


async def test_its_tickets_are_about_pieces_now(shop: str) -> None:
    await migrate(shop)
    engine = create_engine(shop)
    mall = SqlMall(engine, clock=lambda: last_release.NOW)
    tickets = {ticket.id: ticket for ticket in await mall.tickets_of("telegram:4711", limit=50)}
    assert [(line.quantity, line.paid_cents) for line in tickets["RT2"].lines] == [(2, 39800)]
    assert (tickets["RT4"].refunded_cents, tickets["RT2"].refunded_cents) == (239900, 0)
    free = {line.id: line.free for line in (await mall.order("telegram:4711", "ORD50008")).lines}
    # approved, received, exchanged and rejected: the last two are the customer's again
    assert [free[f"ORD50008-{place}"] > 0 for place in (1, 2, 3, 4)] == [False, False, True, True]
    await engine.dispose()


async def test_what_was_on_its_way_to_customers_still_is(shop: str) -> None:
    """Recorded by the bot or not, it keeps its place; and what follows is numbered on."""
    await migrate(shop)
    engine = create_engine(shop)
    desk = Desk(engine, settings.desk_hours(), lambda: last_release.NOW)
    more, shown = await desk.updates("web:lin", after=0)
    assert more
    assert [(each.position, [m["text"] for m in each.messages]) for each in shown] == [
        (1, ["客服小王来了"]),
        (2, ["您好，我来处理"]),
        (3, ["掌柜回来了", "请您评价"]),
        (4, ["客服小李来了"]),
    ]
    await engine.dispose()


async def test_its_customers_are_people_now(shop: str) -> None:
    """Who wrote in a conversation is known; of whom there is none, only that there is an account."""
    await migrate(shop)
    engine = create_engine(shop)
    database = Transactions(engine, lambda: last_release.NOW)
    lin = conversation_of(current_ring(), "web:lin")
    async with database.writing() as session:
        found = await look_up(session, SHELL, "C1", last_release.NOW)
        assert await people.speaker(session, lin) == Speaker("web", "C1", "林晓", (Role.CUSTOMER,))
        assert await people.senders_of(session, "C1") == ["web:lin"]
    accounts = {(each.channel, each.conversation, each.bound) for each in found.accounts}
    assert accounts == {("web", lin, True), (None, None, True)}
    assert found.ids["orders"] == [f"ORD5000{number}" for number in (5, 4, 3, 2, 1)]
    assert (found.ids["handoffs"], found.ids["complaints"], found.ids["misunderstood"]) == (
        ["1", "2"],
        ["1"],
        ["1", "2"],
    )
    assert (found.counts["turns"], found.counts["views"]) == (2, 2)
    await engine.dispose()
