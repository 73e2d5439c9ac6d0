"""What is offered to customers who worry, by a table, within budgets, once for each order and reason; and what becomes
of it.

Which offer fits stands in ``rules/offers.json``, what it may cost and who is in which variant of the experiment in
``rules/budgets.yml``. An offer is made for an order of this house's own mall; a foreign mall makes its own.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, orders, ownership, people
from mall_adapter.errors import NotFound
from mall_adapter.offers import making
from mall_adapter.offers.assignments import Assignment, assigned
from mall_adapter.offers.events import (
    FOLLOWED,
    OfferOutcome,
    expire,
    offer_for_late_parcels,
    read_on,
)
from mall_adapter.offers.making import OfferAssigned, OfferRefused, OfferSettled, Rules, to_offer
from mall_adapter.offers.overview import newest, spent
from mall_adapter.offers.rules import OfferLimits, OfferTable
from mall_adapter.transactions import Clock, Transactions, utc_now
from mall_adapter.values import Feeling, Offer, OfferState, Proof
from privacy import current_ring
from privacy.conversations import conversation_of

__all__ = [
    "FOLLOWED",
    "Assignment",
    "OfferAssigned",
    "OfferLimits",
    "OfferOutcome",
    "OfferRefused",
    "OfferSettled",
    "OfferTable",
    "Offers",
    "Rules",
    "assigned",
    "expire",
    "newest",
    "offer_for_late_parcels",
    "read_on",
    "spent",
]


class Offers:
    """For customers in a conversation; safe to share between tasks. ``clock`` gives the aware present."""

    def __init__(self, engine: AsyncEngine, rules: Rules, clock: Clock = utc_now) -> None:
        self._database = Transactions(engine, clock)
        self._rules = rules

    async def propose(
        self, sender: str, order_id: str, feeling: Feeling, idempotency_key: str, *, demands: bool = False
    ) -> Offer | None:
        """What the sender is offered for the order; None where the facts have to do, for whoever has not shown by the
        whole phone that the order is theirs, and where others read along. With the same key the same offer, as long
        as it is open. ``demands``: money was asked for in so many words."""
        if people.in_public(sender):
            return None

        async def propose(session: AsyncSession, now: datetime) -> str:
            if await ownership.proved(session, sender, order_id) is not Proof.PHONE:
                return ""
            await orders.lock(session, order_id)
            order = await orders.read(session, order_id)
            made = await making.propose(session, self._rules, order, feeling, now, demands=demands)
            return made.id if made else ""

        request = {"order_id": order_id, "feeling": feeling, "demands": demands}
        made = await self._database.once(sender, idempotency_key, "propose_offer", request, str, propose)
        offer = await self._read(made) if made else None
        return offer if offer and offer.state is OfferState.OFFERED else None

    async def open_offer(self, sender: str) -> Offer | None:
        """The newest that the sender's customer can still accept."""
        offer, now = models.Offer, self._database.clock()
        query = select(offer).where(offer.customer_id == people.customer_id_of(sender), offer.good_until > now)
        query = query.where(offer.state == OfferState.OFFERED).order_by(offer.made_at.desc(), offer.id.desc()).limit(1)
        async with self._database.reading() as session:
            found = await session.scalar(query)
            return to_offer(found) if found else None

    async def accept(self, sender: str, offer_id: str) -> Offer:
        """What it gives is there from now on; again it changes nothing. Raises NotFound for one that is not the
        sender's, and InvalidTransition for one that is over."""
        async with self._database.writing() as session:
            now, by = self._database.clock(), await people.actor_of(session, sender)
            row = await self._held(session, sender, offer_id)
            await making.accept(session, self._rules, row, conversation_of(current_ring(), sender), by, now)
            return to_offer(row)

    async def decline(self, sender: str, offer_id: str) -> Offer:
        """Not accepted any more; one that is settled stays as it is. Raises NotFound."""
        async with self._database.writing() as session:
            now, by = self._database.clock(), await people.actor_of(session, sender)
            row = await self._held(session, sender, offer_id)
            await making.end(session, row, OfferState.DECLINED, by, now)
            return to_offer(row)

    async def _held(self, session: AsyncSession, sender: str, offer_id: str) -> models.Offer:
        """The sender's offer, which nobody else writes to now."""
        if customer_id := await session.scalar(select(models.Offer.customer_id).where(models.Offer.id == offer_id)):
            await people.lock_customers(session, customer_id, sharing=True)  # before the offer, as whoever merges them
        row = await session.get(models.Offer, offer_id, with_for_update=True)
        if row is None or await ownership.proved(session, sender, row.order_id) is not Proof.PHONE:
            raise NotFound(offer_id)
        return row

    async def _read(self, offer_id: str) -> Offer:
        async with self._database.reading() as session:
            return to_offer(await session.get_one(models.Offer, offer_id))
