"""The mall and the service desk that the actions talk to: opened once, for as long as the action server runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from mall_adapter import Desk, Mall, open_desk, open_mall

_mall: Mall | None = None
_desk: Desk | None = None
_opening = asyncio.Lock()


async def get_mall() -> Mall:
    """The one open mall of this process."""
    global _mall
    if _mall is None:
        async with _opening:
            if _mall is None:
                _mall = await AsyncExitStack().enter_async_context(open_mall())
    return _mall


async def get_desk() -> Desk:
    """The one open service desk of this process."""
    global _desk
    if _desk is None:
        async with _opening:
            if _desk is None:
                _desk = await AsyncExitStack().enter_async_context(open_desk())
    return _desk
