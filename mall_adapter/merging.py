"""Two customers who turn out to be one person: an operator makes one of them.

What belongs to a customer stands in a few tables and is moved there, in one transaction; tickets, invoices and parcels
hang on their orders, proofs on channel accounts, and come along. Nothing is added up anew: no sum changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import binding_codes, energy, models, orders, people, permissions, regions
from mall_adapter.cards import persons
from mall_adapter.data_rights import exports
from mall_adapter.errors import MergeRefused, NotFound
from mall_adapter.offers import budgets
from mall_adapter.values import UNSETTLED, Customer, Holdings, Mergeable, Merging
from storage import Actor, Event, insert, record


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomersMerged(Event):
    """``subject`` is the principal who is kept; the counts are of what came to them."""

    kind: ClassVar[str] = "customers_merged"
    gone_id: str
    orders: int
    total_cents: int
    refunded_cents: int
    coupons: int
    accounts: int


async def preview(session: AsyncSession, actor: Actor, kept_id: str, gone_id: str) -> Merging:
    """What both have, and what is in the way. Raises NotFound."""
    permissions.check(actor, "merging")
    kept, gone = await _side(session, kept_id), await _side(session, gone_id)
    into = await session.scalar(_INTO.where(models.Merger.gone_id == gone_id))
    if into == kept_id:
        return Merging(kept, gone, done=True)
    return Merging(kept, gone, done=False, obstacle=await _obstacle(session, actor, kept_id, gone_id))


async def merge(session: AsyncSession, actor: Actor, kept_id: str, gone_id: str, now: datetime) -> Merging:
    """Everything of ``gone_id`` is ``kept_id``'s from now on. Raises NotFound, MergeRefused."""
    permissions.check(actor, "merge_customers")
    order, coupon, account = models.Order, models.Coupon, models.ChannelAccount
    asked = await preview(session, actor, kept_id, gone_id)
    if asked.obstacle is None:
        first = insert(session, models.Merger).values(gone_id=gone_id, kept_id=kept_id, merged_at=now)
        if await session.scalar(first.on_conflict_do_nothing().returning(models.Merger.gone_id)) is None:
            asked = await preview(session, actor, kept_id, gone_id)  # somebody else did it, perhaps just now
    if asked.done:
        return asked
    if asked.obstacle is not None:
        raise MergeRefused(asked.obstacle)
    await orders.lock_all_of(session, gone_id)  # before the customers, as whoever makes a ticket does
    await people.lock_customers(session, kept_id, gone_id)
    moved = await _holdings(session, gone_id)
    principal_id = await people.principal_for(session, kept_id)
    await session.execute(update(order).where(order.customer_id == gone_id).values(customer_id=kept_id))
    await session.execute(update(coupon).where(coupon.customer_id == gone_id).values(customer_id=kept_id))
    offer = models.Offer
    await session.execute(update(offer).where(offer.customer_id == gone_id).values(customer_id=kept_id))
    await budgets.merge(session, kept_id, gone_id)
    theirs = account.principal_id == people.principal_of(gone_id)
    await session.execute(update(account).where(theirs).values(principal_id=principal_id))
    await persons.become(session, persons.of_customer(gone_id), persons.of_customer(kept_id), actor, now)
    await binding_codes.end(session, gone_id, now)
    await exports.end(session, gone_id, now)
    await energy.become(session, energy.customer(gone_id), energy.customer(kept_id), f"merger:{gone_id}", now)
    merger = models.Merger
    await session.execute(update(merger).where(merger.kept_id == gone_id).values(kept_id=kept_id))
    merged = CustomersMerged(
        subject=f"principal:{principal_id}",
        gone_id=gone_id,
        orders=moved.orders,
        total_cents=moved.total_cents,
        refunded_cents=moved.refunded_cents,
        coupons=moved.coupons,
        accounts=len(moved.accounts),
    )
    record(session, merged, actor, now)
    return await preview(session, actor, kept_id, gone_id)


_INTO = select(models.Merger.kept_id)


async def _obstacle(session: AsyncSession, actor: Actor, kept_id: str, gone_id: str) -> str | None:
    if kept_id == gone_id:
        return "same"
    if await session.scalar(_INTO.where(models.Merger.gone_id.in_([kept_id, gone_id]))) is not None:
        return "merged_already"
    erasure = models.DataErasure
    asked = erasure.customer_id.in_([kept_id, gone_id]), erasure.state == models.ErasureState.ASKED
    if await session.scalar(select(erasure.id).where(*asked).limit(1)) is not None:
        return "erasing"  # who wants to be forgotten shall not take along another
    if actor.principal_id in {people.principal_of(kept_id), people.principal_of(gone_id)}:
        return "own"  # nobody takes over another's orders by their own hand
    demo = select(func.count(models.Customer.demo.distinct())).where(models.Customer.id.in_([kept_id, gone_id]))
    if await session.scalar(demo) != 1:
        return "demo"  # what is invented goes one day, and would take along what is not
    held = models.Membership
    works = select(held.id).where(held.principal_id == people.principal_of(gone_id), held.role.in_(people.GRANTED))
    return "role" if await session.scalar(works.limit(1)) is not None else None  # a role is granted, never inherited


async def _side(session: AsyncSession, customer_id: str) -> Mergeable:
    customer = await session.get(models.Customer, customer_id)
    if customer is None:
        raise NotFound(f"There is no customer {customer_id} / 没有 {customer_id} 这位顾客")
    told = Customer(customer.id, customer.name, regions.name_of(customer.region))
    return Mergeable(told, customer.registered_at, await _holdings(session, customer_id))


async def _holdings(session: AsyncSession, customer_id: str) -> Holdings:
    order, ticket, account = models.Order, models.Ticket, models.ChannelAccount
    sums = select(
        func.count(), func.coalesce(func.sum(order.total_cents), 0), func.coalesce(func.sum(order.refunded_cents), 0)
    )
    bought = (await session.execute(sums.where(order.customer_id == customer_id))).one()
    theirs = (
        select(func.count(), func.count().filter(ticket.status.in_(UNSETTLED)))
        .join(order, order.id == ticket.order_id)
        .where(order.customer_id == customer_id)
    )
    cases = (await session.execute(theirs)).one()
    coupons = await session.scalar(select(func.count()).where(models.Coupon.customer_id == customer_id))
    bound = select(account.channel).where(account.principal_id == people.principal_of(customer_id))
    channels = (each or "" for each in await session.scalars(bound.order_by(account.bound_at, account.channel)))
    return Holdings(*bought, *cases, int(coupons or 0), tuple(channels))
