"""Leads of the salespeople: who opened their cards, what they asked about, how warm they are, and who is told.

How warm somebody is follows from a table (``stages.yml``); what they asked about from what their messages were
understood as (``topics.yml``). The graph (``knowledge_graph.propagation``) reads the events that are written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import models, people, permissions
from mall_adapter.errors import NotFound, NotPermitted
from mall_adapter.leads import telling
from mall_adapter.leads.following import read_conversations, read_on, sweep
from mall_adapter.leads.stages import STAGES, TOPICS
from mall_adapter.models.leads import LeadStage
from mall_adapter.transactions import Clock, Transactions, utc_now
from storage import Actor, Role

__all__ = ["STAGES", "TOPICS", "LeadStage", "Leads", "Shown", "Waiting", "read_conversations", "read_on", "sweep"]


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose cards somebody may see the ways of: their own, or as a manager everybody's."""

    cards: tuple[str, ...]
    manager: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lead whom a salesperson wants to talk with."""

    sender: str
    name: str | None  # None: nobody knows


class Leads:
    """Safe to share between tasks."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        self._database = Transactions(engine, clock)

    async def shown(self, sender: str) -> Shown:
        """Raises NotPermitted for whoever neither sells nor runs the shop, and InPublic."""
        people.keep_private(sender)
        card = models.Card
        async with self._database.reading() as session:
            for role in (Role.OPERATOR, Role.SALES):
                try:
                    actor = await people.actor_of(session, sender, role)
                except NotPermitted:
                    continue
                permissions.check(actor, "card_report")
                query = select(card.id).order_by(card.made_at, card.id)
                if role is Role.SALES:
                    query = query.where(card.principal_id == actor.principal_id)
                return Shown(tuple(await session.scalars(query)), role is Role.OPERATOR)
        raise NotPermitted("neither a salesperson nor an operator")

    async def everybodys(self, actor: Actor) -> Sequence[tuple[str, str]]:
        """Cards by id and the name on them. Raises NotPermitted."""
        permissions.check(actor, "card_report")
        card = models.Card
        async with self._database.reading() as session:
            rows = await session.execute(select(card.id, card.name).order_by(card.made_at, card.id))
            return [(card_id, name) for card_id, name in rows]

    async def names(self, persons: Sequence[str]) -> Mapping[str, str]:
        """Of those of them who are known."""
        async with self._database.reading() as session:
            return await telling.names_of(session, list(dict.fromkeys(persons)))

    async def numbers(self, sender: str, persons: Sequence[str]) -> Mapping[str, int]:
        """By which the sender's own leads among these persons are reached; nobody else's are."""
        account, lead = models.ChannelAccount, models.Lead
        mine = select(account.principal_id).where(account.sender_index == models.sender_index(sender))
        query = select(lead.person, lead.id).where(
            lead.principal_id == mine.scalar_subquery(), lead.person.in_(list(persons))
        )
        async with self._database.reading() as session:
            return dict((await session.execute(query)).all())

    async def reach(self, sender: str, lead_id: int) -> Waiting:
        """By which account this lead of the sender's wrote last. Raises NotPermitted, NotFound."""
        people.keep_private(sender)
        async with self._database.reading() as session:
            actor = await people.actor_of(session, sender, Role.SALES)
            permissions.check(actor, "reach_lead")
            lead, account, visitor = models.Lead, models.ChannelAccount, models.CardVisitor
            theirs = select(lead).where(lead.id == lead_id, lead.principal_id == actor.principal_id)
            if (found := await session.scalar(theirs)) is None:
                raise NotFound(f"no lead {lead_id}")
            name = (await telling.names_of(session, [found.person])).get(found.person)
            kind, _, which = found.person.partition(":")
            if kind == "customer":
                senders = [each for each, _ in await people.heard(session, which)]
            else:
                query = (
                    select(account.sender)
                    .join(visitor, visitor.sender_index == account.sender_index)
                    .where(visitor.person == found.person, account.sender.is_not(None), account.heard_at.is_not(None))
                    .order_by(account.heard_at.desc())
                )
                senders = [str(each) for each in await session.scalars(query)]
            if not senders:
                raise NotFound(f"lead {lead_id} has not written")
            return Waiting(senders[0], name)
