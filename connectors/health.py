"""Is everything up that a customer needs?"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.bot_client import BotClient

PATIENCE = 3.0
"""Seconds for each part; they are asked side by side."""

OFF = ("wechat", "telegram")
"""Parts of the contract that this house does not have; off is no fault."""

BOLT = bytes.fromhex("6060b017 00000404 00000000 00000000 00000000")
"""What a client of the graph says first: the protocol's name, and version 4.4 as the one it would like to speak."""


async def health(bot: BotClient, http: httpx.AsyncClient, engine: AsyncEngine) -> dict[str, str]:
    """State of each part: ``ok``, ``down`` or ``off``."""
    parts = {
        "bot": bot.healthy(),
        "actions": _actions(http),
        "database": _database(engine),
        "graph": bolt_answers(settings.graph_uri()),
    }
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


async def bolt_answers(uri: str) -> bool:
    """Whether a graph agrees to speak Bolt at ``uri``: the handshake needs neither a password nor a driver."""
    address = urlsplit(uri)
    context = ssl.create_default_context() if "+s" in address.scheme else None
    if context and address.scheme.endswith("+ssc"):  # a certificate that its owner signed
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(PATIENCE):
            host, port = address.hostname or settings.HOST, address.port or 7687
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                writer.write(BOLT)
                return any(await reader.readexactly(4))
            finally:
                writer.close()
    except (OSError, EOFError):  # TimeoutError is an OSError
        return False
