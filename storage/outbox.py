"""The outbox: what the house has for somebody outside, written with what caused it, and then sent until it is settled.

A message is enqueued in the transaction of its cause. A worker claims it, which gives it a lease and ends the
transaction, sends it, and finishes it in another one. A worker that dies lets its lease run out, and the next one
sends the message again: nothing is lost, and a receiver that knows a message by its id gets nothing twice.

Messages of one order key go out one at a time, in the order in which they were enqueued: none is claimed while an
earlier one is not settled.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import Index, Select, Table, and_, bindparam, case, exists, false, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from privacy.columns import Damaged, EncryptedText, KeyedHash, damaged_as, exact_index
from storage.engine import WRITES, if_free
from storage.tables import Base

ATTEMPTS = 20
"""How often a message is claimed, if nobody says otherwise, before a lease that runs out is its last."""


_OPEN = "state IN ('pending', 'leased')"
"""Not settled. Always in these words: SQLite uses an index of a part of a table only for the words that made it."""


_RETURNED: dict[str, Any] = {"lease_token": None, "lease_until": None}
"""A lease that is over."""


_AS_IT_IS: dict[str, Any] = {"synchronize_session": False}
"""No session holds rows of the outbox as objects."""


class State(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    # settled:
    SENT = "sent"
    UNKNOWN = "unknown"  # it may have arrived: only a person can say
    DEAD = "dead"  # it will not be sent


class Outbox(Base):
    __tablename__ = "outbox"
    __table_args__ = (
        # of what is not settled: what is due, and what comes before it
        Index("ix_outbox_due", "channel", "not_before", sqlite_where=text(_OPEN), postgresql_where=text(_OPEN)),
        Index("ix_outbox_order", "order_key", "id", sqlite_where=text(_OPEN), postgresql_where=text(_OPEN)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)  # grows with each message of an order key
    channel: Mapped[str]
    recipient: Mapped[str] = mapped_column(EncryptedText("outbox.recipient"))
    order_key: Mapped[str] = mapped_column(KeyedHash())
    kind: Mapped[str]
    payload: Mapped[str] = mapped_column(EncryptedText("outbox.payload"))  # JSON
    created_at: Mapped[datetime]
    not_before: Mapped[datetime]  # as asked for, and later as the last try said
    expires_at: Mapped[datetime | None]
    state: Mapped[State]
    attempts: Mapped[int]  # claims
    lease_token: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error_class: Mapped[str | None]  # why the last try failed, or why it is dead: no words of anybody
    provider_id: Mapped[str | None]  # by which the receiver knows it
    dedupe_key: Mapped[str] = mapped_column(KeyedHash(), unique=True)
    cause: Mapped[str | None]  # "handoff:7", an event or a command


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``recipient`` is the external address in its channel; ``payload`` is JSON, and both are sealed.

    ``dedupe`` names the message among all of its channel: enqueued again, even much later, it changes nothing.
    ``order_key`` names what it belongs to, mostly the recipient. No claim before ``not_before``, and none from
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
class Leased:
    """A message that is the claimant's until ``until``. ``attempts`` counts this claim."""

    id: int
    token: str
    until: datetime
    channel: str
    recipient: str
    kind: str
    payload: dict[str, Any]
    attempts: int


# ---- how a try ended ----


@dataclass(frozen=True, slots=True)
class Sent:
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """It did not arrive, for a reason that passes; ``error_class`` says why in a word, never in anybody's."""

    error_class: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have arrived or not, and sending it again could double it."""

    error_class: str


@dataclass(frozen=True, slots=True)
class Dead:
    error_class: str


Outcome = Sent | Retry | Unknown | Dead


async def enqueue(session: AsyncSession, message: Message, now: datetime) -> int | None:
    """The number of the message, in the caller's transaction; None if it was enqueued before."""
    order_key = exact_index(message.order_key, "outbox.order_key")
    if session.get_bind().dialect.name == "postgresql":
        # there a larger number may be committed before a smaller one: not among those of one order key
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(order_key, 0))))
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
        Outbox.channel == channel, Outbox.order_key == exact_index(order_key, "outbox.order_key"), text(_OPEN)
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
) -> Sequence[Leased]:
    """At most ``limit`` messages of these channels that are due, leased to the caller; any number may claim at once.

    With ``order_key`` only those of that key. A message whose lease has run out is due again, but dead (of class
    "lease") after so many ``attempts``; one that does not open is dead, of class "damaged". The transaction is over
    when this returns: nothing is held while the caller sends.
    """
    row, token = Outbox, secrets.token_hex(16)
    due: list[Any] = [text(_OPEN), row.channel.in_(channels), row.not_before <= now]
    due.append(or_(row.lease_until.is_(None), row.lease_until <= now))
    if order_key is not None:
        due.append(row.order_key == exact_index(order_key, "outbox.order_key"))
    expired = row.expires_at <= now
    lost = and_(row.state == State.LEASED, row.attempts >= attempts) if attempts is not None else false()
    over = update(row).where(row.id.in_(_locked(select(row.id).where(*due, or_(expired, lost)))))
    over = over.values(_RETURNED | {"state": State.DEAD, "error_class": case((expired, "expired"), else_="lease")})
    earlier = aliased(row)
    first = ~exists().where(earlier.order_key == row.order_key, earlier.id < row.id, text(_OPEN))
    mine = _locked(select(row.id).where(*due, first).order_by(row.not_before, row.id).limit(limit))
    leased = (
        update(row)
        .where(row.id.in_(mine))
        .values(state=State.LEASED, attempts=row.attempts + 1, lease_token=token, lease_until=now + lease)
        .returning(row.id, row.channel, row.recipient, row.kind, row.payload, row.attempts)
    )
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(over, execution_options=_AS_IT_IS)
        with damaged_as(""):
            found = (await session.execute(leased, execution_options=_AS_IT_IS)).all()
        closed = [one.id for one in found if isinstance(one.recipient, Damaged) or isinstance(one.payload, Damaged)]
        if closed:
            dead = _RETURNED | {"state": State.DEAD, "error_class": "damaged"}
            await session.execute(update(row).where(row.id.in_(closed)).values(dead))
    return [
        Leased(one.id, token, now + lease, one.channel, one.recipient, one.kind, json.loads(one.payload), one.attempts)
        for one in sorted(found, key=lambda one: int(one.id))
        if one.id not in closed
    ]


async def finish(session: AsyncSession, leased: Leased, outcome: Outcome) -> bool:
    """How the try ended, in the caller's transaction; False, and nothing is written, if it was claimed anew since."""
    match outcome:
        case Sent():
            ended: dict[str, Any] = {"state": State.SENT, "error_class": None, "provider_id": outcome.provider_id}
        case Retry():
            ended = {"state": State.PENDING, "error_class": outcome.error_class, "not_before": outcome.at}
        case Unknown():
            ended = {"state": State.UNKNOWN, "error_class": outcome.error_class}
        case Dead():
            ended = {"state": State.DEAD, "error_class": outcome.error_class}
    mine = {"of_id": leased.id, "of_token": leased.token}
    return await session.scalar(_FINISH, _RETURNED | ended | mine) is not None


_ROWS = cast(Table, Outbox.__table__)
_FINISH = (
    update(_ROWS)
    .where(_ROWS.c.id == bindparam("of_id"), _ROWS.c.lease_token == bindparam("of_token"))
    .returning(_ROWS.c.id)
)


def _locked(query: Select[int]) -> Select[int]:
    """The rows of ``query`` that nobody else is about to change, locked; SQLite has one writer at a time anyway.

    A query of its own (PostgreSQL folds none that locks into another), or it might be run for every row.
    """
    return select(query.with_for_update(skip_locked=True).cte().c.id)


def _dedupe_key(channel: str, dedupe: str) -> str:
    return exact_index(f"{channel} {dedupe}", "outbox.dedupe")
