"""What a customer is told of their energy, and a salesperson of those who carry their cards on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mall_adapter import binding_codes
from mall_adapter.cards.persons import unnamed
from mall_adapter.energy import ledger
from mall_adapter.energy.jobs import settle
from mall_adapter.energy.names import customer
from mall_adapter.energy.persons import names
from mall_adapter.energy.rules import EnergyRules
from mall_adapter.models.energy import EnergyCard, EnergyEntry, EnergyLot, EnergyReferral, Place
from mall_adapter.values import Carrier, Energy, EnergyChange
from mall_adapter.values import EnergyEntry as Told

_OVER = (Place.REVERSED, Place.REFUSED)


async def arrived(session: AsyncSession, customer_id: str, return_days: int, now: datetime) -> int:
    """Lets the customer spend what is due; how much that is."""
    person = customer(customer_id)
    return await settle(session, (await ledger.hold(session, person))[person], return_days, now)


async def balance(session: AsyncSession, rules: EnergyRules, customer_id: str, now: datetime) -> Energy:
    lot, person = EnergyLot, customer(customer_id)
    good = lot.expires_at > now

    async def total(column: InstrumentedAttribute[int], *which: ColumnElement[bool]) -> int:
        query = select(func.coalesce(func.sum(column), 0)).where(lot.person == person, *which)
        return int(await session.scalar(query) or 0)

    soon = good, lot.expires_at <= now + rules.expiring
    ending = select(func.min(lot.expires_at)).where(lot.person == person, lot.active > 0, *soon)
    return Energy(
        active=await total(lot.active, good),
        owed=await total(lot.owed),
        pending=await total(lot.pending, good),
        held=await total(lot.held),
        expiring=await total(lot.active, *soon),
        expires_at=await session.scalar(ending),
    )


async def history(session: AsyncSession, customer_id: str, limit: int) -> Sequence[Told]:
    """What came and what went, the newest first; coupons of one moment together."""
    lot, entry, person = EnergyLot, EnergyEntry, customer(customer_id)
    newest = select(lot).where(lot.person == person).order_by(lot.earned_at.desc(), lot.id.desc()).limit(limit)
    told = [_earned(each) for each in await session.scalars(newest)]
    went = (
        select(entry.at, entry.target, entry.coupon_id.is_not(None), func.sum(entry.points), lot.event, lot.level)
        .join(lot, lot.id == entry.lot_id)
        .where(
            lot.person == person,
            or_(
                entry.target.in_((Place.EXPIRED, Place.OWED)),
                entry.coupon_id.is_not(None),
                (entry.target == Place.REVERSED) & (entry.source != Place.OWED),
            ),
        )
        .group_by(entry.at, entry.target, entry.coupon_id.is_not(None), lot.event, lot.level)
        .order_by(entry.at.desc())
        .limit(limit * 4)  # of one moment several, by what they came from
    )
    sums = defaultdict[tuple[datetime, EnergyChange], int](int)
    of: dict[tuple[datetime, EnergyChange], tuple[str | None, int | None]] = {}
    for at, target, bought, points, event, level in (await session.execute(went)).all():
        change = _CHANGES[target]
        key = at, change
        sums[key] += int(points)
        of[key] = (None, None) if bought or change is EnergyChange.EXPIRED else (event, level)
    told += [Told(at, change, -points, *of[at, change]) for (at, change), points in sums.items()]
    return sorted(told, key=lambda each: each.at, reverse=True)[:limit]


_CHANGES = {
    Place.SPENT: EnergyChange.REDEEMED,
    Place.EXPIRED: EnergyChange.EXPIRED,
    Place.OWED: EnergyChange.TAKEN_BACK,
    Place.REVERSED: EnergyChange.TAKEN_BACK,
}


def _earned(lot: EnergyLot) -> Told:
    """``waits`` until what earned it is sure, or a colleague has looked at it."""
    waits = Place.HELD if lot.held else Place.PENDING if lot.pending else None
    until = lot.frozen_until if waits is Place.PENDING else None
    return Told(lot.earned_at, EnergyChange.EARNED, lot.points, lot.event, lot.level, waits and str(waits), until)


async def carriers(session: AsyncSession, principal_id: str, limit: int) -> Sequence[Carrier]:
    """Who has brought most by this salesperson's cards; of whom nobody knows who they are there is no name."""
    lot, referral = EnergyLot, EnergyReferral
    cards = select(EnergyCard.card_id).where(EnergyCard.owner == principal_id)
    own = select(referral.person).where(referral.card_id.in_(cards))
    brought = (
        select(referral.sharer, func.count().label("people"))
        .where(referral.card_id.in_(cards), referral.sharer.in_(own))
        .group_by(referral.sharer)
        .order_by(func.count().desc(), referral.sharer)
        .limit(limit)
    )
    rows = (await session.execute(brought)).all()
    earned = (
        select(lot.person, func.sum(lot.points))
        .where(lot.card_id.in_(cards), lot.person.in_([row.sharer for row in rows]))
        .where(~_ended(lot))
        .group_by(lot.person)
    )
    points = {str(person): int(total) for person, total in (await session.execute(earned)).all()}
    sharers = {row.sharer for row in rows}
    known = await names(session, sharers - await unnamed(session, sharers))
    return [
        Carrier(
            name=binding_codes.mask(known[row.sharer]).name if row.sharer in known else None,
            people=row.people,
            points=points.get(row.sharer, 0),
        )
        for row in rows
    ]


def _ended(lot: type[EnergyLot]) -> ColumnElement[bool]:
    entry = EnergyEntry
    return select(entry.id).where(entry.lot_id == lot.id, entry.target.in_(_OVER)).exists()
