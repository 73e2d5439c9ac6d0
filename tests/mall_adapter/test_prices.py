"""What goods cost now and here, what they cost before, and what a lower price is worth to who has bought."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.errors import NotFound, NotPermitted, StaleVersion
from mall_adapter.values import DeliveryChange, NewPrice, PriceKind
from storage import WRITES, Actor, Role
from storage.events import EventRow
from tests.mall_adapter.offices import OPERATOR, office, place_order

from .conftest import NOW, Clock

DAY = timedelta(days=1)
CAMPAIGN: dict[str, Any] = {"kind": PriceKind.CAMPAIGN, "valid_until": NOW + 3 * DAY}


async def set_price(mall: SqlMall, cents: int, key: str, if_version: int | None = None, **more: Any) -> Any:
    return await office(mall).set_price(OPERATOR, NewPrice("P1-1", cents, **more), key, if_version)


async def shown(mall: SqlMall) -> int:
    return (await mall.product("P1")).skus[0].price_cents


async def paid(mall: SqlMall, customer_id: str, key: str) -> int:
    return (await place_order(mall, customer_id, {"P1-1": 1}, key)).lines[0].unit_price_cents


async def test_a_new_list_price_follows_the_one_before(mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await set_price(mall, 34900, "k1", if_version=1, valid_from=NOW + DAY)
    assert await shown(mall) == 39900
    clock.advance(days=1)
    assert (await shown(mall), await paid(mall, "C1", "o1")) == (34900, 34900)
    listed = await office(mall).prices(OPERATOR, "P1-1")
    assert [(one.cents, one.valid_until, one.version) for one in listed] == [(39900, NOW + DAY, 1), (34900, None, 2)]
    async with AsyncSession(engine) as session:
        told = (await session.scalars(select(EventRow).where(EventRow.kind == "price_changed"))).one()
    assert (told.subject, told.data["before_cents"], told.data["cents"]) == ("sku:P1-1", 39900, 34900)


async def test_a_list_price_set_before_another_ends_where_that_begins(mall: SqlMall, clock: Clock) -> None:
    await set_price(mall, 34900, "k1", valid_from=NOW + 5 * DAY)
    await set_price(mall, 37900, "k2", valid_from=NOW + DAY)
    seen = []
    for _ in range(7):
        seen.append(await shown(mall))
        clock.advance(days=1)
    assert seen == [39900, 37900, 37900, 37900, 37900, 34900, 34900]


async def test_who_saw_an_older_price_is_told_the_present_one(mall: SqlMall) -> None:
    first = await set_price(mall, 35900, "k1", if_version=1)
    assert await set_price(mall, 35900, "k1", if_version=1) == first
    with pytest.raises(StaleVersion) as stale:
        await set_price(mall, 29900, "k2", if_version=1)
    assert stale.value.current == first


async def test_a_campaign_counts_while_it_lasts_and_where_it_is_lower(mall: SqlMall, clock: Clock) -> None:
    await set_price(mall, 29900, "k1", **CAMPAIGN)
    await set_price(mall, 35900, "k2", kind=PriceKind.CAMPAIGN, valid_until=NOW + 9 * DAY)
    await set_price(mall, 49900, "k3", kind=PriceKind.CAMPAIGN, valid_until=NOW + 30 * DAY)  # above the list price
    await set_price(mall, 100, "k4", kind=PriceKind.MEMBER, valid_until=NOW + 30 * DAY)  # nobody is a member
    seen = {0: 29900, 3: 35900, 9: 39900}
    for day in range(10):
        if day in seen:
            assert await shown(mall) == seen[day]
        clock.advance(days=1)


async def test_a_region_has_prices_of_its_own(mall: SqlMall) -> None:
    await set_price(mall, 37900, "k1", region="east")
    await set_price(mall, 36900, "k2", region="330100")
    assert await shown(mall) == 39900
    assert await paid(mall, "C1", "o1") == 37900  # Shanghai
    assert await paid(mall, "C2", "o2") == 36900  # Hangzhou
    sent = DeliveryChange(address="四川省成都市武侯区望江路 1 号")
    elsewhere = await office(mall).place_order(OPERATOR, "C2", {"P1-1": 1}, "o3", delivery=sent)
    assert elsewhere.lines[0].unit_price_cents == 39900
    await set_price(mall, 29900, "k3", region="330000", **CAMPAIGN)
    assert await paid(mall, "C2", "o4") == 29900


@pytest.mark.parametrize(
    ("price", "error"),
    [
        ({"sku_id": "P9-1"}, NotFound),
        ({"region": "华东"}, NotFound),
        ({"cents": -1}, ValueError),
        ({"valid_from": NOW - DAY}, ValueError),
        ({"valid_until": NOW + DAY}, ValueError),  # a list price ends with the next one
        ({"kind": PriceKind.CAMPAIGN}, ValueError),
        ({"kind": PriceKind.CAMPAIGN, "valid_until": NOW}, ValueError),
    ],
)
async def test_a_price_that_cannot_be_is_refused(mall: SqlMall, price: dict[str, Any], error: type[Exception]) -> None:
    known: dict[str, Any] = {"sku_id": "P1-1", "cents": 1}
    wanted = NewPrice(**known | price)
    with pytest.raises(error):
        await office(mall).set_price(OPERATOR, wanted, "k1")
    assert await shown(mall) == 39900


async def test_a_supplier_prices_their_own(mall: SqlMall) -> None:
    price = NewPrice("P1-1", 100)
    with pytest.raises(NotPermitted):
        await office(mall).set_price(Actor(Role.SUPPLIER, "P-s2", supplier_id="S2"), price, "k1")
    assert (await office(mall).set_price(Actor(Role.SUPPLIER, "P-s1", supplier_id="S1"), price, "k1")).cents == 100


# ---- price protection ----


async def test_a_lower_price_is_told_beside_what_was_paid(mall: SqlMall, engine: AsyncEngine) -> None:
    await set_price(mall, 34900, "k1")
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        lipstick = await session.get_one(models.OrderLine, "ORD10002-2")
        await session.delete((await session.scalars(select(models.Price).where(models.Price.sku_id == "P2-1"))).one())
        assert lipstick.unit_price_cents == 19900
    shoes, gone = await mall.price_drops("web:zhou", "ORD10002")
    assert (shoes.paid_cents, shoes.now_cents, shoes.difference_cents) == (39900, 34900, 10000)  # two pairs
    assert (gone.now_cents, gone.difference_cents) == (None, 0)
    assert shoes.until == date(2026, 3, 13)  # paid on March 6th, and seven days


async def test_only_the_price_where_the_order_went_matters(mall: SqlMall) -> None:
    await set_price(mall, 100, "k1", region="510000")
    assert [drop.difference_cents for drop in await mall.price_drops("web:zhou", "ORD10001")] == [0]
