"""Leads of the salespeople: who opened their cards, what they asked about, how warm they are, and who is told.

How warm somebody is follows from a table (``stages.yml``); what they asked about from what their messages were
understood as (``topics.yml``). Whoever sells talks with them from a chat of their own (``talks.py``). The graph
(``knowledge_graph.propagation``) reads the events that are written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import models, permissions
from mall_adapter.leads import talks, telling
from mall_adapter.leads.following import read_conversations, read_on, sweep
from mall_adapter.leads.owners import owners_of
from mall_adapter.leads.stages import STAGES, TOPICS
from mall_adapter.leads.talks import News, Talk, Talking
from mall_adapter.models.leads import LeadStage
from mall_adapter.transactions import Clock, Transactions, utc_now
from storage import Actor

__all__ = [
    "STAGES",
    "TOPICS",
    "LeadStage",
    "Leads",
    "News",
    "Shown",
    "Talk",
    "Talking",
    "read_conversations",
    "read_on",
    "sweep",
    "talks",
]


@dataclass(frozen=True, slots=True)
class Shown:
    """The cards of which somebody may see the ways: their own, and as a manager those of their people."""

    cards: tuple[str, ...]
    manager: bool


class Leads:
    """Safe to share between tasks."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        self._database = Transactions(engine, clock)

    async def shown(self, sender: str) -> Shown:
        """Raises NotPermitted for whoever neither sells nor manages anybody who does, and InPublic."""
        card = models.Card
        async with self._database.reading() as session:
            owners = await owners_of(session, sender, "card_report")
            query = select(card.id).where(card.principal_id.in_(owners.ids)).order_by(card.made_at, card.id)
            return Shown(tuple(await session.scalars(query)), owners.manager)

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

    # ---- talking with one, from a chat of one's own: see talks ----

    async def numbers(self, sender: str, persons: Sequence[str]) -> Mapping[str, int]:
        async with self._database.reading() as session:
            return await talks.numbers(session, sender, persons)

    async def warm(self, sender: str, most: int) -> Sequence[tuple[int, str | None]]:
        async with self._database.reading() as session:
            return await talks.warm(session, sender, most)

    async def take(self, sender: str, lead_id: int) -> Talk:
        async with self._database.writing() as session:
            return await talks.take(session, sender, lead_id, self._database.clock())

    async def say(self, sender: str, text: str, message_id: str) -> Talk:
        async with self._database.writing() as session:
            return await talks.say(session, sender, text, message_id, self._database.clock())

    async def give_back(self, sender: str) -> Talk | None:
        async with self._database.writing() as session:
            return await talks.give_back(session, sender, self._database.clock())
