"""Coupons: granting them and listing what a sender holds."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people
from mall_adapter.errors import CouponRefused, NotFound
from mall_adapter.values import Coupon
from storage import insert


class Gift(BaseModel):
    """A coupon as it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
    off_cents: Annotated[int, Field(ge=1, le=10_000_00)]
    min_spend_cents: Annotated[int, Field(ge=0, le=1_000_000_00)]
    days: Annotated[int, Field(ge=1, le=365)]  # from the day on which it is given


async def grant(
    session: AsyncSession, sender: str, title: str, off_cents: int, min_spend_cents: int, days: int, now: datetime
) -> str:
    """The id of a new coupon for the sender's customer, or for the sender alone until it is bound to a customer."""
    if off_cents < 1 or min_spend_cents < 0 or days < 1:
        raise ValueError(
            "a coupon takes off at least a cent, needs no negative spending and is valid for a day or more"
        )
    who = models.sender_index(sender)
    customer_id = await session.scalar(select(people.customer_id_of(sender)))
    if customer_id is not None:
        customer_id = await people.held_id(session, customer_id)
    coupon = models.Coupon(
        id=f"CP{secrets.token_hex(8).upper()}",
        customer_id=customer_id,
        sender_index=None if customer_id else who,
        title=title,
        off_cents=off_cents,
        min_spend_cents=min_spend_cents,
        granted_at=now,
        valid_until=now + timedelta(days=days),
    )
    session.add(coupon)
    return coupon.id


async def give(session: AsyncSession, customer_id: str, gift: Gift, cause: str, now: datetime) -> str:
    """The id of the customer's coupon, or of whom they were merged into: one for each cause ("broadcast:7"), whatever
    is begun again."""
    name = hashlib.sha256(f"{cause} {customer_id}".encode()).hexdigest()[:16]
    row = {
        "id": f"CP{name.upper()}",
        "customer_id": await people.held_id(session, customer_id),
        "title": gift.title,
        "off_cents": gift.off_cents,
        "min_spend_cents": gift.min_spend_cents,
        "granted_at": now,
        "valid_until": now + timedelta(days=gift.days),
    }
    await session.execute(insert(session, models.Coupon).values(row).on_conflict_do_nothing(index_elements=["id"]))
    return str(row["id"])


async def read(session: AsyncSession, coupon_id: str) -> models.Coupon:
    return await session.get_one(models.Coupon, coupon_id)


async def held_by(session: AsyncSession, sender: str) -> Sequence[models.Coupon]:
    """Those that end soonest first."""
    who = models.sender_index(sender)
    query = select(models.Coupon).where(
        or_(models.Coupon.sender_index == who, models.Coupon.customer_id == people.customer_id_of(sender))
    )
    return (await session.scalars(query.order_by(models.Coupon.valid_until, models.Coupon.id))).all()


async def use(session: AsyncSession, coupon_id: str, customer_id: str, spent_cents: int, now: datetime) -> int:
    """Cents that it takes off; from then on it is used. Raises NotFound (the customer has none such), CouponRefused."""
    mine = models.Coupon.id == coupon_id, models.Coupon.customer_id == customer_id
    used = update(models.Coupon).where(*mine, models.Coupon.used_at.is_(None)).values(used_at=now)
    taken = (await session.execute(used.returning(*_TERMS))).one_or_none()
    if taken is None:
        if await session.scalar(select(models.Coupon.id).where(*mine)) is None:
            raise NotFound(coupon_id)
        raise CouponRefused("used")
    off_cents, min_spend_cents, valid_until = taken
    if valid_until <= now:
        raise CouponRefused("expired")
    if spent_cents < min_spend_cents:
        raise CouponRefused("minimum")
    return min(off_cents, spent_cents)


async def give_back(session: AsyncSession, coupon_id: str) -> None:
    """Its order came to nothing."""
    await session.execute(update(models.Coupon).where(models.Coupon.id == coupon_id).values(used_at=None))


_TERMS = (models.Coupon.off_cents, models.Coupon.min_spend_cents, models.Coupon.valid_until)


def to_coupon(row: models.Coupon, now: datetime) -> Coupon:
    status = "used" if row.used_at else "expired" if row.valid_until <= now else "unused"
    return Coupon(row.id, row.title, row.off_cents, row.min_spend_cents, row.valid_until, status)
