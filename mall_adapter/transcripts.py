"""What was said in a sender's conversation, read from the bot's sealed store, for those who take over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter.handoff import Line
from privacy.conversations import Row, conversation_of, open_events
from privacy.keyring import current_ring
from privacy.tables import conversation_event

TURNS = 100
"""The last turns that are shown of a conversation."""


async def read(session: AsyncSession, sender: str, after: int | None) -> tuple[Sequence[Line], int]:
    """The lines from event ``after`` on (None: of the last turns), and the ``after`` that continues."""
    ring, table = current_ring(), conversation_event
    query = select(table).where(table.c.conversation == conversation_of(ring, sender)).limit(TURNS)
    if after is None:
        query = query.order_by(table.c.position.desc())
    else:
        query = query.where(table.c.position >= after).order_by(table.c.position)
    rows = sorted((Row(*row) for row in await session.execute(query)), key=lambda row: row.position)
    if not rows:
        return [], after or 0
    events = open_events(ring, rows, rows[0].position)
    return [line for event in events if (line := _line(event))], rows[-1].position + rows[-1].length


def _line(event: dict[str, Any]) -> Line | None:
    at = datetime.fromtimestamp(event.get("timestamp") or 0, UTC)
    if event["event"] == "user" and event.get("text"):
        return Line("customer", at, event["text"], None, [])
    if event["event"] == "bot":
        data, metadata = event.get("data") or {}, event.get("metadata") or {}
        buttons = [(button["title"], button.get("payload") or "") for button in data.get("buttons") or []]
        by = metadata.get("by") or "bot"
        return Line(by, at, event.get("text") or "", data.get("image"), buttons)
    return None
