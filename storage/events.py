"""What happened, kept for good: an event is written in the transaction of what caused it, and never changed.

An event says nothing that names a person: who they are stands with their principal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Index, bindparam, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from storage.actors import Actor, Role
from storage.adapters import adapter
from storage.engine import WRITES, insert
from storage.tables import Base

AT_ONCE = 100
"""Events that are read in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Each kind is a frozen dataclass of its own, named in the past tense, with fields of JSON, enums or times."""

    kind: ClassVar[str]
    subject: str  # what it happened to: "order:ORD12345"
    region: str | None = None  # code of the region that it happened in, or for


class EventRow(Base):
    """``id`` grows, but on PostgreSQL a smaller one may become visible after a larger one: see :func:`settled`."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "kind", "at"), Index(None, "subject", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    at: Mapped[datetime]
    role: Mapped[Role]
    principal_id: Mapped[str | None]
    channel: Mapped[str | None]
    region: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class EventCursor(Base):
    """How far a reader has come that is to miss nothing and to take nothing twice."""

    __tablename__ = "event_cursor"

    reader: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]  # the id of the last event that it has read, or what else it counts by


async def settled(session: AsyncSession) -> int:
    """Up to this id every event is there that ever will be; 0 where there is none. Of a transaction of its own, which
    ends at once: on PostgreSQL it waits until nobody is writing events, and others wait for it meanwhile; where that
    takes too long it raises DBAPIError."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET LOCAL lock_timeout = '500ms'"))
        await session.execute(text("LOCK TABLE event IN SHARE MODE"))
    return await session.scalar(select(func.max(EventRow.id))) or 0


async def locked_cursor(session: AsyncSession, reader: str, start: int = 0) -> EventCursor:
    """The reader's place, which nobody else moves until the transaction ends; ``start`` where it never was."""
    new = insert(session, EventCursor).values(reader=reader, position=start)
    await session.execute(new.on_conflict_do_nothing())
    query = select(EventCursor).where(EventCursor.reader == reader).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one()


async def read_events(
    engine: AsyncEngine,
    reader: str,
    kinds: Collection[str],
    take: Callable[[AsyncSession, EventRow], Awaitable[None]],
    *,
    behind: str | None = None,
) -> bool:
    """Hands the next events of these kinds to ``take``, in their order, in the transaction that moves the reader's
    place; whether there may be more. Any number may read at once: each goes on where the last one ended.

    Does not overtake the reader ``behind``, if that has ever read.
    """
    async with engine.connect() as connection:
        if not await connection.scalar(_NEWS, {"of_reader": reader}):
            return False
    async with AsyncSession(engine) as session, session.begin():
        end = await settled(session)
        if behind is not None:
            ahead = await session.scalar(select(EventCursor.position).where(EventCursor.reader == behind))
            end = end if ahead is None else min(end, ahead)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        cursor = await locked_cursor(session, reader)
        row = EventRow
        theirs = select(row).where(row.id > cursor.position, row.id <= end, row.kind.in_(kinds))
        events = (await session.scalars(theirs.order_by(row.id).limit(AT_ONCE))).all()
        for event in events:
            await take(session, event)
        more = len(events) == AT_ONCE
        cursor.position = events[-1].id if more else max(end, cursor.position)
    return more


def record(session: AsyncSession, event: Event, by: Actor, at: datetime) -> None:
    """Written with the transaction of ``session``, or not at all. ``at`` is when it happened."""
    told = adapter(type(event)).dump_python(event, mode="json", exclude={"subject", "region"}, exclude_none=True)
    session.add(
        EventRow(
            kind=event.kind,
            subject=event.subject,
            at=at,
            role=by.role,
            principal_id=by.principal_id,
            channel=by.channel,
            region=event.region,
            data=told,
        )
    )


_PLACE = select(EventCursor.position).where(EventCursor.reader == bindparam("of_reader")).scalar_subquery()
_NEWS = select(exists().where(EventRow.id > func.coalesce(_PLACE, 0)))
"""Made once: every reader asks it every moment."""
