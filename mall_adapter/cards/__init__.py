"""Smart cards of the salespeople: what stands on them, who came to them through whom, and what was bought after that.

It is all of this house, whatever the mall: links, pages and chats are. What happens is written as events
(:mod:`mall_adapter.cards.events`) in the transaction that keeps it; the graph and the energy read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import models, people
from mall_adapter.cards import holders, making, persons
from mall_adapter.cards.conversions import read_on
from mall_adapter.cards.making import LONGEST, MOST_PRODUCTS, Changes, Copy, Face, clean
from mall_adapter.transactions import Clock, Transactions, utc_now
from storage import Role

__all__ = ["LONGEST", "MOST_PRODUCTS", "Cards", "Changes", "Copy", "Face", "clean", "read_on"]


class Cards:
    """Safe to share between tasks."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        self._database = Transactions(engine, clock)

    # ---- of whoever has a link ----

    async def look(self, token: str) -> Copy | None:
        """What the link shows, without anything being noted; None where it leads nowhere."""
        async with self._database.reading() as session:
            if (found := await holders.shown(session, token)) is None:
                return None
            shown, depth, card = found
            return Copy(shown, making.face(card), depth == 0)

    async def open(self, token: str, sender: str, signals: Mapping[str, str]) -> str | None:
        """The token of the sender's own copy, after they came by this link; None where it leads nowhere. ``signals``
        are keyed hashes: ``device``, ``address``. Nothing is noted for whoever is in a group."""
        if people.in_public(sender):
            copy = await self.look(token)
            return copy.token if copy else None
        async with self._database.writing() as session:
            return await holders.open_link(session, token, sender, signals, self._database.clock())

    async def decline(self, sender: str) -> None:
        """The sender does not want it noted by whom they came to cards."""
        async with self._database.writing() as session:
            await holders.decline(session, sender, self._database.clock())

    async def accept(self, sender: str) -> None:
        """The sender does not mind any more."""
        async with self._database.writing() as session:
            await holders.accept(session, sender)

    async def held(self, sender: str) -> Sequence[Copy]:
        """Copies of the sender's: of their own card, then of those that they came to, the latest first."""
        people.keep_private(sender)
        holder, card, held = models.CardHolder, models.Card, models.Membership
        async with self._database.reading() as session:
            if (person := await persons.find(session, sender)) is None:
                return []
            works = select(held.principal_id).where(held.role == Role.SALES)
            query = (
                select(holder)
                .join(card, card.id == holder.card_id)
                .where(holder.person == person.name, holder.into_id.is_(None), card.principal_id.in_(works))
                .order_by(holder.depth > 0, holder.id.desc())
                .limit(10)
            )
            return [await _copy(one) for one in (await session.scalars(query)).all()]

    # ---- of whoever is in sales: each raises NotPermitted for everybody else, and InPublic ----

    async def make(self, sender: str) -> Copy:
        """The sender's card, made with their name where there is none."""
        people.keep_private(sender)
        async with self._database.writing() as session:
            return await making.make(session, sender, self._database.clock())

    async def change(self, sender: str, changes: Changes) -> Copy:
        """Raises ValueError for what is longer than :data:`LONGEST`, or no name."""
        people.keep_private(sender)
        async with self._database.writing() as session:
            return await making.change(session, sender, changes, self._database.clock())

    async def want_portrait(self, sender: str) -> None:
        """The next picture that the sender sends is their portrait."""
        people.keep_private(sender)
        async with self._database.writing() as session:
            await making.want_portrait(session, sender, self._database.clock())

    async def awaits_portrait(self, sender: str) -> bool:
        async with self._database.reading() as session:
            return await making.awaits_portrait(session, sender, self._database.clock())

    async def take_portrait(self, sender: str, jpeg: bytes) -> Copy:
        async with self._database.writing() as session:
            return await making.take_portrait(session, sender, jpeg, self._database.clock())


async def _copy(holder: models.CardHolder) -> Copy:
    card = await holder.awaitable_attrs.card
    return Copy(holder.token, making.face(card), holder.depth == 0)
