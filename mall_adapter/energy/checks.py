"""What a colleague is to look at before it counts. How many are too many stands in the rules."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter.energy.rules import Earned, Hold
from mall_adapter.models.energy import EnergyEntry, EnergyLot, EnergyReferral, EnergySignal, Place


async def of_path(
    session: AsyncSession, hold: Hold, event: Earned, invitee: str, path: Collection[str], since: datetime, at: datetime
) -> list[str]:
    """Reasons that concern who came, at ``since``, and those by whom they did."""
    reasons = []
    if invitee in path:
        reasons.append("cycle")
    if event is not Earned.OPENING and at - since < timedelta(minutes=hold.young.minutes):
        reasons.append("young")
    mine, other = EnergySignal, EnergySignal.__table__.alias("other")
    hashes = select(mine.hash).where(mine.person == invitee)
    shared = (
        select(other.c.kind)
        .distinct()
        .where(
            other.c.person.in_(path),
            other.c.person != invitee,
            other.c.kind.in_(hold.same),
            other.c.hash.in_(hashes),
        )
    )
    reasons += sorted(f"same_{kind}" for kind in await session.scalars(shared))
    referral = EnergyReferral
    for crowd in hold.crowd:
        query = (
            select(func.count(referral.person.distinct()))
            .join(mine, mine.person == referral.person)
            .where(
                referral.sharer.in_(path),
                referral.at > at - timedelta(days=crowd.days),
                mine.kind == crowd.signal,
                mine.hash.in_(hashes.where(mine.kind == crowd.signal)),
            )
        )
        if (await session.scalar(query) or 0) > crowd.more_than:
            reasons.append(f"crowd_{crowd.signal}")
    return reasons


async def of_person(session: AsyncSession, hold: Hold, person: str, at: datetime) -> list[str]:
    """Reasons that concern who would earn it."""
    lot, entry = EnergyLot, EnergyEntry
    reasons = []

    async def count(*which: ColumnElement[bool]) -> int:
        earned = lot.person == person, lot.card_id.is_not(None)
        return await session.scalar(select(func.count()).select_from(lot).where(*earned, *which)) or 0

    def moved(*targets: Place, since: datetime | None = None) -> ColumnElement[bool]:
        recent = [entry.at > since] if since else []
        return exists().where(entry.lot_id == lot.id, entry.target.in_(targets), *recent)

    for name, often in (("burst", hold.burst), ("velocity", hold.velocity)):
        since = at - timedelta(minutes=often.minutes)
        if await count(lot.earned_at > since, lot.earned_at <= at) >= often.more_than:
            reasons.append(name)
    orders = lot.event == Earned.ORDER
    brought = await count(orders)
    back = await count(orders, moved(Place.REVERSED, Place.OWED)) if brought >= hold.returned.orders else 0
    if back and back * 100 >= brought * hold.returned.percent:
        reasons.append("returned")
    if await count(moved(Place.REFUSED, since=at - timedelta(days=hold.refused.days))) > hold.refused.more_than:
        reasons.append("refused")
    return reasons
