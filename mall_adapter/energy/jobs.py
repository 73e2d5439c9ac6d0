"""What time brings: what may be spent from now on, what is gone, and what goes soon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models
from mall_adapter.energy import ledger
from mall_adapter.energy.awards import day_of
from mall_adapter.energy.names import customer_id_of
from mall_adapter.energy.rules import EnergyRules
from mall_adapter.models.energy import EnergyAccount, EnergyLot
from mall_adapter.notices.events import day
from mall_adapter.notices.telling import notify
from mall_adapter.values import UNSETTLED, OrderStatus
from storage import WRITES, locked_cursor

READER = "energy_expiring"
AT_ONCE = 100
"""Persons, each in a transaction of their own."""


async def release_due(engine: AsyncEngine, return_days: int, now: datetime) -> bool:
    """What nothing can take back by itself any more may be spent; its owner is told. Whether there may be more."""
    persons = await _persons(engine, _due(return_days, now))
    for person in persons:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            account = (await ledger.hold(session, person))[person]
            points = await settle(session, account, return_days, now)
            customer_id = customer_id_of(person)
            if points and customer_id:
                values = {"points": str(points), "balance": str(max(account.balance, 0))}
                about, cause = f"energy:{customer_id}", f"energy:{now.isoformat()}"
                await notify(session, customer_id, "energy_arrived", values, about=about, cause=cause, at=now, now=now)
    return len(persons) == AT_ONCE


async def settle(session: AsyncSession, account: EnergyAccount, return_days: int, now: datetime) -> int:
    """What of the account is due may be spent, and what is over is gone; how much may be spent that could not before.
    The caller holds the account."""
    await ledger.expire(session, account, now)
    due = select(EnergyLot).where(EnergyLot.person == account.person, _due(return_days, now)).order_by(EnergyLot.id)
    lots = (await session.scalars(due, execution_options=ledger.AS_IT_IS)).all()
    return sum([await ledger.make_active(session, account, lot, now) for lot in lots])


async def expire_due(engine: AsyncEngine, now: datetime) -> bool:
    """What was not spent in time is written off; whether there may be more."""
    lot = EnergyLot
    persons = await _persons(engine, and_(lot.expires_at <= now, or_(lot.pending > 0, lot.active > 0)))
    for person in persons:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await ledger.expire(session, (await ledger.hold(session, person))[person], now)
    return len(persons) == AT_ONCE


async def tell_of_expiring(engine: AsyncEngine, rules: EnergyRules, now: datetime) -> None:
    """Tells of energy that ends in so many days: of each once, of what one customer has the first."""
    lot, until = EnergyLot, now + rules.expiring
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        cursor = await locked_cursor(session, READER, int(now.timestamp()))
        since = datetime.fromtimestamp(cursor.position, UTC)
        ending = select(lot).where(lot.active > 0, lot.expires_at > since, lot.expires_at <= until)
        points, first = dict[str, int](), dict[str, EnergyLot]()
        for each in await session.scalars(ending.order_by(lot.expires_at, lot.id)):
            points[each.person] = points.get(each.person, 0) + each.active
            first.setdefault(each.person, each)
        for person, each in first.items():
            if customer_id := customer_id_of(person):
                values = {"points": str(points[person])} | day(each.expires_at - timedelta(seconds=1))
                about, cause = f"energy_end:{customer_id}", f"lot:{each.id}"
                await notify(session, customer_id, "energy_expiring", values, about=about, cause=cause, at=now, now=now)
        cursor.position = max(cursor.position, int(until.timestamp()))


def _due(return_days: int, now: datetime) -> ColumnElement[bool]:
    """Pending lots whose time is over, or whose order was delivered before the last days on which it may go back, and
    does not."""
    lot, order, ticket = EnergyLot, models.Order, models.Ticket
    begin, _ = day_of(now)
    kept = exists().where(
        order.id == lot.order_id,
        order.status.in_((OrderStatus.DELIVERED, OrderStatus.COMPLETED)),
        order.delivered_at < begin - timedelta(days=return_days),
    )
    in_question = exists().where(ticket.order_id == lot.order_id, ticket.status.in_(UNSETTLED))
    of_order = and_(lot.frozen_until.is_(None), kept, ~in_question)
    return and_(lot.pending > 0, lot.expires_at > now, or_(lot.frozen_until <= now, of_order))


async def _persons(engine: AsyncEngine, which: ColumnElement[bool]) -> Sequence[str]:
    async with AsyncSession(engine) as session:
        query = select(EnergyLot.person).where(which).distinct().order_by(EnergyLot.person).limit(AT_ONCE)
        return (await session.scalars(query)).all()
