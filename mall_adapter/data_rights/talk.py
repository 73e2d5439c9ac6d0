"""What was said: with the bot, and with people of the service desk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, transcripts
from privacy.tables import conversation_event
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    said: list[Mapping[str, Any]] = []
    for sender in subject.senders:
        channel = sender.partition(":")[0]
        after, line = 0, True
        while line:
            lines, following = await transcripts.read(session, sender, after)
            said += [{"channel": channel, "at": each.at, "by": each.by, "text": each.text} for each in lines]
            line, after = following > after, following
    complaint, handoff = models.Complaint, models.Handoff
    noted = select(complaint).where(complaint.conversation.in_(subject.conversations)).order_by(complaint.id)
    asked = select(handoff).where(handoff.sender_index.in_(subject.sender_indexes)).order_by(handoff.id)
    return {
        "conversations": said,
        "complaints": [
            {"kind": each.kind, "words": each.words, "order": each.order_id, "at": each.noted_at}
            for each in await session.scalars(noted)
        ],
        "handoffs": [
            {"reason": each.reason, "status": each.status, "at": each.requested_at, "stars": each.stars}
            for each in await session.scalars(asked)
        ],
    }


async def _erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
    """Who has looked into a conversation stays on record."""
    turns, said = conversation_event.c, subject.conversations
    await session.execute(delete(conversation_event).where(turns.conversation.in_(said)))
    for table in (models.Misunderstood, models.Complaint):
        await session.execute(delete(table).where(table.conversation.in_(said)))
    for of_desk in (models.DeskUpdate, models.Handoff):  # the one points at the other
        await session.execute(delete(of_desk).where(of_desk.sender_index.in_(subject.sender_indexes)))


PERSONAL = Part(export=_export, erase=_erase)
