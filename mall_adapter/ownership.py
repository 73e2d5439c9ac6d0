"""Whose an order is: the bound customer's, or that of a sender who has named the last digits of the phone on it."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

from sqlalchemy import CompoundSelect, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, orders
from mall_adapter.mall import OrderLocked, OrderNotFound, OwnershipRequired, WrongPhoneTail

WRONG_TRIES = 5
LOCKED_FOR = timedelta(hours=1)


def owned_ids(sender: str) -> CompoundSelect[str]:
    """Ids of the orders of the sender's customer and of those that the sender has proved to own."""
    who = models.sender_index(sender)
    account, attempt = models.ChannelAccount, models.OwnershipAttempt
    return union_all(
        select(models.Order.id)
        .join(account, account.customer_id == models.Order.customer_id)
        .where(account.sender_index == who),
        select(attempt.order_id).where(attempt.sender_index == who, attempt.proven_at.is_not(None)),
    )


async def owned(session: AsyncSession, sender: str, order_id: str, now: datetime) -> models.Order:
    """The order if it is this sender's; else raises OrderNotFound, OwnershipRequired or OrderLocked."""
    locked_until = (
        select(models.OwnershipAttempt.locked_until)
        .where(
            models.OwnershipAttempt.sender_index == models.sender_index(sender),
            models.OwnershipAttempt.order_id == models.Order.id,
        )
        .scalar_subquery()
    )
    query = orders.WHOLE_ORDERS.add_columns(models.Order.id.in_(owned_ids(sender)), locked_until)
    found = (await session.execute(query.where(models.Order.id == order_id))).unique().one_or_none()
    if found is None:
        raise OrderNotFound(order_id)
    order: models.Order = found[0]
    is_owner, until = found[1:]
    if is_owner:
        return order
    if until is not None and until > now:
        raise OrderLocked(until)
    raise OwnershipRequired(order_id)


async def is_bound(session: AsyncSession, sender: str, order: models.Order) -> bool:
    """Whether the sender is bound to the order's customer, and has not only proved the order."""
    account = models.ChannelAccount
    bound = select(account.customer_id).where(account.sender_index == models.sender_index(sender))
    return await session.scalar(bound) == order.customer_id


async def prove(
    session: AsyncSession, sender: str, order_id: str, phone_tail: str, now: datetime
) -> WrongPhoneTail | OrderLocked | None:
    """Compares ``phone_tail`` with the order's; None when it is (or already was) proved.

    A refusal is returned and not raised, so that the transaction commits the counted try.
    """
    await orders.lock(session, order_id)
    try:
        order = await owned(session, sender, order_id, now)
    except OrderLocked as locked:
        return locked
    except OwnershipRequired:
        order = await session.get_one(models.Order, order_id)
    else:
        return None
    who = models.sender_index(sender)
    attempt = await session.get(models.OwnershipAttempt, (who, order_id))
    if attempt is None:
        attempt = models.OwnershipAttempt(sender_index=who, order_id=order_id, wrong_tries=0)
        session.add(attempt)
    if attempt.locked_until is not None:  # an hour has passed
        attempt.wrong_tries, attempt.locked_until = 0, None
    if hmac.compare_digest(models.phone_tail_index(order_id, phone_tail), order.phone_tail_index):
        attempt.proven_at = now
        return None
    attempt.wrong_tries += 1
    if attempt.wrong_tries < WRONG_TRIES:
        return WrongPhoneTail(WRONG_TRIES - attempt.wrong_tries)
    attempt.locked_until = now + LOCKED_FOR
    return OrderLocked(attempt.locked_until)
