"""The mall and the service desk that the actions talk to: opened once, for as long as the action server runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from bot.actions.goods_index import GoodsIndex
from mall_adapter import (
    CustomerMall,
    Desk,
    Leads,
    Offers,
    open_cards,
    open_desk,
    open_leads,
    open_mall,
    open_notices,
    open_offers,
)
from mall_adapter.cards import Cards
from mall_adapter.notices import Notices

_mall: CustomerMall | None = None
_goods: GoodsIndex | None = None
_desk: Desk | None = None
_notices: Notices | None = None
_leads: Leads | None = None
_cards: Cards | None = None
_offers: Offers | None = None
_opening = asyncio.Lock()


async def get_mall() -> CustomerMall:
    """The one open mall of this process."""
    global _mall
    if _mall is None:
        async with _opening:
            if _mall is None:
                _mall = await AsyncExitStack().enter_async_context(open_mall())
    return _mall


async def get_goods() -> GoodsIndex:
    """What that mall's goods are called."""
    global _goods
    mall = await get_mall()
    if _goods is None or _goods.mall is not mall:
        _goods = GoodsIndex(mall)
    return _goods


async def get_notices() -> Notices:
    """What customers want to be told, in this process."""
    global _notices
    if _notices is None:
        async with _opening:
            if _notices is None:
                _notices = await AsyncExitStack().enter_async_context(open_notices())
    return _notices


async def get_leads() -> Leads:
    """The leads of the salespeople, in this process."""
    global _leads
    if _leads is None:
        async with _opening:
            if _leads is None:
                _leads = await AsyncExitStack().enter_async_context(open_leads())
    return _leads


async def get_cards() -> Cards:
    """The salespeople's cards, in this process."""
    global _cards
    if _cards is None:
        async with _opening:
            if _cards is None:
                _cards = await AsyncExitStack().enter_async_context(open_cards())
    return _cards


async def get_offers() -> Offers:
    """What worried customers are offered, in this process."""
    global _offers
    if _offers is None:
        async with _opening:
            if _offers is None:
                _offers = await AsyncExitStack().enter_async_context(open_offers())
    return _offers


async def get_desk() -> Desk:
    """The one open service desk of this process."""
    global _desk
    if _desk is None:
        async with _opening:
            if _desk is None:
                _desk = await AsyncExitStack().enter_async_context(open_desk())
    return _desk
