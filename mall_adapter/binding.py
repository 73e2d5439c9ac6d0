"""Who a channel account is: bound to a customer, by the shop or by a proof that only the customer can give."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.database import insert
from mall_adapter.mall import BindingLocked, WrongProof

WRONG_TRIES = 5
COUNTED_FOR = timedelta(hours=1)
LOCKED_FOR = timedelta(hours=1)


async def bind(session: AsyncSession, sender: str, customer_id: str, now: datetime) -> None:
    """Ties the sender to a customer, in place of an earlier one; coupons that the sender held go along."""
    who = models.sender_index(sender)
    account = {"sender_index": who, "customer_id": customer_id, "role": "customer", "bound_at": now}
    await session.execute(
        insert(session, models.ChannelAccount)
        .values(account)
        .on_conflict_do_update(index_elements=["sender_index"], set_={"customer_id": customer_id, "bound_at": now})
    )
    await session.execute(
        update(models.Coupon)
        .where(models.Coupon.sender_index == who)
        .values(customer_id=customer_id, sender_index=None)
    )


async def prove(
    session: AsyncSession, sender: str, phone: str, order_id: str, now: datetime
) -> str | WrongProof | BindingLocked:
    """The id of the customer to whom both belong.

    A refusal is returned and not raised, so that the transaction commits the counted try.
    """
    attempt = await _attempt(session, models.sender_index(sender), now)
    if attempt.locked_until is not None and attempt.locked_until > now:
        return BindingLocked(attempt.locked_until)
    if attempt.locked_until is not None or attempt.first_at + COUNTED_FOR <= now:
        attempt.wrong_tries, attempt.first_at, attempt.locked_until = 0, now, None
    owner = (
        select(models.Customer.id)
        .join(models.Order, models.Order.customer_id == models.Customer.id)
        .where(models.Customer.phone_index == models.phone_index(phone), models.Order.id == order_id)
    )
    if customer_id := await session.scalar(owner):
        return customer_id  # wrong tries stay counted, or one's own proof would buy five more at somebody else's
    attempt.wrong_tries += 1
    if attempt.wrong_tries < WRONG_TRIES:
        return WrongProof(WRONG_TRIES - attempt.wrong_tries)
    attempt.locked_until = now + LOCKED_FOR
    return BindingLocked(attempt.locked_until)


async def _attempt(session: AsyncSession, who: str, now: datetime) -> models.BindingAttempt:
    """The sender's row, locked: two tries at once are two tries."""
    new = {"sender_index": who, "wrong_tries": 0, "first_at": now}
    await session.execute(insert(session, models.BindingAttempt).values(new).on_conflict_do_nothing())
    query = select(models.BindingAttempt).where(models.BindingAttempt.sender_index == who).with_for_update()
    return (await session.scalars(query)).one()
