"""How leads come and grow warm, from the mall's events and from what they ask in their conversations.

Each step writes what it read with how far it has read: nothing is missed or counted twice. What changes is an event
itself, which the graph follows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, people
from mall_adapter.actors import RULES
from mall_adapter.cards.events import (
    CardConversionReversed,
    CardConverted,
    CardForwarded,
    CardForwardEnded,
    CardPersonBound,
)
from mall_adapter.cards.persons import of_customer
from mall_adapter.leads import telling
from mall_adapter.leads.stages import ORDER, STAGES, topics_of
from mall_adapter.merging import CustomersMerged
from mall_adapter.models.leads import LeadStage
from privacy import TamperedError, current_ring
from privacy.conversations import Row, open_events
from privacy.tables import conversation_event
from storage import WRITES, Event, EventRow, insert, read_events, record

log = logging.getLogger(__name__)

READER = "leads"
AT_ONCE = 100
"""Conversations, or silent leads, that are looked at in one transaction."""

ROWS = 50
"""Of one conversation at once: a row is a turn."""

HEARD = timedelta(hours=2)
"""An account that wrote less than an hour ago may be kept as heard so long ago."""

WHOLE = 10_000

DECLINED = "declined"
"""Why an opening ended; the others are of people who turn out to be one, and stay leads."""

KINDS = (
    *(CardForwarded.kind, CardForwardEnded.kind, CardConverted.kind, CardConversionReversed.kind),
    *(CardPersonBound.kind, CustomersMerged.kind),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadAsked(Event):
    """``subject`` is the person; ``at`` of the event is when they asked."""

    kind: ClassVar[str] = "lead.asked"
    question_id: int
    person: str
    topic: str
    product_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadStageMoved(Event):
    """``owner`` is the id of the salesperson's principal."""

    kind: ClassVar[str] = "lead.stage_moved"
    person: str
    owner: str
    stage: LeadStage


# ---- from events ----


async def read_on(engine: AsyncEngine, now: datetime) -> bool:
    """Reads the next events; whether there may be more. Any number may read at once."""
    return await read_events(engine, READER, KINDS, partial(_take, now=now))


async def _take(session: AsyncSession, event: EventRow, now: datetime) -> None:
    data = event.data
    match event.kind:
        case CardForwarded.kind:
            await _opened(session, str(data["opener"]), str(data["card_id"]), event.at)
            await _weigh(session, str(data["opener"]), now)
        case CardForwardEnded.kind if data["reason"] == DECLINED:
            await _left(session, str(data["card_id"]))
        case CardConverted.kind:
            await _heard(session, str(data["person"]), event.at)
            await _weigh(session, str(data["person"]), now)
        case CardConversionReversed.kind:
            buyer = select(models.Order.customer_id).where(models.Order.id == data["order_id"])
            if customer_id := await session.scalar(buyer):
                await _weigh(session, of_customer(customer_id), now)
        case CardPersonBound.kind:
            await _become(session, str(data["account"]), str(data["customer"]), now)
        case CustomersMerged.kind:
            kept_id = select(people.kept(models.Customer.id)).where(models.Customer.id == data["gone_id"])
            into = of_customer(str(await session.scalar(kept_id)))
            await _become(session, of_customer(str(data["gone_id"])), into, now)


async def _opened(session: AsyncSession, person: str, card_id: str, at: datetime) -> None:
    """Nobody is their own lead."""
    card, principal, lead = models.Card, models.Principal, models.Lead
    whose = select(principal.id, principal.customer_id).join(card, card.principal_id == principal.id)
    owner = await session.execute(whose.where(card.id == card_id))
    if (found := owner.one_or_none()) is None or person == of_customer(found.customer_id or ""):
        return
    first = {"person": person, "principal_id": found.id, "stage": LeadStage.AWARENESS, "since": at, "last_at": at}
    await session.execute(insert(session, lead).values(first).on_conflict_do_nothing())
    await _heard(session, person, at)


async def _left(session: AsyncSession, card_id: str) -> None:
    """Whoever declined, and came to none of the owner's cards otherwise, is forgotten as a lead."""
    lead, question, holder = models.Lead, models.LeadQuestion, models.CardHolder
    forward, card = models.CardForward, models.Card
    owner = select(card.principal_id).where(card.id == card_id).scalar_subquery()
    came = (
        select(forward.id)
        .join(holder, holder.id == forward.opener_id)
        .join(card, card.id == forward.card_id)
        .where(holder.person == lead.person, card.principal_id == lead.principal_id)
    )
    gone = delete(lead).where(lead.principal_id == owner, ~came.exists()).returning(lead.person)
    persons = (await session.scalars(gone, execution_options={"synchronize_session": False})).all()
    rest = question.person.not_in(select(lead.person))
    forgotten = delete(question).where(question.person.in_(persons), rest)
    await session.execute(forgotten, execution_options={"synchronize_session": False})


async def _heard(session: AsyncSession, person: str, at: datetime) -> None:
    lead = models.Lead
    later = update(lead).where(lead.person == person, lead.last_at < at).values(last_at=at)
    await session.execute(later, execution_options={"synchronize_session": False})


async def _become(session: AsyncSession, was: str, person: str, now: datetime) -> None:
    """What the house knows of the one, it knows of the other; of two leads of one salesperson the warmer stays."""
    lead = models.Lead
    for table in (models.LeadQuestion, models.LeadTalk):
        await session.execute(update(table).where(table.person == was).values(person=person))
    for old in (await session.scalars(select(lead).where(lead.person == was).with_for_update())).all():
        same = select(lead).where(lead.person == person, lead.principal_id == old.principal_id)
        principal = await session.get_one(models.Principal, old.principal_id)
        if person == of_customer(principal.customer_id or ""):
            await session.delete(old)
        elif (new := await session.scalar(same.with_for_update())) is None:
            old.person = person
        else:
            told = [ORDER.index(each) for each in (old.told, new.told) if each]
            new.last_at, new.told = max(new.last_at, old.last_at), ORDER[max(told)] if told else None
            await session.delete(old)
    await session.flush()
    await _weigh(session, person, now)


# ---- from conversations ----


async def read_conversations(engine: AsyncEngine, now: datetime, *, stored: bool = False) -> int:
    """Reads on in the conversations of leads, of those that wrote lately or with ``stored`` of all; how many there were
    to read. Again until it is 0."""
    accounts = await _unread(engine, now, stored)
    for conversation, person in accounts:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await _read(session, conversation, person, now)
    return len(accounts)


def _person(customer_id: Any, visitor: Any) -> ColumnElement[str]:
    return func.coalesce("customer:" + customer_id, visitor)


async def _unread(engine: AsyncEngine, now: datetime, stored: bool) -> Sequence[tuple[str, str]]:
    account, principal, visitor = models.ChannelAccount, models.Principal, models.CardVisitor
    reading, turns = models.LeadReading, conversation_event.c
    person = _person(principal.customer_id, visitor.person)
    later = turns.position >= func.coalesce(reading.position, 0)
    more = exists().where(turns.conversation == account.conversation, later)
    query = (
        select(account.conversation, person)
        .outerjoin(principal, principal.id == account.principal_id)
        .outerjoin(visitor, visitor.sender_index == account.sender_index)
        .outerjoin(reading, reading.conversation == account.conversation)
        .where(account.conversation.is_not(None), person.in_(select(models.Lead.person)), more)
        .limit(AT_ONCE)
    )
    if not stored:
        query = query.where(account.heard_at >= now - HEARD)
    async with AsyncSession(engine) as session:
        return [(str(conversation), str(who)) for conversation, who in await session.execute(query)]


async def _read(session: AsyncSession, conversation: str, person: str, now: datetime) -> None:
    reading, table = models.LeadReading, conversation_event
    new = insert(session, reading).values(conversation=conversation, position=0)
    await session.execute(new.on_conflict_do_nothing())
    place = await session.get_one(reading, conversation, with_for_update=True, populate_existing=True)
    theirs = select(table).where(table.c.conversation == conversation, table.c.position >= place.position)
    rows = [Row(*row) for row in await session.execute(theirs.order_by(table.c.position).limit(ROWS))]
    for row in rows:
        try:
            events = open_events(current_ring(), [row], row.position)
        except TamperedError as error:  # told again by whoever looks at it; the next turns are read
            log.error("a turn of a lead does not open: %s", error)
            events = []
        for event in events:
            if event["event"] == "user":
                await _note(session, person, event)
        place.position = row.position + row.length
    if rows:
        await session.flush()
        await _weigh(session, person, now)


async def _note(session: AsyncSession, person: str, event: dict[str, Any]) -> None:
    at = datetime.fromtimestamp(event.get("timestamp") or 0, UTC)
    for topic, goods in topics_of(event.get("parse_data") or {}):
        product = models.Product
        product_id = await session.scalar(select(product.id).where(product.name == goods).limit(1)) if goods else None
        question = models.LeadQuestion(person=person, topic=topic, product_id=product_id, at=at)
        session.add(question)
        await session.flush()
        subject = f"person:{person}"
        asked = LeadAsked(subject=subject, question_id=question.id, person=person, topic=topic, product_id=product_id)
        record(session, asked, RULES, at)
        await _heard(session, person, at)


# ---- how warm ----


async def sweep(engine: AsyncEngine, now: datetime) -> bool:
    """Weighs anew those who have been silent for so long that they may be lost; whether there may be more."""
    lead = models.Lead
    silent = select(lead.person).where(
        lead.stage.not_in([LeadStage.LOST, LeadStage.CONVERTED]), lead.last_at <= now - STAGES.silence
    )
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        found = (await session.scalars(silent.distinct().limit(AT_ONCE))).all()
        for person in found:
            await _weigh(session, person, now)
    return len(found) == AT_ONCE


async def _weigh(session: AsyncSession, person: str, now: datetime) -> None:
    """The stage follows from the facts, and the salesperson hears of what is worth it, once a stage."""
    lead = models.Lead
    await session.flush()
    asked = await _asked(session, person, now)
    theirs = select(lead).where(lead.person == person).order_by(lead.id).with_for_update()
    for one in (await session.scalars(theirs.execution_options(populate_existing=True))).all():
        facts = asked | {
            "opened": await _times_opened(session, one),
            "orders": await _orders(session, one),
            "silent_days": (now - one.last_at).days,
        }
        row = STAGES.decide(facts)
        if row.stage is not one.stage:
            one.stage, one.since = row.stage, now
            moved = LeadStageMoved(subject=f"person:{person}", person=person, owner=one.principal_id, stage=row.stage)
            record(session, moved, RULES, now)
        further = one.told is None or ORDER.index(row.stage) > ORDER.index(one.told)
        if row.tell and further:
            one.told = row.stage
            await telling.tell(session, one, row.tell, now)


async def _asked(session: AsyncSession, person: str, now: datetime) -> dict[str, int]:
    question = models.LeadQuestion
    counted = select(question.topic, func.count()).where(question.person == person, question.at > now - STAGES.window)
    found = dict((await session.execute(counted.group_by(question.topic))).all())
    return found | {"asked": sum(found.values())}


async def _times_opened(session: AsyncSession, lead: models.Lead) -> int:
    holder, forward, card = models.CardHolder, models.CardForward, models.Card
    opened = (
        select(func.count())
        .select_from(forward)
        .join(holder, holder.id == forward.opener_id)
        .join(card, card.id == forward.card_id)
        .where(holder.person == lead.person, card.principal_id == lead.principal_id)
    )
    return int(await session.scalar(opened) or 0)


async def _orders(session: AsyncSession, lead: models.Lead) -> int:
    conversion, card, order = models.CardConversion, models.Card, models.Order
    kind, _, customer_id = lead.person.partition(":")
    standing = (
        select(func.count())
        .select_from(conversion)
        .join(card, card.id == conversion.card_id)
        .join(order, order.id == conversion.order_id)
        .where(card.principal_id == lead.principal_id, conversion.reversed_bps < WHOLE)
        .where(order.customer_id == customer_id)
    )
    return int(await session.scalar(standing) or 0) if kind == "customer" else 0
