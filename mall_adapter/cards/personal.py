"""What is kept of a person who holds cards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mall_adapter import models
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    holder, forward, card = models.CardHolder, models.CardForward, models.Card
    own = await session.scalar(select(card).where(card.principal_id == subject.principal_id))
    held = await session.scalars(select(holder).where(holder.person == subject.person).order_by(holder.id))
    sharer, opener = aliased(holder), aliased(holder)
    ways = (
        select(forward.card_id, forward.at, forward.channel, sharer.person)
        .join(sharer, sharer.id == forward.sharer_id)
        .join(opener, opener.id == forward.opener_id)
        .where(or_(sharer.person == subject.person, opener.person == subject.person))
        .order_by(forward.id)
    )
    return {
        "own_card": [
            {
                "name": own.name,
                "title": own.title,
                "greeting": own.greeting,
                "phone": own.phone,
                "goods": own.product_ids,
                "made_at": own.made_at,
            }
        ]
        if own
        else [],
        "cards_held": [{"card": each.card_id, "channel": each.channel, "since": each.since} for each in held],
        "cards_passed": [
            {"card": card_id, "at": at, "channel": channel, "by_me": person == subject.person}
            for card_id, at, channel, person in (await session.execute(ways)).all()
        ],
    }


async def _erase(session: AsyncSession, subject: Subject, now: datetime) -> None:
    """The ways of a card stay, of somebody whom nobody knows."""
    visitor, card = models.CardVisitor, models.Card
    theirs = or_(visitor.person == subject.person, visitor.sender_index.in_(subject.sender_indexes))
    await session.execute(delete(visitor).where(theirs))
    await session.execute(delete(models.CardDeclined).where(models.CardDeclined.person == subject.person))
    if own := await session.scalar(select(card).where(card.principal_id == subject.principal_id)):
        own.name, own.product_ids, own.changed_at = "", [], now
        own.title = own.greeting = own.phone = own.portrait = own.portrait_until = None
        await session.flush()


PERSONAL = Part(export=_export, erase=_erase)
