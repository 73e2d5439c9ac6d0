"""Offers as operators see them: what was made, what it costs, and why none was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.values import Feeling, OfferKind, OfferState
from tests.connectors.conftest import Gateway
from tests.connectors.shop import Shop

from .test_knowledge_pages import SIGN_IN

OVERVIEW = "/dashboard/api/offers"


@pytest.fixture
def refused(shop: Shop) -> str:
    """The order for which none was made, as money was asked for."""
    orders: list[str] = []

    async def write(session: AsyncSession) -> None:
        order = (await session.scalars(select(models.Order).limit(1))).one()
        now = datetime.now(UTC)
        session.add(
            models.Offer(
                id="OF000000000001",
                customer_id=order.customer_id,
                order_id=order.id,
                reason="late",
                feeling=Feeling.ANGER,
                rule="late",
                kind=OfferKind.COUPON,
                value_cents=0,
                min_spend_cents=0,
                valid_days=30,
                experiment="offers_1",
                variant="",
                state=OfferState.REFUSED,
                why="60: demands 1: 60",
                made_at=now,
                charged_on=now.date(),
                good_until=now + timedelta(days=2),
            )
        )
        orders.append(order.id)

    shop.write(write)
    return orders[0]


def test_operators_see_why_and_nobody_else_does(gateway: Gateway, refused: str) -> None:
    token = Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip()
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as client:
        assert client.get(OVERVIEW).status_code == 401
        assert client.post(SIGN_IN, json={"token": token, "name": "小王"}).status_code == 204
        answer = client.get(OVERVIEW).json()
        assert 'id="made"' in client.get("/dashboard/offers").text
    (offer,) = [one for one in answer["offers"] if one["order_id"] == refused]
    assert (offer["kind"], offer["state"]) == ("优惠券", "索赔记录过多，没有提供")
    assert offer["why"] == "60: 开口索赔 1: 60"
    day, points, *_ = answer["budgets"]
    assert (day["supplier_id"], day["points"], day["limit_cents"]) == (None, False, 50_000)
    assert (points["supplier_id"], points["points"], points["limit_cents"]) == (None, True, 20_000)
