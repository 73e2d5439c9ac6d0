"""What is kept of a person who earns energy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter.models.energy import EnergyEntry, EnergyLot, EnergySignal
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    lot, entry = EnergyLot, EnergyEntry
    lots = (await session.scalars(select(lot).where(lot.person == subject.person).order_by(lot.id))).all()
    moved = select(entry).join(lot, lot.id == entry.lot_id).where(lot.person == subject.person).order_by(entry.id)
    return {
        "energy": [
            {
                "lot": each.id,
                "points": each.points,
                "for": each.event,
                "level": each.level,
                "earned_at": each.earned_at,
                "expires_at": each.expires_at,
                "active": each.active,
                "pending": each.pending,
                "held": each.held,
                "owed": each.owed,
            }
            for each in lots
        ],
        "energy_movements": [
            {"lot": each.lot_id, "from": each.source, "to": each.target, "points": each.points, "at": each.at}
            for each in await session.scalars(moved)
        ],
    }


async def _erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
    """By what they were seen. The ledger stays, of a number that names nobody."""
    await session.execute(delete(EnergySignal).where(EnergySignal.person == subject.person))


PERSONAL = Part(export=_export, erase=_erase)
