"""What the connectors keep of a person: what they have sent beside words, and what their buttons meant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.choices import sender_index
from connectors.tables import ChoiceList, KeptMedia
from storage.personal import Part, Rows, Subject


def personal(media: Path) -> Part:
    """``media``: the folder in which contents lie."""

    async def export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
        row = KeptMedia
        theirs = select(row).where(row.conversation.in_(subject.conversations)).order_by(row.id)
        return {
            "media": [{"kind": each.kind, "received_at": each.received_at} for each in await session.scalars(theirs)]
        }

    async def erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
        """The contents go first: one that is left without its row would lie there for ever."""
        row = KeptMedia
        theirs = row.conversation.in_(subject.conversations)
        for file in await session.scalars(select(row.file).where(theirs, row.file.is_not(None))):
            await asyncio.to_thread((media / str(file)).unlink, missing_ok=True)
        await session.execute(delete(row).where(theirs))
        mine = [sender_index(sender) for sender in subject.senders]
        await session.execute(delete(ChoiceList).where(ChoiceList.sender_index.in_(mine)))

    return Part(export=export, erase=erase)
