"""The inbox: what people have sent, written down before it is acknowledged, and then worked on until it is settled.

By its name a message is known as long as its row is kept, far longer than a channel says it again: what comes again
changes nothing. How workers share what waits is told in :mod:`storage.queue`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import EncryptedText
from storage import queue
from storage.engine import if_free
from storage.queue import (
    ATTEMPTS,
    OPEN,
    STUCK,
    Dead,
    Depth,
    Done,
    Leased,
    Queued,
    Retry,
    State,
    dedupe_index,
    order_index,
)
from storage.tables import Base

__all__ = [
    "Dead",
    "Depth",
    "Done",
    "Inbox",
    "Known",
    "Leased",
    "Message",
    "Outcome",
    "Retry",
    "State",
    "Stuck",
    "accept",
    "claim",
    "depths",
    "find",
    "finish",
    "forget",
    "forget_stuck",
    "renew",
    "stuck",
    "work_again",
]

Outcome = Done | Retry | Dead


class Inbox(Queued, Base):
    __tablename__ = "inbox"
    __table_args__ = queue.indexes("inbox")

    payload: Mapped[str | None] = mapped_column(EncryptedText("inbox.payload"))  # JSON; none when it is done


@dataclass(frozen=True, slots=True)
class Message:
    """``dedupe`` names the message among all of its channel; ``payload`` is JSON and is sealed."""

    channel: str
    order_key: str
    payload: Mapping[str, Any]
    dedupe: str


@dataclass(frozen=True, slots=True)
class Known:
    """The message was there before."""

    id: int
    state: State


@dataclass(frozen=True, slots=True)
class Stuck:
    """What nobody works on any more, as operators see it: nothing of what it says."""

    id: int
    channel: str
    state: State
    error_class: str | None
    attempts: int
    created_at: datetime


async def accept(
    session: AsyncSession, message: Message, now: datetime, lease: timedelta | None
) -> Leased | int | Known:
    """Writes a message down, in the caller's transaction. With a ``lease`` it is at once the caller's to work on, if no
    earlier one of its order key is open; else its number is given, and it waits to be claimed."""
    order_key, dialect = order_index(Inbox, message.order_key), session.get_bind().dialect.name
    await queue.in_order(session, order_key)
    mine = lease
    if lease is not None:
        mine = None if await session.scalar(_EARLIER, {"of_key": order_key}) is not None else lease
    token = token_hex(16) if mine is not None else None
    until = now + mine if mine is not None else None
    dedupe = dedupe_index(Inbox, f"{message.channel} {message.dedupe}")
    row = {
        "channel": message.channel,
        "order_key": order_key,
        "payload": json.dumps(message.payload, ensure_ascii=False),
        "created_at": now,
        "not_before": now,
        "state": State.PENDING if mine is None else State.LEASED,
        "attempts": 0 if mine is None else 1,
        "lease_token": token,
        "lease_until": until,
        "dedupe_key": dedupe,
    }
    number: int | None = await session.scalar(if_free(dialect, Inbox), row)
    if number is None:
        return Known(*(await session.execute(_KNOWN, {"of_key": dedupe})).one())
    if token is None or until is None:
        return number
    return Leased(number, token, until, message.channel, dict(message.payload), 1, now, None)


async def find(session: AsyncSession, channel: str, dedupe: str) -> Known | None:
    key = dedupe_index(Inbox, f"{channel} {dedupe}")
    found = (await session.execute(_KNOWN, {"of_key": key})).one_or_none()
    return None if found is None else Known(*found)


async def claim(
    engine: AsyncEngine,
    channels: Collection[str],
    limit: int,
    lease: timedelta,
    now: datetime,
    *,
    order_key: str | None = None,
    held: Collection[int] = (),
) -> Sequence[Leased]:
    """At most ``limit`` messages of these channels that are due, leased to the caller; any number may claim at once.

    ``held`` are those that the caller is at work on.
    """
    found = await queue.claim(
        engine, Inbox, channels, limit, lease, now, order_key=order_key, attempts=ATTEMPTS, held=held
    )
    return [leased for leased, _ in found]


async def renew(engine: AsyncEngine, leased: Collection[Leased], until: datetime) -> None:
    """They stay the caller's until then, but for those that were claimed anew."""
    await queue.renew(engine, Inbox, leased, until)


async def finish(session: AsyncSession, leased: Leased, outcome: Outcome) -> bool:
    """How the work ended, in the caller's transaction; False, and nothing is written, if it was claimed anew since. Of
    what is done only its name stays."""
    values = queue.ended(outcome) | ({"payload": None} if isinstance(outcome, Done) else {})
    return await queue.finish(session, Inbox, leased, values)


async def depths(session: AsyncSession) -> Sequence[Depth]:
    """How many messages are not settled well, and since when."""
    return await queue.depths(session, Inbox)


async def stuck(session: AsyncSession, limit: int) -> Sequence[Stuck]:
    """What nobody works on any more, the latest first."""
    row = Inbox
    columns = (row.id, row.channel, row.state, row.error_class, row.attempts, row.created_at)
    query = select(*columns).where(text(STUCK)).order_by(row.id.desc()).limit(limit)
    return [Stuck(*each) for each in (await session.execute(query)).all()]


async def work_again(session: AsyncSession, number: int, now: datetime) -> bool:
    """What nobody works on any more is due again, in the caller's transaction; False if it is not such a message, or
    one that does not open."""
    return await queue.again(session, Inbox, number, now)


async def forget_stuck(session: AsyncSession, before: datetime, limit: int = 1000) -> bool:
    """Of some of what nobody works on any more and came before then, only the names stay; whether there may be more."""
    old = select(Inbox.id).where(text(STUCK), Inbox.created_at < before).limit(limit)
    gone = update(Inbox).where(Inbox.id.in_(old)).values(state=State.DONE, payload=None).returning(Inbox.id)
    return len((await session.scalars(gone, execution_options=queue.AS_IT_IS)).all()) == limit


async def forget(session: AsyncSession, before: datetime, limit: int = 1000) -> bool:
    """Of some of what is done and came before then not even the name stays; whether there may be more."""
    return await queue.forget(session, Inbox, Inbox.state == State.DONE, before, limit)


_ROWS = cast(Table, Inbox.__table__)
_EARLIER = select(_ROWS.c.id).where(_ROWS.c.order_key == bindparam("of_key"), text(OPEN)).limit(1)
_KNOWN = select(_ROWS.c.id, _ROWS.c.state).where(_ROWS.c.dedupe_key == bindparam("of_key"))
"""Made once: that costs more than they do."""
