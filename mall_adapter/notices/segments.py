"""Whom a broadcast is for: a handful of questions that the mall's own tables answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import ColumnElement, Select, exists, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, regions
from mall_adapter.values import OrderStatus

NOT_BOUGHT = (OrderStatus.CANCELLED, OrderStatus.PENDING_PAYMENT)


class _Segment(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Everybody(_Segment):
    kind: Literal["everybody"]

    def holds(self, now: datetime) -> ColumnElement[bool]:
        return true()


class Bought(_Segment):
    """Something, in so many days."""

    kind: Literal["bought"]
    days: Annotated[int, Field(ge=1, le=3650)]

    def holds(self, now: datetime) -> ColumnElement[bool]:
        order = models.Order
        return _bought(order.placed_at >= now - timedelta(days=self.days))


class BoughtCategory(_Segment):
    """Something of this category, ever."""

    kind: Literal["category"]
    category: Annotated[str, Field(min_length=1, max_length=40)]

    def holds(self, now: datetime) -> ColumnElement[bool]:
        line = models.OrderLine
        of_category = (
            select(line.order_id)
            .join(models.Sku, models.Sku.id == line.sku_id)
            .join(models.Product, models.Product.id == models.Sku.product_id)
            .where(models.Product.category == self.category)
        )
        return _bought(models.Order.id.in_(of_category))


class HasCoupon(_Segment):
    """One that can still be used."""

    kind: Literal["coupon"]

    def holds(self, now: datetime) -> ColumnElement[bool]:
        coupon = models.Coupon
        good = coupon.used_at.is_(None), coupon.valid_until > now
        return exists().where(coupon.customer_id == models.Customer.id, *good)


class LivesIn(_Segment):
    """A region, by its code, or one within it."""

    kind: Literal["region"]
    region: Annotated[str, Field(min_length=1, max_length=12)]

    def holds(self, now: datetime) -> ColumnElement[bool]:
        return models.Customer.region.in_(regions.within(self.region))


Segment = Annotated[Everybody | Bought | BoughtCategory | HasCoupon | LivesIn, Field(discriminator="kind")]

_SEGMENT: TypeAdapter[Segment] = TypeAdapter(Segment)


def segment_of(told: Mapping[str, Any]) -> Segment:
    """Raises pydantic's ValidationError."""
    return _SEGMENT.validate_python(told)


async def choices(session: AsyncSession) -> dict[str, Any]:
    """What an operator may choose from: categories of what is sold, and regions down to provinces by code and name."""
    categories = await session.scalars(select(models.Product.category).distinct().order_by(models.Product.category))
    large = [(each.code, each.name) for each in regions.tree().regions if each.level is not models.Level.CITY]
    return {"categories": list(categories), "regions": large}


def customers_of(segment: Segment, now: datetime) -> Select[str]:
    """Ids of those whom it means and who can be written to."""
    account, person, customer = models.ChannelAccount, models.Principal, models.Customer
    reached = (
        select(account.sender_index)
        .join(person, person.id == account.principal_id)
        .where(person.customer_id == customer.id, account.sender.is_not(None), account.heard_at.is_not(None))
    )
    return select(customer.id).where(reached.exists(), segment.holds(now))


def _bought(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    order = models.Order
    theirs = order.customer_id == models.Customer.id
    return exists().where(theirs, order.status.not_in(NOT_BOUGHT), *which)
