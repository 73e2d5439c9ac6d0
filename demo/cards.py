"""A card of the demo mall and its way, a lead that is warm, and an offer that waits.

Only what happened is written, as events and rows of the mall; what is earned by it the house reckons itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import yaml
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from mall_adapter import models
from mall_adapter.actors import RULES
from mall_adapter.cards.events import CardConverted, CardForwarded, CardMade
from mall_adapter.cards.persons import of_customer
from mall_adapter.leads.following import LeadAsked
from mall_adapter.values import Feeling, OfferKind, OfferState, OrderStatus, Standing
from settings import SHANGHAI
from storage import Event, record

CARD = "CDDEMO1"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_GOOD_FOR = timedelta(hours=48)


class _Way(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: str
    title: str
    greeting: str
    products: list[str]
    member: str
    ways: list[tuple[int, str, str, str]]
    asked: list[tuple[int, str, str]]
    offered: int


async def pass_on(connection: AsyncConnection, rng: Random, now: datetime) -> None:
    """In the transaction of the seed; nothing where a card of the demo is there, or its people are not."""
    told = _Way.model_validate(yaml.safe_load(Path(__file__).with_name("cards.yml").read_text("utf-8")))
    async with AsyncSession(connection, expire_on_commit=False) as session:
        owner = models.Principal.customer_id == told.owner, models.Principal.demo
        principal_id = await session.scalar(select(models.Principal.id).where(*owner))
        if principal_id is None or await session.get(models.Card, CARD) is not None:
            return
        await _travel(session, told, principal_id, rng, now)
        await _offer(session, told.offered, now)
        await session.flush()


async def _travel(session: AsyncSession, told: _Way, principal_id: str, rng: Random, now: datetime) -> None:
    first = now - timedelta(days=told.ways[0][0] + 1)
    owner, name = of_customer(told.owner), (await session.get_one(models.Customer, told.owner)).name
    goods = await session.scalars(select(models.Product.id).where(models.Product.name.in_(told.products)))
    shown = {"name": name, "title": told.title, "greeting": told.greeting, "product_ids": sorted(goods)}
    session.add(models.Card(id=CARD, principal_id=principal_id, **shown, made_at=first, changed_at=first))
    made = CardMade(subject=f"card:{CARD}", card_id=CARD, owner=principal_id, person=owner, title=told.title, at=first)
    record(session, made, RULES, first)
    order = await _first_order(session, now)
    persons = {"owner": owner, "member": of_customer(told.member)}
    if order is not None:
        persons["buyer"] = of_customer(order.customer_id)
    held = {"owner": await _hold(session, rng, owner, None, "web", first)}
    for days, who, topic in told.asked:
        at = _at(now, days)
        asked = models.LeadQuestion(person=f"account:demo-{who}", topic=topic, product_id=None, at=at)
        session.add(asked)
        await session.flush()
        named = {"subject": f"person:{asked.person}", "person": asked.person, "topic": topic}
        record(session, LeadAsked(**named, question_id=asked.id, product_id=None), RULES, at)
    for days, who, whom, channel in told.ways:
        if whom == "buyer" and order is None:
            continue
        at, shared = _at(now, days), held[who]
        if whom == "buyer" and order is not None and order.paid_at is not None:
            at = min(at, order.paid_at - timedelta(days=1))
        person = persons.setdefault(whom, f"account:demo-{whom}")
        mine = held[whom] = await _hold(session, rng, person, shared, channel, at)
        forward = models.CardForward(
            card_id=CARD, sharer_id=shared.id, opener_id=mine.id, channel=channel, depth=mine.depth, at=at
        )
        session.add(forward)
        await session.flush()
        opened = CardForwarded(
            subject=f"card:{CARD}",
            forward_id=forward.id,
            card_id=CARD,
            sharer=persons[who],
            opener=person,
            channel=channel,
            depth=mine.depth,
            at=at,
            new_person=whom != "member",
        )
        record(session, opened, RULES, at)
        if whom == "buyer" and order is not None:
            await _buy(session, order, forward, opened)


async def _hold(
    session: AsyncSession, rng: Random, person: str, shared: models.CardHolder | None, channel: str, at: datetime
) -> models.CardHolder:
    holder = models.CardHolder(
        token="".join(rng.choices(_LETTERS, k=16)),
        card_id=CARD,
        person=person,
        parent_id=shared.id if shared else None,
        depth=shared.depth + 1 if shared else 0,
        channel=channel,
        since=at,
    )
    session.add(holder)
    await session.flush()
    return holder


async def _buy(session: AsyncSession, order: models.Order, forward: models.CardForward, opened: CardForwarded) -> None:
    at = order.paid_at or order.placed_at
    bought = models.CardConversion(order_id=order.id, card_id=CARD, forward_id=forward.id, at=at)
    session.add(bought)
    await session.flush()
    told: Event = CardConverted(
        subject=opened.subject,
        conversion_id=bought.id,
        card_id=CARD,
        forward_id=forward.id,
        person=opened.opener,
        order_id=order.id,
        paid_cents=order.total_cents,
        channel=opened.channel,
        depth=opened.depth,
        at=at,
        first_order=True,
    )
    record(session, told, RULES, at)


async def _first_order(session: AsyncSession, now: datetime) -> models.Order | None:
    """The only one of its customer, which came long enough ago to stay."""
    order, ticket = models.Order, models.Ticket
    once = select(order.customer_id).group_by(order.customer_id).having(func.count() == 1)
    came = order.status.in_((OrderStatus.DELIVERED, OrderStatus.COMPLETED)), order.customer_id.in_(once)
    lately = order.paid_at > now - timedelta(days=28), order.delivered_at < now - timedelta(days=9)
    kept = order.id.not_in(select(ticket.order_id)), func.length(order.id) > 11
    return await session.scalar(select(order).where(*came, *lately, *kept).order_by(order.id).limit(1))


async def _offer(session: AsyncSession, cents: int, now: datetime) -> None:
    """To somebody whose parcel is late: it waits for an answer, and counts in the budgets."""
    order, parcel, part = models.Order, models.Shipment, models.Fulfilment
    late = (
        select(order.id, order.customer_id, part.supplier_id)
        .join(parcel, parcel.order_id == order.id)
        .join(part, part.order_id == order.id)
        .where(parcel.delivered_at.is_(None), parcel.promised_by < now, order.status == OrderStatus.SHIPPED)
        .where(func.length(order.id) > 11)
        .order_by(order.id)
        .limit(1)
    )
    found = (await session.execute(late)).one_or_none()
    if found is None:
        return
    made_at = now - timedelta(hours=6)
    on = made_at.astimezone(SHANGHAI).date()
    session.add(
        models.Offer(
            id="OFDEMO1",
            customer_id=found.customer_id,
            order_id=found.id,
            supplier_id=found.supplier_id,
            reason=Standing.LATE,
            feeling=Feeling.UNASKED,
            rule="late",
            kind=OfferKind.COUPON,
            value_cents=cents,
            min_spend_cents=0,
            valid_days=30,
            experiment="",
            variant="",
            state=OfferState.OFFERED,
            why="",
            made_at=made_at,
            charged_on=on,
            good_until=made_at + _GOOD_FOR,
        )
    )
    for scope, limit in ((f"customer:{found.customer_id}", 3 * cents), (f"supplier:{found.supplier_id}", 100 * cents)):
        session.add(models.OfferBudget(scope=f"{scope}:{on:%Y-%m}", spent_cents=cents, limit_cents=limit))


def _at(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days) + timedelta(hours=10 + days % 7, minutes=7 * days % 60)
