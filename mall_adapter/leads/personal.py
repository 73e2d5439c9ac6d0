"""What is kept of a person as a lead of salespeople."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    lead, asked = models.Lead, models.LeadQuestion
    leads = await session.scalars(select(lead).where(lead.person == subject.person).order_by(lead.id))
    questions = await session.scalars(select(asked).where(asked.person == subject.person).order_by(asked.id))
    return {
        "leads": [{"stage": each.stage, "since": each.since, "last_at": each.last_at} for each in leads],
        "questions": [{"topic": each.topic, "product": each.product_id, "at": each.at} for each in questions],
    }


async def _erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
    for table in (models.Lead, models.LeadQuestion):
        await session.execute(delete(table).where(table.person == subject.person))
    talk, handoff = models.LeadTalk, models.Handoff
    theirs = select(handoff.id).where(handoff.sender_index.in_(subject.sender_indexes))
    about = or_(talk.person == subject.person, talk.handoff_id.in_(theirs), talk.principal_id == subject.principal_id)
    await session.execute(delete(talk).where(about))
    reading = models.LeadReading
    await session.execute(delete(reading).where(reading.conversation.in_(subject.conversations)))


PERSONAL = Part(export=_export, erase=_erase)
