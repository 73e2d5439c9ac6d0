"""Who came to a card through whom. Each person has one copy of it, with a token of its own; what is passed on from a
copy leads back to it, however often the first link is copied.

An opening counts once for two people, and only for whoever came to the card later than the one who passed it on: so no
opening of one's own counts, and nothing runs in a circle of any length.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import aliased

from mall_adapter import models, people
from mall_adapter.cards import persons
from mall_adapter.cards.events import CardForwarded
from mall_adapter.cards.persons import Person
from mall_adapter.cards.rules import card_rules
from storage import Role, if_free, record

PAGE = "web"
"""The channel of a card's page, which leads on into the others."""


def new_token() -> str:
    """Opaque, of letters, digits, ``-`` and ``_``: it fits into a link, a start parameter and a scene."""
    return secrets.token_urlsafe(12)


@dataclass(frozen=True, slots=True)
class Held:
    """A person's copy of a card."""

    id: int
    token: str
    card_id: str
    person: str
    depth: int
    since: datetime
    crossing_until: datetime | None


_link, _copy, _mine = models.CardHolder, aliased(models.CardHolder), aliased(models.CardHolder)


def _held(copy: Any) -> tuple[ColumnElement[Any], ...]:
    return copy.id, copy.token, copy.card_id, copy.person, copy.depth, copy.since, copy.crossing_until


def _by_token(*columns: Any) -> Select[Any]:
    """The copy that the token leads to now, and its card; nothing where its owner works here no more."""
    card, works = models.Card, models.Membership
    return (
        select(*columns)
        .select_from(_link)
        .join(_copy, _copy.id == func.coalesce(_link.into_id, _link.id))
        .join(card, card.id == _copy.card_id)
        .join(works, works.principal_id == card.principal_id)
        .where(_link.token == bindparam("token"), works.role == Role.SALES)
    )


_SHOWN = _by_token(_copy.token, _copy.depth, models.Card)
_SHARED = _by_token(*_held(_copy))


_own = _mine.card_id == _copy.card_id, _mine.person == persons.NAME, _mine.into_id.is_(None)
_OPENING = persons.beside(_by_token(*_held(_copy), persons.DECLINED, *persons.WHO, *_held(_mine))).outerjoin(
    _mine, and_(*_own)
)
"""All that noting an opening asks: the copy that was shared, who the sender is, and their own copy. One statement, made
once: the way to the database and back is most of what noting costs."""


async def shown(session: AsyncSession, token: str) -> tuple[str, int, models.Card] | None:
    """Token and depth of the copy that the link leads to now, and its card. None where it leads nowhere."""
    found = (await session.execute(_SHOWN, {"token": token})).first()
    return (found[0], found[1], found[2]) if found else None


async def by_token(session: AsyncSession, token: str) -> Held | None:
    """The copy that the token leads to now. None where there is none, or where its owner works here no more."""
    found = (await session.execute(_SHARED, {"token": token})).first()
    return Held(*found) if found else None


async def own(connection: AsyncConnection, card_id: str, person: str) -> Held | None:
    """The person's copy of the card."""
    found = (await connection.execute(_OWN, {"card": card_id, "person": person})).first()
    return Held(*found) if found else None


_OWN = select(*_held(_mine)).where(
    _mine.card_id == bindparam("card"), _mine.person == bindparam("person"), _mine.into_id.is_(None)
)


async def open_link(
    session: AsyncSession, token: str, sender: str, signals: Mapping[str, str], now: datetime
) -> str | None:
    """The sender came by this link; the token of the copy that is theirs from now on, or the same where they have
    declined. None where the link leads nowhere."""
    connection, index = await session.connection(), models.sender_index(sender)
    found = (await connection.execute(_OPENING, {"token": token, "index": index})).first()
    if found is None:
        return None
    shared, declined, who, theirs = Held(*found[:7]), found[7], found[8:12], found[12:]
    if declined:
        return shared.token
    mine = Held(*theirs) if theirs[0] is not None else None
    channel = people.channel_of(sender)
    crosses = shared.crossing_until is not None and now < shared.crossing_until and channel != PAGE
    if person := persons.person(*who):
        is_new = mine is None and await is_stranger(connection, person, now)
    else:
        name = shared.person if crosses else persons.new_name()
        person = Person(await persons.meet(connection, index, name, now), known_since=who[-1])
        if crosses or person.name != name:
            mine = await own(connection, shared.card_id, person.name)
        is_new = _is_young(person, now)
    copy = await came(session, shared, person, mine, channel, signals, now, is_new=is_new)
    if copy.id == shared.id and crosses:
        await _let_cross(connection, copy, None)  # for one, once
    elif channel == PAGE and copy.since < now:  # looks at it again
        await _let_cross(connection, copy, now + card_rules().crossing)
    return copy.token


_CROSSING = (
    update(models.CardHolder).where(models.CardHolder.id == bindparam("copy")).values(crossing_until=bindparam("until"))
)


async def _let_cross(connection: AsyncConnection, copy: Held, until: datetime | None) -> None:
    await connection.execute(_CROSSING, {"copy": copy.id, "until": until})


async def came(
    session: AsyncSession,
    shared: Held,
    person: Person,
    mine: Held | None,
    channel: str,
    signals: Mapping[str, str],
    now: datetime,
    *,
    is_new: bool,
) -> Held:
    """The person's own copy, after they came by the one that was shared; ``mine`` is the one that they had."""
    connection = await session.connection()
    if mine is None:
        mine = await _made(connection, shared, person, channel, now)
    if mine.id <= shared.id:
        return mine  # their own, or they had it before
    depth = shared.depth + 1
    row = {"card_id": shared.card_id, "sharer_id": shared.id, "opener_id": mine.id, "channel": channel}
    first = if_free(connection.dialect.name, models.CardForward)
    if forward_id := await connection.scalar(first, row | {"depth": depth, "at": now}):
        event = CardForwarded(
            subject=f"card:{shared.card_id}",
            forward_id=forward_id,
            card_id=shared.card_id,
            sharer=shared.person,
            opener=person.name,
            channel=channel,
            depth=depth,
            at=now,
            new_person=is_new,
            signals=dict(signals),
        )
        record(session, event, persons.actor(person, channel), now)
    return mine


async def _made(connection: AsyncConnection, shared: Held, person: Person, channel: str, now: datetime) -> Held:
    """A copy that came of the shared one, unless another tab made one a moment ago."""
    mine = Held(0, new_token(), shared.card_id, person.name, shared.depth + 1, now, None)
    if channel == PAGE:
        mine = replace(mine, crossing_until=now + card_rules().crossing)
    row = {each: value for each, value in asdict(mine).items() if each != "id"}
    row |= {"parent_id": shared.id, "channel": channel}
    if made := await connection.scalar(if_free(connection.dialect.name, models.CardHolder), row):
        return replace(mine, id=made)
    if (found := await own(connection, shared.card_id, person.name)) is None:
        raise RuntimeError("a copy that was just made is not there")
    return found


def _is_young(person: Person, now: datetime) -> bool:
    """Whether they have not written before."""
    return person.known_since is None or person.known_since >= now - card_rules().new_within


async def is_stranger(connection: AsyncConnection, person: Person, now: datetime) -> bool:
    """Whether the house knew nobody such: they held no card, bought nothing, and have not written before."""
    if not _is_young(person, now):
        return False
    holder, order = models.CardHolder, models.Order
    known = [exists().where(holder.person == person.name)]
    if person.customer_id is not None:
        known.append(exists().where(order.customer_id == person.customer_id, order.paid_at.is_not(None)))
    return not any((await connection.execute(select(*known))).one())


async def decline(session: AsyncSession, sender: str, now: datetime) -> None:
    """How the sender came to cards counts no more, and nothing leads from them to the copies that they had. What they
    have passed on stays as that of somebody whom nobody knows; of whoever is bound, as theirs."""
    person = await persons.find(session, sender)
    if person is None:
        return
    holder, forward = models.CardHolder, models.CardForward
    theirs = select(holder.id).where(holder.person == person.name)
    came_by = await session.scalars(select(forward).where(forward.opener_id.in_(theirs)).order_by(forward.id))
    await persons.end(session, came_by.all(), "declined", persons.actor(person, people.channel_of(sender)), now)
    await persons.forget(session, person, now)


async def accept(session: AsyncSession, sender: str) -> None:
    """Whoever has declined may be noted again."""
    if person := await persons.find(session, sender):
        await persons.recall(session, person)
