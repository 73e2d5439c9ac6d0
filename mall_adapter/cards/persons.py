"""Who holds cards: people under a name that tells nobody who they are, until they are bound.

Two who turn out to be one have one copy of each card, the one that came first. What ran between them ends, and so does
what would run in a circle.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Select, String, Table, bindparam, case, delete, exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from mall_adapter import models
from mall_adapter.cards.events import CardForwardEnded, CardPersonBound
from storage import Actor, Role, insert, insert_on, record

_ACCOUNT, _CUSTOMER, _STAFF = "account:", "customer:", "staff:"


@dataclass(frozen=True, slots=True)
class Person:
    """``name`` is that among those who hold cards; ``known_since``: when the house first heard of them."""

    name: str
    principal_id: str | None = None
    customer_id: str | None = None
    known_since: datetime | None = None


def of_customer(customer_id: str) -> str:
    return f"{_CUSTOMER}{customer_id}"


def of_principal(principal_id: str, customer_id: str | None) -> str:
    return of_customer(customer_id) if customer_id else f"{_STAFF}{principal_id}"


# ---- who a sender is ----

INDEX = bindparam("index", type_=String)
"""The hash of a sender, in statements that are made once."""

_account, _principal, _visitor = models.ChannelAccount, models.Principal, models.CardVisitor

NAME = case(
    (_principal.customer_id.is_not(None), literal(_CUSTOMER) + _principal.customer_id),
    (_principal.id.is_not(None), literal(_STAFF) + _principal.id),
    else_=_visitor.person,
)
"""Of the sender, where :func:`beside` has put who they are."""

DECLINED = exists().where(models.CardDeclined.person == NAME)

WHO = NAME, _principal.id, _principal.customer_id, _account.first_seen_at
"""The columns that :func:`person` takes."""


def beside(query: Select[Any]) -> Select[Any]:
    """Each of its rows with who the sender is, as far as that is known."""
    return (
        query.outerjoin(_account, _account.sender_index == INDEX)
        .outerjoin(_principal, _principal.id == _account.principal_id)
        .outerjoin(_visitor, _visitor.sender_index == INDEX)
    )


def person(
    name: str | None, principal_id: str | None, customer_id: str | None, known_since: datetime | None
) -> Person | None:
    return Person(name, principal_id, customer_id, known_since) if name else None


_KNOWN = beside(select(*WHO).select_from(select(INDEX.label("index")).subquery()))


async def find(session: AsyncSession, sender: str) -> Person | None:
    """None for a sender who has met no card and is bound to nobody."""
    return person(*(await session.execute(_KNOWN, {"index": models.sender_index(sender)})).one())


@cache
def _meeting(dialect: str) -> Any:
    rows = cast(Table, _visitor.__table__)
    new = insert_on(dialect, rows)
    return new.on_conflict_do_update(index_elements=["sender_index"], set_={"since": rows.c.since}).returning(
        rows.c.person
    )


def new_name() -> str:
    return f"{_ACCOUNT}{secrets.token_urlsafe(12)}"


async def meet(connection: AsyncConnection, index: str, name: str, now: datetime) -> str:
    """The sender, whom nobody knew, has this name from now on; or the one that another tab gave them a moment ago."""
    row = {"sender_index": index, "person": name, "since": now}
    return str(await connection.scalar(_meeting(connection.dialect.name), row))


async def forget(session: AsyncSession, person: Person, now: datetime) -> None:
    """From now on nothing leads from their senders to what they were among those who hold cards; whoever is bound has
    declined by their name."""
    await session.execute(delete(models.CardVisitor).where(models.CardVisitor.person == person.name))
    if person.principal_id is not None:
        new = insert(session, models.CardDeclined).values(person=person.name, since=now)
        await session.execute(new.on_conflict_do_nothing())


async def recall(session: AsyncSession, person: Person) -> None:
    """They do not decline any more."""
    await session.execute(delete(models.CardDeclined).where(models.CardDeclined.person == person.name))


async def unnamed(session: AsyncSession, names: Collection[str]) -> frozenset[str]:
    """Those of these persons whose names nobody is told."""
    declined = models.CardDeclined.person
    return frozenset(await session.scalars(select(declined).where(declined.in_(names))))


async def bound(session: AsyncSession, sender: str, by: Actor, now: datetime) -> None:
    """The sender belongs to a principal from now on: so does what they held before."""
    visitor, index = models.CardVisitor, models.sender_index(sender)
    gone = delete(visitor).where(visitor.sender_index == index).returning(visitor.person)
    was, person = await session.scalar(gone), await find(session, sender)
    if was is None or person is None or not was.startswith(_ACCOUNT):
        return  # nothing to bring along; or it is another's already
    await session.execute(update(visitor).where(visitor.person == was).values(person=person.name))
    event = CardPersonBound(subject=f"principal:{person.principal_id}", account=was, customer=person.name, at=now)
    record(session, event, by, now)
    await become(session, was, person.name, by, now)


async def become(session: AsyncSession, was: str, person: str, by: Actor, now: datetime) -> None:
    """What the one held, the other holds."""
    holder = models.CardHolder
    theirs = select(holder).where(holder.person == was, holder.into_id.is_(None)).order_by(holder.id)
    for one in (await session.scalars(theirs.with_for_update())).all():
        same = select(holder).where(holder.card_id == one.card_id, holder.person == person, holder.into_id.is_(None))
        if (other := await session.scalar(same.with_for_update())) is None:
            one.person = person
            continue
        kept, gone = sorted((one, other), key=lambda each: each.id)
        await session.execute(update(holder).where(holder.into_id == gone.id).values(into_id=kept.id))
        gone.into_id, gone.person = kept.id, person
        await session.flush()
        kept.person = person
        await session.execute(update(holder).where(holder.parent_id == gone.id).values(parent_id=kept.id))
        await _join(session, kept.id, gone.id, by, now)
    await session.execute(update(models.CardVisitor).where(models.CardVisitor.person == was).values(person=person))
    if await unnamed(session, [was]):
        declined = models.CardDeclined
        ended = delete(declined).where(declined.person == was).returning(declined.since)
        new = insert(session, declined).values(person=person, since=await session.scalar(ended))
        await session.execute(new.on_conflict_do_nothing())


async def _join(session: AsyncSession, kept: int, gone: int, by: Actor, now: datetime) -> None:
    """What led to the copy that is gone, and on from it, leads to the one that is kept."""
    forward = models.CardForward
    about = select(forward).where(or_(forward.sharer_id == gone, forward.opener_id == gone)).order_by(forward.id)
    for one in (await session.scalars(about.with_for_update())).all():
        sharer = kept if one.sharer_id == gone else one.sharer_id
        opener = kept if one.opener_id == gone else one.opener_id
        twice = select(forward.id).where(forward.sharer_id == sharer, forward.opener_id == opener)
        if sharer >= opener or await session.scalar(twice) is not None:
            await end(session, [one], "loop", by, now)
        else:
            one.sharer_id, one.opener_id = sharer, opener
            await session.flush()


async def end(
    session: AsyncSession, forwards: Sequence[models.CardForward], reason: str, by: Actor, now: datetime
) -> None:
    """They count no more."""
    holder = models.CardHolder
    theirs = select(holder.id, holder.person).where(holder.id.in_([one.opener_id for one in forwards]))
    openers = dict((await session.execute(theirs)).all())
    for one in forwards:
        told: dict[str, Any] = {"forward_id": one.id, "card_id": one.card_id, "opener": openers[one.opener_id]}
        told |= {"reason": reason, "at": now}
        record(session, CardForwardEnded(subject=f"card:{one.card_id}", **told), by, now)
        await session.delete(one)
    await session.flush()


def actor(person: Person, channel: str) -> Actor:
    return Actor(Role.CUSTOMER, person.principal_id, channel=channel)
