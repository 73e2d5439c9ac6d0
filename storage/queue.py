"""Rows that wait for a worker, which the outbox and the inbox share: claimed, leased, settled.

A worker claims a row, which gives it a lease and ends the transaction, does its work, and finishes the row in another
one. A worker that dies lets its lease run out, and the next one does the work again. Rows of one order key in a channel
have their turn one at a time, in the order in which they came: none is claimed while an earlier one is open.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Index,
    Integer,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import Damaged, KeyedHash, damaged_as, exact_index
from storage.engine import WRITES
from storage.tables import UtcDateTime

ATTEMPTS = 20
"""How often a row is claimed, if nobody says otherwise, before a lease that runs out is its last."""

LOST = "lost"
"""Of a row whose lease has run out: whoever had it may have done the work, or not."""

OPEN = "state IN ('pending', 'leased')"
"""Not settled. Always in these words: SQLite uses an index of a part of a table only for the words that made it."""

STUCK = "state IN ('parked', 'unknown', 'dead')"
"""What does not move by itself; in these words, too."""

RETURNED: dict[str, Any] = {"lease_token": None, "lease_until": None}
"""A lease that is over."""

AS_IT_IS: dict[str, Any] = {"synchronize_session": False}
"""No session holds these rows as objects."""


class State(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    PARKED = "parked"  # until its person writes; it holds nobody back
    # settled:
    SENT = "sent"
    DONE = "done"
    UNKNOWN = "unknown"  # it may have arrived: only a person can say
    DEAD = "dead"


class Queued:
    """Columns of a table whose rows wait for workers."""

    id: Mapped[int] = mapped_column(primary_key=True)  # grows with each row of an order key
    channel: Mapped[str]
    order_key: Mapped[str] = mapped_column(KeyedHash())
    created_at: Mapped[datetime] = mapped_column(index=True)
    not_before: Mapped[datetime]  # as asked for, and later as the last try said
    expires_at: Mapped[datetime | None]
    state: Mapped[State]
    attempts: Mapped[int]  # claims
    lease_token: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error_class: Mapped[str | None]  # why the last try failed, or why it is dead: no words of anybody
    dedupe_key: Mapped[str] = mapped_column(KeyedHash(), unique=True)


def indexes(name: str) -> tuple[Index, ...]:
    """Of the open rows of a table: what is due, what comes before it, and what is over; and of those that are stuck."""

    def part(of: str, words: str, *columns: str) -> Index:
        return Index(f"ix_{name}_{of}", *columns, sqlite_where=text(words), postgresql_where=text(words))

    return (
        part("due", OPEN, "channel", "not_before", "id"),
        part("expiry", OPEN, "expires_at"),
        part("lease", OPEN, "lease_until"),
        part("order", OPEN, "order_key", "id"),
        part("stuck", STUCK, "order_key", "id"),
    )


@dataclass(frozen=True, slots=True)
class Leased:
    """A row that is the claimant's until ``until``. ``attempts`` counts this claim; ``error_class`` is how the one
    before ended, :data:`LOST` where nobody knows."""

    id: int
    token: str
    until: datetime
    channel: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime
    error_class: str | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many rows of a channel are in a state, and when the first of them was due."""

    channel: str
    state: State
    messages: int
    due: datetime


# ---- how a try ended ----


@dataclass(frozen=True, slots=True)
class Sent:
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class Retry:
    """It did not arrive, for a reason that passes; ``error_class`` says why in a word, never in anybody's."""

    error_class: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Parked:
    """It cannot be sent until its person writes again (``storage.outbox.release``)."""

    error_class: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have arrived or not, and sending it again could double it."""

    error_class: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """There is no need for it any more; ``error_class`` says why in a word."""

    error_class: str


@dataclass(frozen=True, slots=True)
class Dead:
    error_class: str


def ended(outcome: Sent | Done | Dropped | Retry | Parked | Unknown | Dead) -> dict[str, Any]:
    """The columns of a row that a try has left so."""
    match outcome:
        case Sent():
            return RETURNED | {"state": State.SENT, "error_class": None, "provider_id": outcome.provider_id}
        case Done():
            return RETURNED | {"state": State.DONE, "error_class": None}
        case Dropped():
            values: dict[str, Any] = {"state": State.DONE}
        case Retry():
            values = {"state": State.PENDING, "not_before": outcome.at}
        case Parked():
            values = {"state": State.PARKED}
        case Unknown():
            values = {"state": State.UNKNOWN}
        case Dead():
            values = {"state": State.DEAD}
    return RETURNED | values | {"error_class": outcome.error_class}


def order_index(table: type[Queued], order_key: str) -> str:
    return exact_index(order_key, f"{_name(table)}.order_key")


def dedupe_index(table: type[Queued], dedupe: str) -> str:
    return exact_index(dedupe, f"{_name(table)}.dedupe")


async def in_order(session: AsyncSession, order_key: str) -> None:
    """To be awaited before a row is inserted: on PostgreSQL a larger number may be committed before a smaller one, but
    not among those of one order key (its index)."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(order_key, 0))))


async def claim(
    engine: AsyncEngine,
    table: type[Queued],
    channels: Collection[str],
    limit: int,
    lease: timedelta,
    now: datetime,
    *more: str,
    order_key: str | None,
    attempts: int | None,
    held: Collection[int],
) -> Sequence[tuple[Leased, Row[Any]]]:
    """At most ``limit`` rows that are due, leased to the caller, each with its columns ``more``.

    None of the numbers in ``held``: the caller is at work on these, and if their leases have run out meanwhile, it was
    too busy to renew them.
    A row whose lease has run out is due again, but dead (of class "lease") after so many ``attempts``; one that has
    expired is dead (of class "expired"), as is one that does not open ("damaged"). The transaction is over when this
    returns.
    """
    rows = cast(Table, cast(Any, table).__table__)
    claiming = _claiming(rows, tuple(channels), more, order_key is not None, attempts is not None, bool(held))
    token = secrets.token_hex(16)
    told: dict[str, Any] = {"of_now": now, "of_until": now + lease, "of_token": token, "of_limit": limit}
    if order_key is not None:
        told["of_key"] = order_index(table, order_key)
    if attempts is not None:
        told["of_attempts"] = attempts
    if held:
        told["of_held"] = list(held)
    async with engine.connect() as connection:
        if await connection.scalar(claiming.look, told) is None:
            return []
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(claiming.over, told)
        with damaged_as(""):
            found = (await connection.execute(claiming.lease, told)).all()
        closed = [one.id for one in found if any(isinstance(value, Damaged) for value in one)]
        if closed:
            await connection.execute(update(rows).where(rows.c.id.in_(closed)).values(ended(Dead("damaged"))))
    return [
        (
            Leased(
                one.id,
                token,
                now + lease,
                one.channel,
                json.loads(one.payload),
                one.attempts,
                one.created_at,
                one.error_class,
            ),
            one,
        )
        for one in sorted(found, key=lambda one: int(one.id))
        if one.id not in closed
    ]


async def finish(session: AsyncSession, table: type[Queued], leased: Leased, values: dict[str, Any]) -> bool:
    """Writes how the try ended; False, and nothing is written, if the row was claimed anew since."""
    mine = {"of_id": leased.id, "of_token": leased.token}
    return await session.scalar(_finish(cast(Table, cast(Any, table).__table__)), values | mine) is not None


async def renew(engine: AsyncEngine, table: type[Queued], leased: Collection[Leased], until: datetime) -> None:
    """The rows stay the caller's until then, but for those that were claimed anew."""
    row = cast(Any, table)
    longer = update(row).where(row.id.in_([each.id for each in leased]), row.state == State.LEASED)
    longer = longer.where(row.lease_token.in_({each.token for each in leased})).values(lease_until=until)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(longer, execution_options=AS_IT_IS)


async def again(session: AsyncSession, table: type[Queued], number: int, now: datetime) -> bool:
    """A row that is stuck is due again, and does not expire; False if it is not such a row, or one that does not
    open."""
    rows = cast(Table, cast(Any, table).__table__)
    values = RETURNED | {"state": State.PENDING, "not_before": now, "attempts": 0, "expires_at": None}
    return await session.scalar(_again(rows), values | {"error_class": None, "of_id": number}) is not None


async def forget(
    session: AsyncSession, table: type[Queued], settled: ColumnElement[bool], before: datetime, limit: int
) -> bool:
    """Some of the rows that are ``settled`` and older are no more; whether there may be more."""
    row = cast(Any, table)
    old = select(row.id).where(row.created_at < before, settled).order_by(row.created_at).limit(limit)
    gone = delete(row).where(row.id.in_(old)).returning(row.id)
    return len((await session.scalars(gone, execution_options=AS_IT_IS)).all()) == limit


async def depths(session: AsyncSession, table: type[Queued]) -> Sequence[Depth]:
    """Of what is not settled well."""
    row = cast(Any, table)
    query = select(row.channel, row.state, func.count(), func.min(row.not_before)).where(or_(text(OPEN), text(STUCK)))
    return [Depth(*found) for found in await session.execute(query.group_by(row.channel, row.state))]


def _name(table: type[Queued]) -> str:
    return str(cast(Any, table).__tablename__)


@dataclass(frozen=True, slots=True)
class _Claiming:
    """The statements of a claim. ``look`` finds something wherever the others do, and locks nothing."""

    look: Any
    over: Any
    lease: Any


@lru_cache(maxsize=64)
def _claiming(
    rows: Table, channels: Sequence[str], more: Sequence[str], of_key: bool, bounded: bool, apart: bool
) -> _Claiming:
    """Made once: that takes longer than a claim that finds nothing, and there is one every second."""
    row, now, limit = rows.c, bindparam("of_now", type_=UtcDateTime()), bindparam("of_limit", type_=Integer())
    due: list[ColumnElement[bool]] = [text(OPEN), row.not_before <= now]  # type: ignore[list-item]
    due.append(or_(row.lease_until.is_(None), row.lease_until <= now))
    if of_key:
        due.append(row.order_key == bindparam("of_key"))
    look = select(row.id).where(*due, row.channel.in_(channels)).limit(1)
    if apart:
        due.append(row.id.not_in(bindparam("of_held", expanding=True)))
    expired = row.expires_at <= now
    lost = and_(row.lease_until <= now, row.attempts >= bindparam("of_attempts")) if bounded else false()
    over = update(rows).where(
        row.id.in_(_locked([select(row.id).where(*due, row.channel.in_(channels), expired | lost)]))
    )
    over = over.values(RETURNED | {"state": State.DEAD, "error_class": case((expired, "expired"), else_="lease")})
    other = rows.alias()
    same = (other.c.order_key == row.order_key, other.c.channel == row.channel, text(OPEN))
    # not "no earlier one exists": PostgreSQL would look for that once for all open rows, however few are wanted
    first = select(func.min(other.c.id)).where(*same).correlate(rows).scalar_subquery()
    turns = [
        select(row.id, row.not_before)
        .where(*due, row.channel == channel, row.id == first)
        .order_by(row.not_before, row.id)
        .limit(limit)
        for channel in channels
    ]
    mine = _locked(turns).limit(limit)
    taken = {
        "state": State.LEASED,
        "attempts": row.attempts + 1,
        "lease_token": bindparam("of_token"),
        "lease_until": bindparam("of_until"),
        "error_class": case((row.state == State.LEASED, LOST), else_=row.error_class),
    }
    names = ("id", "channel", "payload", "attempts", "created_at", "error_class", *more)
    lease = update(rows).where(row.id.in_(mine)).values(taken).returning(*(row[name] for name in names))
    return _Claiming(look, over, lease)


@cache
def _finish(rows: Table) -> Any:
    mine = update(rows).where(rows.c.id == bindparam("of_id"), rows.c.lease_token == bindparam("of_token"))
    return mine.returning(rows.c.id)


@cache
def _again(rows: Table) -> Any:
    opens = func.coalesce(rows.c.error_class, "") != "damaged"
    return update(rows).where(rows.c.id == bindparam("of_id"), text(STUCK), opens).returning(rows.c.id)


def _locked(queries: Sequence[Select[Any]]) -> Select[Any]:
    """The ids of their rows that nobody else is about to change, locked, in the order of their further columns; SQLite
    has one writer at a time anyway.

    Queries of their own (PostgreSQL folds none that locks into another), or they might be run for every row.
    """
    locked = [query.with_for_update(skip_locked=True).cte() for query in queries]
    found = union_all(*(select(each) for each in locked)).subquery()
    return select(found.c.id).order_by(*found.c[1:], found.c.id)
