"""What the shop says by itself: of orders, parcels and goods to one customer, and what an operator writes to many.

From an event to the person it takes two steps, and what happens between them is written down: what is to be told to
whom is decided here, in the transaction that reads the event; by which channel, and how it looks, in ``connectors``.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import models, people
from mall_adapter.coupons import Gift
from mall_adapter.notices import broadcasts, segments
from mall_adapter.notices.events import TOLD_STEPS, read_on
from mall_adapter.notices.kinds import KINDS
from mall_adapter.notices.sweeps import tell_of_coupons, tell_of_stock, watch
from mall_adapter.notices.telling import Notice, choose, decide, due, ended, notify, told, wants_marketing
from mall_adapter.people import lose
from mall_adapter.transactions import Clock, Transactions, utc_now

__all__ = [
    "KINDS",
    "TOLD_STEPS",
    "Gift",
    "Notice",
    "Notices",
    "Watched",
    "broadcasts",
    "decide",
    "due",
    "ended",
    "lose",
    "notify",
    "read_on",
    "segments",
    "tell_of_coupons",
    "tell_of_stock",
    "told",
    "wants_marketing",
]


class Watched(StrEnum):
    YES = "yes"
    IN_STOCK = "in_stock"  # there is nothing to wait for
    STRANGER = "stranger"  # bound to nobody, so nobody could be told


class Notices:
    """What customers ask for in the conversation; safe to share between tasks."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        self._database = Transactions(engine, clock)

    async def choose(self, sender: str, marketing: bool) -> bool:
        """Whether the sender's customer wants to hear of offers from now on; False if the sender is bound to nobody,
        who hears of none."""
        async with self._database.writing() as session:
            customer_id = await session.scalar(select(people.customer_id_of(sender)))
            if customer_id is None:
                return False
            await choose(session, customer_id, marketing, self._database.clock())
            return True

    async def watch(self, sender: str, skus: Collection[str]) -> Watched:
        """The sender's customer is told once when there is any of these again."""
        stock = models.Stock
        free = stock.on_hand - stock.allocated - stock.held > 0
        async with self._database.writing() as session:
            customer_id = await session.scalar(select(people.customer_id_of(sender)))
            if customer_id is None:
                return Watched.STRANGER
            there = set(await session.scalars(select(stock.sku_id).where(stock.sku_id.in_(skus), free)))
            for sku_id in sorted({*skus} - there):
                await watch(session, customer_id, sku_id, self._database.clock())
            return Watched.IN_STOCK if {*skus} <= there else Watched.YES
