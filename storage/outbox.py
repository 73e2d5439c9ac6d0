"""The outbox: what the house has for somebody outside, written with what caused it, and then sent until it is settled.

A message is enqueued in the transaction of its cause, and sent by a worker as :mod:`storage.queue` tells: nothing is
lost, and a receiver that knows a message by its id gets nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import Damaged, EncryptedText, damaged_as
from storage import queue
from storage.engine import if_free
from storage.queue import (
    ATTEMPTS,
    LOST,
    OPEN,
    STUCK,
    Dead,
    Depth,
    Dropped,
    Parked,
    Queued,
    Retry,
    Sent,
    State,
    Unknown,
    dedupe_index,
    order_index,
)
from storage.tables import Base

__all__ = [
    "LOST",
    "Dead",
    "Depth",
    "Dropped",
    "Leased",
    "Message",
    "Outbox",
    "Outcome",
    "Parked",
    "Retry",
    "Sent",
    "State",
    "Stuck",
    "Unknown",
    "claim",
    "depths",
    "enqueue",
    "enqueued",
    "failures",
    "finish",
    "forget",
    "release",
    "renew",
    "returned",
    "send_again",
    "stuck",
    "take",
    "waiting",
    "withdraw",
]

_MANY = text("kind = 'broadcast'")

Outcome = Sent | Dropped | Retry | Parked | Unknown | Dead


class Outbox(Queued, Base):
    __tablename__ = "outbox"
    __table_args__ = (
        *queue.indexes("outbox"),
        Index("ix_outbox_provider_id", "provider_id"),
        # of what goes to many, how far it has come
        Index("ix_outbox_broadcast", "cause", "channel", "state", sqlite_where=_MANY, postgresql_where=_MANY),
    )

    recipient: Mapped[str] = mapped_column(EncryptedText("outbox.recipient"))
    kind: Mapped[str]
    payload: Mapped[str] = mapped_column(EncryptedText("outbox.payload"))  # JSON
    provider_id: Mapped[str | None]  # by which the receiver knows it
    cause: Mapped[str | None]  # "handoff:7", an event or a command


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``recipient`` is the external address in its channel; ``payload`` is JSON, and both are sealed.

    ``dedupe`` names the message among all of its channel: enqueued again while its row is kept, it changes nothing.
    ``order_key`` names what it belongs to: for customers their sender. No claim before ``not_before``, and none from
    ``expires_at`` on: then it is dead, of class "expired".
    """

    channel: str
    recipient: str
    order_key: str
    kind: str
    payload: Mapping[str, Any]
    dedupe: str
    cause: str | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Leased(queue.Leased):
    recipient: str
    kind: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """What does not go out by itself, as operators see it: nothing of what it says."""

    id: int
    channel: str
    recipient: str | None  # None if it does not open
    kind: str
    state: State
    error_class: str | None
    attempts: int
    created_at: datetime
    cause: str | None


async def enqueue(session: AsyncSession, message: Message, now: datetime) -> int | None:
    """The number of the message, in the caller's transaction; None if it was enqueued before."""
    order_key = order_index(Outbox, message.order_key)
    await queue.in_order(session, order_key)
    row = {
        "channel": message.channel,
        "recipient": message.recipient,
        "order_key": order_key,
        "kind": message.kind,
        "payload": json.dumps(message.payload, ensure_ascii=False),
        "created_at": now,
        "not_before": message.not_before or now,
        "expires_at": message.expires_at,
        "state": State.PENDING,
        "attempts": 0,
        "dedupe_key": _dedupe_key(message.channel, message.dedupe),
        "cause": message.cause,
    }
    number: int | None = await session.scalar(if_free(session.get_bind().dialect.name, Outbox), row)
    return number


async def enqueued(session: AsyncSession, channel: str, dedupe: str) -> bool:
    """Whether a message of that name was ever enqueued."""
    query = select(Outbox.id).where(Outbox.dedupe_key == _dedupe_key(channel, dedupe))
    return await session.scalar(query) is not None


async def waiting(session: AsyncSession, channel: str, order_key: str) -> Sequence[dict[str, Any]]:
    """The payloads of what is not settled, in its order; those that do not open are left out."""
    query = select(Outbox.payload).where(
        Outbox.channel == channel, Outbox.order_key == order_index(Outbox, order_key), text(OPEN)
    )
    with damaged_as(""):
        found = await session.scalars(query.order_by(Outbox.id))
        return [json.loads(payload) for payload in found if not isinstance(payload, Damaged)]


async def claim(
    engine: AsyncEngine,
    channels: Collection[str],
    limit: int,
    lease: timedelta,
    now: datetime,
    *,
    order_key: str | None = None,
    attempts: int | None = ATTEMPTS,
    held: Collection[int] = (),
) -> Sequence[Leased]:
    """At most ``limit`` messages of these channels that are due, leased to the caller; any number may claim at once.

    With ``order_key`` only those of that key; none in ``held``, which the caller is at work on. How messages end that
    nobody settles: :func:`storage.queue.claim`.
    """
    found = await queue.claim(
        *(engine, Outbox, channels, limit, lease, now, "recipient", "kind"),
        order_key=order_key,
        attempts=attempts,
        held=held,
    )
    return [
        Leased(
            *(leased.id, leased.token, leased.until, leased.channel, leased.payload),
            *(leased.attempts, leased.created_at, leased.error_class, row.recipient, row.kind),
        )
        for leased, row in found
    ]


async def finish(session: AsyncSession, leased: Leased, outcome: Outcome) -> bool:
    """How the try ended, in the caller's transaction; False, and nothing is written, if it was claimed anew since."""
    return await queue.finish(session, Outbox, leased, queue.ended(outcome))


async def renew(engine: AsyncEngine, leased: Collection[Leased], until: datetime) -> None:
    """They stay the caller's until then, but for those that were claimed anew."""
    await queue.renew(engine, Outbox, leased, until)


async def release(session: AsyncSession, channel: str, order_key: str, at: datetime) -> int:
    """What was parked until its person writes is due from ``at`` on, in the caller's transaction; how much that is."""
    row = Outbox
    parked = update(row).where(row.order_key == order_index(row, order_key), text(STUCK))
    parked = parked.where(row.state == State.PARKED, row.channel == channel).values(state=State.PENDING, not_before=at)
    return len((await session.scalars(parked.returning(row.id), execution_options=queue.AS_IT_IS)).all())


async def withdraw(session: AsyncSession, channel: str, order_key: str, cause: str) -> int:
    """What waits for this cause and is on nobody's way is not sent, as there is something newer to say; how much that
    is. In the caller's transaction."""
    row, number = Outbox, 0
    mine = [row.order_key == order_index(row, order_key), row.channel == channel, row.cause == cause]
    for part, state in ((OPEN, State.PENDING), (STUCK, State.PARKED)):
        gone = update(row).where(*mine, text(part), row.state == state).values(queue.ended(Dropped("replaced")))
        number += len((await session.scalars(gone.returning(row.id), execution_options=queue.AS_IT_IS)).all())
    return number


async def take(
    session: AsyncSession, channel: str, order_key: str, kinds: Collection[str], provider_id: str, now: datetime
) -> Sequence[dict[str, Any]]:
    """The payloads of what waits for a person, in order, due or not, up to what is on somebody's way: from now on it is
    sent, and known by ``provider_id``. What was taken under that id before is given again. In the caller's
    transaction."""
    row = Outbox
    whose = [row.order_key == order_index(row, order_key), row.channel == channel]
    mine = [*whose, row.kind.in_(kinds)]
    good = [or_(row.expires_at.is_(None), row.expires_at > now)]
    # one that is being claimed now is waited for, or it would be overtaken
    ahead = select(row.id, row.state).where(*whose, text(OPEN)).order_by(row.id).with_for_update()
    if going := [each.id for each in await session.execute(ahead) if each.state == State.LEASED]:
        good.append(row.id < going[0])
    for part, state in ((OPEN, State.PENDING), (STUCK, State.PARKED)):
        taken = update(row).where(*mine, *good, text(part), row.state == state).values(queue.ended(Sent(provider_id)))
        await session.execute(taken, execution_options=queue.AS_IT_IS)
    with damaged_as(""):
        found = await session.scalars(select(row.payload).where(row.provider_id == provider_id, *mine).order_by(row.id))
        return [json.loads(payload) for payload in found if not isinstance(payload, Damaged)]


async def returned(
    session: AsyncSession, channel: str, order_key: str, number: int, outcome: Parked | Dead, now: datetime
) -> bool:
    """What was sent did not arrive, as its receiver says only now: in its place there is one that has ended so, under a
    number that no receiver knows yet. In the caller's transaction; False if no such message was sent."""
    row = Outbox
    sent = update(row).where(row.id == number, row.channel == channel, row.state == State.SENT)
    sent = sent.where(row.order_key == order_index(row, order_key)).values(queue.ended(Dropped("returned")))
    kept = (row.recipient, row.kind, row.payload, row.expires_at, row.cause)
    with damaged_as(""):
        found = (await session.execute(sent.returning(*kept), execution_options=queue.AS_IT_IS)).one_or_none()
    if found is None or any(isinstance(value, Damaged) for value in found):
        return False
    message = Message(
        channel=channel,
        recipient=found.recipient,
        order_key=order_key,
        kind=found.kind,
        payload=json.loads(found.payload),
        dedupe=f"returned {number}",
        cause=found.cause,
        expires_at=found.expires_at,
    )
    if (again := await enqueue(session, message, now)) is None:
        return False
    await session.execute(
        update(row).where(row.id == again).values(queue.ended(outcome)), execution_options=queue.AS_IT_IS
    )
    return True


async def stuck(session: AsyncSession, limit: int) -> Sequence[Stuck]:
    """What does not go out by itself, the latest first."""
    row = Outbox
    columns = (row.id, row.channel, row.recipient, row.kind, row.state, row.error_class, row.attempts, row.created_at)
    query = select(*columns, row.cause).where(text(STUCK)).order_by(row.id.desc()).limit(limit)
    with damaged_as(""):
        return [Stuck(*_opened(each)) for each in (await session.execute(query)).all()]


async def depths(session: AsyncSession) -> Sequence[Depth]:
    """How many messages are not settled well, and since when."""
    return await queue.depths(session, Outbox)


async def failures(session: AsyncSession, since: datetime) -> Mapping[str, int]:
    """How many messages since then were not sent or may not have arrived, by the class of their error."""
    row = Outbox
    query = select(func.coalesce(row.error_class, ""), func.count()).where(text(STUCK), row.created_at >= since)
    query = query.where(row.state.in_((State.DEAD, State.UNKNOWN))).group_by(row.error_class)
    return {each[0]: each[1] for each in await session.execute(query)}


async def send_again(session: AsyncSession, number: int, now: datetime) -> bool:
    """What does not go out by itself is due again, and does not expire, in the caller's transaction; False if it is
    not such a message, or one that does not open."""
    return await queue.again(session, Outbox, number, now)


async def forget(session: AsyncSession, before: datetime, limit: int = 1000) -> bool:
    """Some of what came before then and waits for nobody's try is no more, nor is its name; whether there may be
    more."""
    return await queue.forget(session, Outbox, Outbox.state.not_in((State.PENDING, State.LEASED)), before, limit)


def _opened(row: Iterable[Any]) -> list[Any]:
    return [None if isinstance(value, Damaged) else value for value in row]


def _dedupe_key(channel: str, dedupe: str) -> str:
    return dedupe_index(Outbox, f"{channel} {dedupe}")
