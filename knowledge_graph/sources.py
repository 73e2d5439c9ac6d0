"""Where what the graph holds comes from: the mall of this house, its terms, and what the bot is taught.

The room itself knows neither the mall nor the bot: this module hands them in, and only its commands import it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields

import settings
from knowledge_graph.entries import Fact
from knowledge_graph.fitting import Offered, nearest_in_price
from knowledge_graph.products import Product
from knowledge_graph.sync import Goods
from mall_adapter import CustomerMall, open_mall, was_demo
from mall_adapter.terms import house_terms, in_answers
from storage import create_engine

LINES, TOPICS = settings.ROOT / "bot" / "data" / "nlu", settings.ROOT / "bot" / "topics.yml"
"""What the bot is taught; see :class:`knowledge_graph.taught.Taught`."""

_SHOWN = [field.name for field in fields(Product)]


def house_facts() -> dict[str, Fact]:
    """What answers may mention of this house, where no mall is open. Raises BrokenRules."""
    return in_answers(house_terms(), settings.desk_hours())


class HouseShop:
    """Implements :class:`knowledge_graph.sync.Shop`. The mall is opened when it is first asked: whatever keeps it from
    that may be over at the next look."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._mall: CustomerMall | None = None

    async def _open(self) -> CustomerMall:
        if self._mall is None:
            self._mall = await self._stack.enter_async_context(open_mall())
        return self._mall

    async def goods(self) -> Goods | None:
        listings = await (await self._open()).catalogue()
        if not listings and not await self._was_demo():  # more likely a mall that is not there yet than an empty one
            return None
        return await asyncio.to_thread(without_prices, listings)

    async def _was_demo(self) -> bool:
        """A demo that was removed leaves nothing to sell, and nothing of it stays."""
        engine = create_engine(settings.database_url())
        try:
            return await was_demo(engine)
        finally:
            await engine.dispose()

    async def facts(self) -> dict[str, Fact]:
        return in_answers(await (await self._open()).terms(), settings.desk_hours())


def without_prices(listings: Sequence[Offered]) -> Goods:
    """What the graph holds of them."""
    products = [Product(**{name: getattr(one, name) for name in _SHOWN}) for one in listings]
    return Goods(products, nearest_in_price(listings))


@asynccontextmanager
async def open_shop() -> AsyncIterator[HouseShop]:
    async with AsyncExitStack() as stack:
        yield HouseShop(stack)
