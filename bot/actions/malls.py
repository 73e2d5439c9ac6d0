"""The mall and the service desk that the actions talk to: opened once, for as long as the action server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Generic, TypeVar

from bot.actions.goods_index import GoodsIndex
from mall_adapter import (
    CustomerMall,
    DataRights,
    Desk,
    Leads,
    Offers,
    open_cards,
    open_data_rights,
    open_desk,
    open_leads,
    open_mall,
    open_notices,
    open_offers,
)
from mall_adapter.cards import Cards
from mall_adapter.notices import Notices

Room = TypeVar("Room")


class _Door(Generic[Room]):
    """Opened when it is first asked for."""

    def __init__(self, way: Callable[[], AbstractAsyncContextManager[Room]]) -> None:
        self._way = way
        self._opening = asyncio.Lock()
        self.room: Room | None = None

    async def enter(self) -> Room:
        if self.room is None:
            async with self._opening:
                if self.room is None:
                    self.room = await AsyncExitStack().enter_async_context(self._way())
        return self.room


_mall = _Door[CustomerMall](open_mall)
_desk = _Door(open_desk)
_notices = _Door(open_notices)
_leads = _Door(open_leads)
_cards = _Door(open_cards)
_offers = _Door(open_offers)
_data_rights = _Door(open_data_rights)
_goods: GoodsIndex | None = None


async def get_mall() -> CustomerMall:
    """The one open mall of this process."""
    return await _mall.enter()


async def get_goods() -> GoodsIndex:
    """What that mall's goods are called."""
    global _goods
    mall = await get_mall()
    if _goods is None or _goods.mall is not mall:
        _goods = GoodsIndex(mall)
    return _goods


async def get_desk() -> Desk:
    """The one open service desk of this process."""
    return await _desk.enter()


async def get_notices() -> Notices:
    """What customers want to be told, in this process."""
    return await _notices.enter()


async def get_leads() -> Leads:
    """The leads of the salespeople, in this process."""
    return await _leads.enter()


async def get_cards() -> Cards:
    """The salespeople's cards, in this process."""
    return await _cards.enter()


async def get_offers() -> Offers:
    """What worried customers are offered, in this process."""
    return await _offers.enter()


async def get_data_rights() -> DataRights:
    """What customers ask for as owners of their data, in this process."""
    return await _data_rights.enter()
