"""Who came to a card through whom. Each person has one copy of it, with a token of its own; what is passed on from a
copy leads back to it, however often the first link is copied.

An opening counts once for two people, and only for whoever came to the card later than the one who passed it on: so no
opening of one's own counts, and nothing runs in a circle of any length.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.orm.attributes import set_committed_value

from mall_adapter import models, people
from mall_adapter.cards import persons
from mall_adapter.cards.events import CardForwarded
from mall_adapter.cards.persons import Person
from mall_adapter.cards.rules import card_rules
from storage import Role, insert, record

PAGE = "web"
"""The channel of a card's page, which leads on into the others."""


def new_token() -> str:
    """Opaque, of letters, digits, ``-`` and ``_``: it fits into a link, a start parameter and a scene."""
    return secrets.token_urlsafe(12)


async def by_token(session: AsyncSession, token: str) -> models.CardHolder | None:
    """The copy that the token leads to now. None where there is none, or where its owner works here no more."""
    holder, into, card, held = models.CardHolder, aliased(models.CardHolder), models.Card, models.Membership
    query = (
        select(holder, into, card)
        .outerjoin(into, into.id == holder.into_id)
        .join(card, card.id == holder.card_id)
        .join(held, held.principal_id == card.principal_id)
        .where(holder.token == token, held.role == Role.SALES)
    )
    if (found := (await session.execute(query)).first()) is None:
        return None
    return _of_card(found[1] or found[0], found[2])


def _of_card(copy: models.CardHolder, card: models.Card) -> models.CardHolder:
    """The copy with its card, which whoever shows it need not ask for again."""
    set_committed_value(copy, "card", card)
    return copy


async def own(session: AsyncSession, card_id: str, person: str) -> models.CardHolder | None:
    holder = models.CardHolder
    query = select(holder).where(holder.card_id == card_id, holder.person == person, holder.into_id.is_(None))
    return await session.scalar(query)


async def open_link(
    session: AsyncSession, token: str, sender: str, signals: Mapping[str, str], now: datetime
) -> models.CardHolder | None:
    """The sender came by this link, and has a copy of their own from now on. None where the link leads nowhere."""
    shared = await by_token(session, token)
    if shared is None:
        return None
    channel = people.channel_of(sender)
    crosses = shared.crossing_until is not None and now < shared.crossing_until and channel != PAGE
    person = await persons.meet(session, sender, shared.person if crosses else None, now)
    mine = await came(session, shared, person, channel, signals, now)
    if mine.id == shared.id and crosses:
        mine.crossing_until = None  # for one, once
    elif channel == PAGE and mine.since < now:  # looks at it again
        mine.crossing_until = now + card_rules().crossing
    return _of_card(mine, shared.card)


async def came(
    session: AsyncSession,
    shared: models.CardHolder,
    person: Person,
    channel: str,
    signals: Mapping[str, str],
    now: datetime,
) -> models.CardHolder:
    """The person's own copy, after they came by the one that was shared."""
    holder, forward = models.CardHolder, models.CardForward
    mine = await own(session, shared.card_id, person.name)
    if mine is None:
        new = {
            "token": new_token(),
            "card_id": shared.card_id,
            "person": person.name,
            "parent_id": shared.id,
            "depth": shared.depth + 1,
            "channel": channel,
            "since": now,
            "crossing_until": now + card_rules().crossing if channel == PAGE else None,
        }
        is_new = await _is_new(session, person, now)
        made = insert(session, holder).values(new).on_conflict_do_nothing().returning(holder)
        mine = await session.scalar(made) or await own(session, shared.card_id, person.name)
        if mine is None:
            raise RuntimeError("a copy that was just made is not there")
    else:
        is_new = False
    if mine.id <= shared.id:
        return mine  # their own, or they had it before
    depth = shared.depth + 1
    row = {"card_id": shared.card_id, "sharer_id": shared.id, "opener_id": mine.id, "channel": channel}
    first = insert(session, forward).values(row | {"depth": depth, "at": now}).on_conflict_do_nothing()
    if forward_id := await session.scalar(first.returning(forward.id)):
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


async def _is_new(session: AsyncSession, person: Person, now: datetime) -> bool:
    """Whether the house knew nobody such: they held no card, bought nothing, and have not written before."""
    if person.known_since is not None and person.known_since < now - card_rules().new_within:
        return False
    holder, order = models.CardHolder, models.Order
    known = [exists().where(holder.person == person.name)]
    if person.customer_id is not None:
        known.append(exists().where(order.customer_id == person.customer_id, order.paid_at.is_not(None)))
    return not any((await session.execute(select(*known))).one())


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
    await persons.forget(session, person)
