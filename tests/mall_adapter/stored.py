"""Conversations as the bot stores them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from privacy import current_ring
from privacy.conversations import conversation_of, seal_events
from privacy.tables import conversation_event
from storage import WRITES


async def store(engine: AsyncEngine, sender: str, *events: dict[str, Any]) -> None:
    """A turn's events, behind what there is."""
    table = conversation_event
    async with engine.execution_options(**WRITES).begin() as connection:
        ring = current_ring()
        stored = select(table.c.position + table.c.length).where(table.c.conversation == conversation_of(ring, sender))
        end = max([0, *(await connection.scalars(stored))])
        row = seal_events(ring, sender, end, 0, list(events))
        names = ("conversation", "position", "length", "session", "sealed")
        await connection.execute(insert(table).values({name: getattr(row, name) for name in names}))
