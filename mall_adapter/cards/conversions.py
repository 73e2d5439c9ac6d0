"""What was bought after somebody had come to a card: read from the mall's events, in their order, and taken back as far
as the money goes back.

An order counts for the card to which its customer came last before it was paid, if that is not too long ago. A card
that the order itself names counts as come to with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, orders, people, placing, ticket_steps
from mall_adapter.actors import RULES
from mall_adapter.cards import holders, persons
from mall_adapter.cards.events import CardConversionReversed, CardConverted, CardPersonBound
from mall_adapter.cards.persons import Person
from mall_adapter.cards.rules import card_rules
from storage import EventRow, insert, read_events, record

READER = "cards"
WHOLE = 10_000
"""Basis points."""

_PAID = (placing.OrderPlaced.kind, placing.OrderPaid.kind)
_REFUNDED = (ticket_steps.Refunded.kind, orders.OrderRefunded.kind)
KINDS = (*_PAID, *_REFUNDED, CardPersonBound.kind)


async def read_on(engine: AsyncEngine, now: datetime) -> bool:
    """Reads the next events; whether there may be more. Any number may read at once: each goes on where the last one
    ended."""
    return await read_events(engine, READER, KINDS, partial(_take, now=now))


async def _take(session: AsyncSession, event: EventRow, now: datetime) -> None:
    _, _, subject = event.subject.partition(":")
    if event.kind == CardPersonBound.kind:
        for order_id in await _bought_by(session, str(event.data["customer"]), now):
            await _convert(session, order_id, now)
    elif event.kind in _PAID:
        await _convert(session, subject, now)
    else:
        await _reverse(session, str(event.data.get("order_id", subject)), now)


async def _bought_by(session: AsyncSession, person: str, now: datetime) -> Sequence[str]:
    """Orders of somebody who was bound just now, and may have come to a card before they paid."""
    order, (kind, _, customer_id) = models.Order, person.partition(":")
    since = now - card_rules().attributed
    query = select(order.id).where(order.customer_id == customer_id, order.paid_at >= since)
    return (await session.scalars(query.order_by(order.paid_at, order.id))).all() if kind == "customer" else ()


async def _convert(session: AsyncSession, order_id: str, now: datetime) -> None:
    order, conversion = await session.get(models.Order, order_id), models.CardConversion
    if order is None or order.paid_at is None or order.total_cents == 0:
        return
    person = Person(persons.of_customer(order.customer_id), people.principal_of(order.customer_id), order.customer_id)
    unnoted = await persons.unnamed(session, [person.name])
    if order.card_token and not unnoted and (shared := await holders.by_token(session, order.card_token)):
        await _came(session, shared, person, order.paid_at)
    holder, forward = models.CardHolder, models.CardForward
    last = (
        select(forward)
        .join(holder, holder.id == forward.opener_id)
        .where(holder.person == person.name, forward.at <= order.paid_at)
        .where(forward.at >= order.paid_at - card_rules().attributed)
        .order_by(forward.at.desc(), forward.id.desc())
        .limit(1)
    )
    if (found := await session.scalar(last)) is None:
        return
    row = {"order_id": order_id, "card_id": found.card_id, "forward_id": found.id, "at": order.paid_at}
    new = insert(session, conversion).values(row | {"reversed_bps": 0}).on_conflict_do_nothing()
    conversion_id = await session.scalar(new.returning(conversion.id))
    if conversion_id is None:
        return
    before = select(models.Order.id).where(
        models.Order.customer_id == order.customer_id, models.Order.paid_at < order.paid_at
    )
    event = CardConverted(
        subject=f"card:{found.card_id}",
        conversion_id=conversion_id,
        card_id=found.card_id,
        forward_id=found.id,
        person=person.name,
        order_id=order_id,
        paid_cents=order.total_cents,
        channel=found.channel,
        depth=found.depth,
        at=order.paid_at,
        first_order=await session.scalar(before.limit(1)) is None,
    )
    record(session, event, RULES, now)
    await _reverse(session, order_id, now)  # where something has gone back already


async def _came(session: AsyncSession, shared: holders.Held, person: Person, at: datetime) -> None:
    connection = await session.connection()
    mine = await holders.own(connection, shared.card_id, person.name)
    is_new = mine is None and await holders.is_stranger(connection, person, at)
    await holders.came(session, shared, person, mine, "mall", {}, at, is_new=is_new)


async def _reverse(session: AsyncSession, order_id: str, now: datetime) -> None:
    conversion, order = models.CardConversion, models.Order
    query = select(conversion, order.refunded_cents, order.total_cents).join(order, order.id == conversion.order_id)
    found = (await session.execute(query.where(conversion.order_id == order_id))).one_or_none()
    if found is None:
        return
    row, refunded_cents, total_cents = found
    share_bps = refunded_cents * WHOLE // total_cents
    if share_bps <= row.reversed_bps:
        return
    row.reversed_bps = share_bps
    event = CardConversionReversed(
        subject=f"card:{row.card_id}", conversion_id=row.id, order_id=order_id, share_bps=share_bps, at=now
    )
    record(session, event, RULES, now)
    await session.flush()
