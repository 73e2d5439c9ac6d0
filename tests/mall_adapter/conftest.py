"""A small mall that can be known by heart, on SQLite and on a really started PostgreSQL.

周琳 (C1, phone 138 0000 5678) is bound to ``web:zhou``, 何军 (C2, phone 139 0000 4321) to ``web:he``, nobody to
``web:guest``. 小王 and 小李 are operators.

| order    | whose | state                  | lines                                |
|----------|-------|------------------------|--------------------------------------|
| ORD10001 | C1    | delivered 3 days ago   | running shoes, 399.00                |
| ORD10002 | C1    | delivered 2 days ago   | two pairs of shoes 798.00, lipstick 199.00 |
| ORD10003 | C1    | paid, not shipped      | running shoes, lipstick              |
| ORD10004 | C1    | delivered 40 days ago  | running shoes                        |
| ORD20001 | C2    | delivered 2 days ago   | mooncakes, 128.00                    |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.http import client
from mall_adapter.http.client import HttpMall, connection
from mall_adapter.policy import Trade
from mall_adapter.values import OrderStatus
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import WRITES, Role, create_engine, migrate
from tests.databases import Postgres, Sqlite, house, served_by
from tests.mall_adapter.goods import add_sku, add_supplier, empty
from tests.mall_adapter.served import Place, Served, serving

__all__ = ["Postgres", "Sqlite", "house"]  # fixtures, and what they give

UNHURRIED = httpx.Timeout(60.0)
"""For one request over HTTP: how quick an answer is, is not asked here."""

NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)  # a Wednesday, ten in the morning in Shanghai


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **time: float) -> None:
        self.now += timedelta(**time)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What asks for a mall has one of three: our own on either database, and that on SQLite over HTTP."""
    chosen = [one.args[0] for one in metafunc.definition.iter_markers("parametrize")]
    if "databases" in metafunc.fixturenames and "databases" not in chosen:
        over_http = ["http"] if {"mall", "malls"} & {*metafunc.fixturenames} else []
        metafunc.parametrize("databases", ["sqlite", "postgresql", *over_http], indirect=True, scope="session")


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqlite | Postgres]:
    with served_by("postgresql" if request.param == "postgresql" else "sqlite", tmp_path_factory) as databases:
        yield databases


@pytest.fixture(scope="session")
def migrated(databases: Sqlite | Postgres, house: Path) -> str:
    address = databases.create()
    asyncio.run(migrate(address))
    return address


@pytest.fixture
async def url(migrated: str) -> str:
    """The address of the small mall, as the table above describes it."""
    engine = create_engine(migrated)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await empty(session)
        add_small_mall(session)
    await engine.dispose()
    return migrated


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url)
    yield engine
    await engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def neighbours() -> Iterator[Served]:
    """A mall that runs elsewhere, for those tests that ask one over HTTP."""
    with serving() as served:
        yield served


@pytest.fixture
async def elsewhere(request: pytest.FixtureRequest, url: str, clock: Clock) -> Place | None:
    """Where the mall is asked over HTTP; None where it is asked directly."""
    if request.node.callspec.params["databases"] != "http":
        return None
    served: Served = request.getfixturevalue("neighbours")
    return await served.show(url, clock)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 120.0)


@pytest.fixture
async def mall(engine: AsyncEngine, clock: Clock, elsewhere: Place | None) -> AsyncIterator[SqlMall]:
    """An HttpMall has no more than a :class:`SqlMall` that may be used here: the methods of the port."""
    if elsewhere is None:
        yield SqlMall(engine, clock=clock)
        return
    async with connection(*elsewhere, UNHURRIED) as http:
        yield cast(SqlMall, HttpMall(http))


@pytest.fixture
async def malls(url: str, clock: Clock, elsewhere: Place | None) -> AsyncIterator[list[SqlMall]]:
    """The same mall seen by three processes' worth of connections."""
    if elsewhere is not None:
        async with AsyncExitStack() as opened:
            yield [
                cast(SqlMall, HttpMall(await opened.enter_async_context(connection(*elsewhere, UNHURRIED))))
                for _ in range(3)
            ]
        return
    engines = [create_engine(url) for _ in range(3)]
    yield [SqlMall(engine, clock=clock) for engine in engines]
    for engine in engines:
        await engine.dispose()


def bound(sender: str, customer_id: str, at: datetime) -> tuple[models.Base, ...]:
    """The customer's principal, and the account by which they write."""
    principal_id = f"P-{customer_id}"
    return (
        models.Principal(id=principal_id, customer_id=customer_id, created_at=at),
        models.Membership(principal_id=principal_id, role=Role.CUSTOMER, granted_at=at),
        models.ChannelAccount(
            sender_index=models.sender_index(sender),
            sender=sender,
            channel=sender.partition(":")[0],
            conversation=conversation_of(current_ring(), sender),
            principal_id=principal_id,
            first_seen_at=at,
            bound_at=at,
        ),
    )


def add_small_mall(session: AsyncSession) -> None:
    for sender, customer_id in (("web:zhou", "C1"), ("web:he", "C2")):
        session.add_all(bound(sender, customer_id, NOW))
    for principal_id, name in (("P-wang", "小王"), ("P-li", "小李")):
        index = models.name_index(name)
        session.add(models.Principal(id=principal_id, name=name, name_index=index, created_at=NOW))
        session.add(models.Membership(principal_id=principal_id, role=Role.OPERATOR, granted_at=NOW))
    session.add_all(
        models.Customer(
            id=customer_id,
            name=name,
            phone=phone,
            phone_index=models.phone_index(phone),
            address=address,
            region=region,
            registered_at=NOW - timedelta(days=400),
        )
        for customer_id, name, phone, address, region in (
            ("C1", "周琳", "13800005678", "上海市静安区延平路 1 号", "310000"),
            ("C2", "何军", "13900004321", "杭州市西湖区文三路 2 号", "330100"),
        )
    )
    add_supplier(session)
    for product_id, name, brand, category, trade, attributes in (
        ("P1", "云跑缓震跑步鞋", "云跑", "跑步鞋", Trade.CLOTHING, {"鞋面": "透气网布"}),
        ("P2", "花间丝绒口红", "花间", "口红", Trade.BEAUTY, {"色号": "豆沙"}),
        ("P3", "月满双黄莲蓉月饼", "月满", "月饼", Trade.FOOD, {"净含量": "500 g"}),
        ("P4", "云跑速干短袖", "云跑", "T恤", Trade.CLOTHING, {"面料": "聚酯纤维"}),
    ):
        session.add(
            models.Product(
                id=product_id,
                supplier_id="S1",
                name=name,
                brand=brand,
                category=category,
                trade=trade,
                fresh=trade is Trade.FOOD,
                custom_made=False,
                attributes=attributes,
                image_path=None,
            )
        )
    for sku_id, spec, price_cents, quantity, allocated in (
        ("P1-1", "黑色 42码", 39900, 11, 1),
        ("P2-1", "豆沙色", 19900, 5, 1),
        ("P3-1", "礼盒装", 12800, 0, 0),
        ("P4-1", "白色 L", 8900, 3, 0),
    ):
        add_sku(session, sku_id, sku_id[:2], spec, price_cents, quantity, allocated=allocated)
    shoes, two_pairs, lipstick = ("P1-1", 1, 39900), ("P1-1", 2, 39900), ("P2-1", 1, 19900)
    for order_id, customer_id, phone, days_since_delivery, lines in (
        ("ORD10001", "C1", "13800005678", 3, [shoes]),
        ("ORD10002", "C1", "13800005678", 2, [two_pairs, lipstick]),
        ("ORD10003", "C1", "13800005678", None, [shoes, lipstick]),
        ("ORD10004", "C1", "13800005678", 40, [shoes]),
        ("ORD20001", "C2", "13900004321", 2, [("P3-1", 1, 12800)]),
    ):
        delivered_at = None if days_since_delivery is None else NOW - timedelta(days=days_since_delivery)
        session.add(
            models.Order(
                id=order_id,
                customer_id=customer_id,
                status=OrderStatus.DELIVERED if delivered_at else OrderStatus.PAID,
                placed_at=(delivered_at or NOW) - timedelta(days=3),
                ships_by=None if delivered_at else NOW + timedelta(days=1),
                delivered_at=delivered_at,
                total_cents=sum(pieces * price_cents for _, pieces, price_cents in lines),
                region="310000" if customer_id == "C1" else "330100",
                paid_at=(delivered_at or NOW) - timedelta(days=3),
                recipient_name="收件人",
                recipient_phone=phone,
                recipient_address="送货地址",
                phone_tail_index=models.phone_tail_index(order_id, phone),
                fulfilments=[models.Fulfilment(id=f"{order_id}-F1", supplier_id="S1", warehouse_id="W-S1")],
                lines=[
                    models.OrderLine(
                        fulfilment_id=f"{order_id}-F1",
                        id=f"{order_id}-{position}",
                        sku_id=sku_id,
                        product_name={"P1-1": "云跑缓震跑步鞋", "P2-1": "花间丝绒口红", "P3-1": "月满双黄莲蓉月饼"}[
                            sku_id
                        ],
                        spec={"P1-1": "黑色 42码", "P2-1": "豆沙色", "P3-1": "礼盒装"}[sku_id],
                        quantity=pieces,
                        unit_price_cents=price_cents,
                    )
                    for position, (sku_id, pieces, price_cents) in enumerate(lines, 1)
                ],
                shipments=[]
                if delivered_at is None
                else [
                    models.Shipment(
                        id=f"{order_id}-S1",
                        carrier="顺丰速运",
                        tracking_number=f"SF{order_id[3:]}",
                        status="delivered",
                        promised_by=delivered_at + timedelta(days=1),
                        shipped_at=delivered_at - timedelta(days=2),
                        delivered_at=delivered_at,
                        events=[
                            models.TrackingEvent(time=delivered_at - timedelta(days=2), place="上海", text="已揽收"),
                            models.TrackingEvent(time=delivered_at, place="上海", text="已签收"),
                        ],
                    )
                ],
            )
        )
