"""Coupons go to a customer, or to a sender who is not bound yet."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mall_adapter import SqlMall
from storage import IdempotencyConflict
from tests.mall_adapter.offices import bind

from .conftest import NOW, Clock


async def test_a_coupon_is_granted_once(mall: SqlMall) -> None:
    coupon = await mall.grant_coupon("web:zhou", "延迟补偿券", 1000, 5000, 30, "k1")
    assert (coupon.title, coupon.off_cents, coupon.min_spend_cents) == ("延迟补偿券", 1000, 5000)
    assert (coupon.valid_until, coupon.status) == (NOW + timedelta(days=30), "unused")
    assert await mall.grant_coupon("web:zhou", "延迟补偿券", 1000, 5000, 30, "k1") == coupon
    with pytest.raises(IdempotencyConflict):
        await mall.grant_coupon("web:zhou", "延迟补偿券", 9000, 5000, 30, "k1")
    assert await mall.coupons_of("web:zhou") == [coupon]
    assert await mall.coupons_of("web:he") == []


async def test_a_guest_takes_the_coupon_along(mall: SqlMall) -> None:
    coupon = await mall.grant_coupon("web:guest", "见面礼", 500, 0, 7, "k1")
    assert await mall.coupons_of("web:guest") == [coupon]
    assert await mall.coupons_of("web:zhou") == []
    await bind(mall, "web:guest", "C1")
    assert await mall.coupons_of("web:guest") == [coupon]
    assert await mall.coupons_of("web:zhou") == [coupon]


async def test_a_coupon_expires(mall: SqlMall, clock: Clock) -> None:
    await mall.grant_coupon("web:zhou", "长券", 500, 0, 30, "k1")
    await mall.grant_coupon("web:zhou", "短券", 500, 0, 7, "k2")
    clock.advance(days=7)
    assert [(coupon.title, coupon.status) for coupon in await mall.coupons_of("web:zhou")] == [
        ("短券", "expired"),
        ("长券", "unused"),
    ]


@pytest.mark.parametrize(("off_cents", "min_spend_cents", "days"), [(0, 0, 7), (-1, 0, 7), (500, -1, 7), (500, 0, 0)])
async def test_a_senseless_coupon_is_refused(mall: SqlMall, off_cents: int, min_spend_cents: int, days: int) -> None:
    with pytest.raises(ValueError, match="coupon"):
        await mall.grant_coupon("web:zhou", "券", off_cents, min_spend_cents, days, "k1")
    assert await mall.coupons_of("web:zhou") == []
