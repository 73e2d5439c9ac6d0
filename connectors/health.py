"""Is everything up that a customer needs?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.bot_client import BotClient

PATIENCE = 3.0
"""Seconds for each part; they are asked side by side."""

OFF = ("graph", "wechat", "telegram")
"""Parts of the contract that this house does not have; off is no fault."""


async def health(bot: BotClient, http: httpx.AsyncClient, engine: AsyncEngine) -> dict[str, str]:
    """State of each part: ``ok``, ``down`` or ``off``."""
    parts = {"bot": bot.healthy(), "actions": _actions(http), "database": _database(engine)}
    states = await asyncio.gather(*map(_state, parts.values()))
    return dict(zip(parts, states, strict=True)) | dict.fromkeys(OFF, "off")


async def _state(check: Awaitable[bool]) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            return "ok" if await check else "down"
    except Exception:  # whatever a part does instead of answering, it is down
        return "down"


async def _actions(http: httpx.AsyncClient) -> bool:
    return (await http.get(f"{settings.actions_url()}/health")).status_code == httpx.codes.OK


async def _database(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT 1"))).scalar() == 1
