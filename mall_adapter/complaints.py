"""What customers complain of: noted in their own words, by kind, until an operator has dealt with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.errors import NotFound
from mall_adapter.handoff import Complaint, ComplaintKind
from privacy.columns import damaged_as
from storage import insert

LONGEST = 2000
"""Characters of one complaint that are kept, the latest."""


async def note(
    session: AsyncSession,
    conversation: str,
    kind: ComplaintKind,
    words: str,
    message_index: str,
    now: datetime,
    *,
    order_id: str | None,
    enquiry: bool,
) -> None:
    """One open complaint of each kind in a conversation: what is said later is added to it, a message once."""
    row = models.Complaint
    new = {"conversation": conversation, "kind": kind, "words": "", "message_index": "", "enquiry": False}
    await session.execute(insert(session, row).values(new | {"noted_at": now}).on_conflict_do_nothing())
    query = select(row).where(row.conversation == conversation, row.kind == kind, row.settled_at.is_(None))
    with damaged_as(""):  # what does not open is lost; what is said now is not
        complaint = (await session.scalars(query.with_for_update())).one()
    if complaint.message_index != message_index:
        complaint.words = "\n".join(filter(None, (complaint.words, words)))[-LONGEST:]
        complaint.message_index = message_index
    complaint.order_id = order_id or complaint.order_id
    complaint.enquiry = complaint.enquiry or enquiry


async def newest(session: AsyncSession, limit: int) -> Sequence[Complaint]:
    """Those that nobody has dealt with, the newest first."""
    row = models.Complaint
    query = select(row).where(row.settled_at.is_(None)).order_by(row.id.desc()).limit(limit)
    return [
        Complaint(each.id, each.conversation, each.kind, each.words, each.order_id, each.enquiry, each.noted_at)
        for each in (await session.scalars(query)).all()
    ]


async def settle(session: AsyncSession, complaint_id: int, now: datetime) -> None:
    """Raises NotFound."""
    row = await session.get(models.Complaint, complaint_id)
    if row is None:
        raise NotFound(f"no complaint {complaint_id}")
    row.settled_at = row.settled_at or now
