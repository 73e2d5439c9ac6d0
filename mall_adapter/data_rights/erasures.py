"""A customer is forgotten: after some days in which they can take it back, and not while something is under way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import delete, exists, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, orders, people
from mall_adapter.actors import RULES
from mall_adapter.data_rights.rules import RIGHTS
from mall_adapter.data_rights.subjects import subject
from mall_adapter.models.data_rights import DataErasure, DataExport, ErasureState
from mall_adapter.values import UNSETTLED, OrderStatus
from storage import WRITES, Actor, Event, insert, record
from storage.personal import Part

log = logging.getLogger(__name__)

AT_ONCE = 20

AGAIN = timedelta(days=1)
"""After which it is tried again, where something is under way by then, or it failed."""

_OVER = (OrderStatus.DELIVERED, OrderStatus.COMPLETED, OrderStatus.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureAsked(Event):
    """``subject`` is the customer's principal."""

    kind: ClassVar[str] = "erasure_asked"
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureWithdrawn(Event):
    kind: ClassVar[str] = "erasure_withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerErased(Event):
    """``persons`` are names of theirs among those who hold cards; nobody is known by them any more."""

    kind: ClassVar[str] = "customer_erased"
    persons: list[str]


class Obstacle(StrEnum):
    """Why somebody cannot be forgotten now."""

    ROLE = "role"  # they work here
    ORDER = "order"  # one is under way
    TICKET = "ticket"  # something is to come back, or to be paid


async def obstacle(session: AsyncSession, customer_id: str) -> tuple[Obstacle, str] | None:
    """The first, with what is under way; None where nothing is."""
    held, order, ticket = models.Membership, models.Order, models.Ticket
    works = held.principal_id == people.principal_of(customer_id), held.role.in_(people.GRANTED)
    if await session.scalar(select(exists().where(*works))):
        return Obstacle.ROLE, ""
    theirs = order.customer_id == customer_id
    under_way = select(order.id).where(theirs, order.status.not_in(_OVER)).order_by(order.placed_at.desc()).limit(1)
    if order_id := await session.scalar(under_way):
        return Obstacle.ORDER, order_id
    open_ = select(ticket.id).join(order, order.id == ticket.order_id).where(theirs, ticket.status.in_(UNSETTLED))
    if ticket_id := await session.scalar(open_.order_by(ticket.created_at.desc()).limit(1)):
        return Obstacle.TICKET, ticket_id
    return None


async def asked(session: AsyncSession, customer_id: str) -> datetime | None:
    """When the customer will be forgotten; None where they have not asked."""
    row = DataErasure
    return await session.scalar(
        select(row.due_at).where(row.customer_id == customer_id, row.state == ErasureState.ASKED)
    )


async def ask(session: AsyncSession, customer_id: str, by: Actor, now: datetime) -> datetime:
    """When they will be forgotten; asked again, as it was. In the caller's transaction."""
    row, due_at = DataErasure, now + RIGHTS.cooling
    new = insert(session, row).values(customer_id=customer_id, state=ErasureState.ASKED, asked_at=now, due_at=due_at)
    if await session.scalar(new.on_conflict_do_nothing().returning(row.id)) is None:
        return await asked(session, customer_id) or due_at
    record(session, ErasureAsked(subject=f"principal:{people.principal_of(customer_id)}", due_at=due_at), by, now)
    return due_at


async def withdraw(session: AsyncSession, customer_id: str, by: Actor, now: datetime) -> bool:
    """They stay; False where they had not asked, or it is done."""
    row = DataErasure
    mine = update(row).where(row.customer_id == customer_id, row.state == ErasureState.ASKED)
    ended = mine.values(state=ErasureState.WITHDRAWN, ended_at=now).returning(row.id)
    if await session.scalar(ended) is None:
        return False
    record(session, ErasureWithdrawn(subject=f"principal:{people.principal_of(customer_id)}"), by, now)
    return True


async def erase_due(engine: AsyncEngine, parts: Sequence[Part], now: datetime) -> bool:
    """Forgets some of those whose time has come, each in a transaction of their own; whether there may be more. Any
    number may do so at once. One who cannot be forgotten is tried again after ``AGAIN``, and keeps nobody waiting."""
    row = DataErasure
    async with AsyncSession(engine) as session:
        due = select(row.id).where(row.state == ErasureState.ASKED, row.due_at <= now).order_by(row.due_at, row.id)
        ids = (await session.scalars(due.limit(AT_ONCE))).all()
    for each in ids:
        try:
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                await _erase(session, parts, each, now)
        except (SQLAlchemyError, OSError) as error:  # also of a file that cannot be removed
            log.error("erasure %s failed (%s), tried again later", each, type(error).__name__)
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                await session.execute(update(row).where(row.id == each).values(due_at=now + AGAIN))
    return len(ids) == AT_ONCE


async def _erase(session: AsyncSession, parts: Sequence[Part], number: int, now: datetime) -> None:
    row = DataErasure
    customer_id = str(await session.scalar(select(row.customer_id).where(row.id == number)))
    await orders.lock_all_of(session, customer_id)  # before the customer, as whoever makes a ticket does
    await people.lock_customers(session, customer_id)
    held = select(row).where(row.id == number).with_for_update().execution_options(populate_existing=True)
    erasure = (await session.scalars(held)).one()
    if erasure.state is not ErasureState.ASKED or erasure.due_at > now:
        return  # taken back, or done by another gateway, a moment ago
    if await obstacle(session, customer_id) is not None:
        erasure.due_at = now + AGAIN
        return
    whose = await subject(session, customer_id)
    for part in parts:
        if part.erase is not None:
            await part.erase(session, whose, now)
    await session.execute(delete(DataExport).where(DataExport.customer_id.in_(whose.customer_ids)))
    erasure.state, erasure.ended_at = ErasureState.DONE, now
    gone = CustomerErased(subject=f"principal:{whose.principal_id}", persons=[whose.person])
    record(session, gone, RULES, now)
