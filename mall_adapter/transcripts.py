"""Conversations, read from the bot's sealed store: what was said, for those who take over, and every event, for those
who want to know why; of the latter a record is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.handoff import Line, Viewing
from mall_adapter.mall import NotFound
from privacy.conversations import Row, conversation_of, open_events
from privacy.keyring import current_ring
from privacy.tables import conversation_event

TURNS = 100
"""The last turns that are shown of a conversation."""

VIEWINGS = 10
"""Earlier looks into a conversation that are told."""


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


async def note_view(session: AsyncSession, conversation: str, operator: str, now: datetime) -> Sequence[Viewing]:
    """Puts it on record that ``operator`` looks; gives the looks before this one. Raises NotFound."""
    stored, row = conversation_event.c.conversation, models.ConversationView
    if await session.scalar(select(stored).where(stored == conversation).limit(1)) is None:
        raise NotFound("no such conversation")
    query = select(row).where(row.conversation == conversation).order_by(row.id.desc()).limit(VIEWINGS)
    earlier = [Viewing(each.operator, each.viewed_at) for each in await session.scalars(query)]
    session.add(row(conversation=conversation, operator=operator, viewed_at=now))
    return earlier


async def excerpt(session: AsyncSession, conversation: str, before: int | None) -> tuple[int, Sequence[dict[str, Any]]]:
    """The events of the last rows before event ``before`` (None: of all), and the position of the first of them."""
    ring, table = current_ring(), conversation_event
    query = select(table).where(table.c.conversation == conversation)
    if before is not None:
        query = query.where(table.c.position < before)
    newest = await session.execute(query.order_by(table.c.position.desc()).limit(TURNS))
    rows = [Row(*row) for row in newest][::-1]
    if not rows:
        return 0, []
    first = rows[0].position
    events = open_events(ring, rows, first)
    return first, events if before is None else events[: before - first]


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
