"""The ledger: lots, and how their points move. Whoever moves points of a person holds their account till the end of the
transaction, so what is spent is there, and is spent once.

No sum is ever set: each movement is a row with a cause of its own, and the sums beside a lot only follow. A reversal
takes what was not spent; what was is owed, and the next points that become active pay it before anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import coupons, models
from mall_adapter.energy.names import customer
from mall_adapter.energy.rules import EnergyRules
from mall_adapter.errors import EnergyShort
from mall_adapter.models.energy import EnergyAccount, EnergyEntry, EnergyLot, Place
from storage import insert

OPEN = (Place.HELD, Place.PENDING, Place.ACTIVE, Place.OWED)
"""Places whose sum stands beside the lot."""

WHOLE_BPS = 10_000

AS_IT_IS = {"populate_existing": True}
"""Of a query for lots whose account is held: what was read before that may have been moved meanwhile."""


@dataclass(frozen=True, slots=True)
class NewLot:
    """What somebody has earned. ``reasons``: why a colleague is to look at it first; none: it counts."""

    person: str
    event: str
    rule: str
    cause: str
    points: int
    reasons: Sequence[str]
    earned_at: datetime
    frozen_until: datetime | None
    expires_at: datetime
    invitee: str | None = None
    level: int | None = None
    channel: str | None = None
    card_id: str | None = None
    forward_id: int | None = None
    conversion_id: int | None = None
    order_id: str | None = None


async def hold(session: AsyncSession, *persons: str) -> dict[str, EnergyAccount]:
    """Their accounts, which nobody else moves points of until the transaction ends. All that are needed at once."""
    for person in sorted(persons):
        new = insert(session, EnergyAccount).values(person=person, balance=0).on_conflict_do_nothing()
        await session.execute(new)
    account = EnergyAccount
    query = select(account).where(account.person.in_(persons)).order_by(account.person).with_for_update()
    found = (await session.scalars(query.execution_options(populate_existing=True))).all()
    return {each.person: each for each in found}


async def earn(session: AsyncSession, account: EnergyAccount, new: NewLot, now: datetime) -> EnergyLot | None:
    """The new lot; None where its cause has earned something already."""
    told = {name: getattr(new, name) for name in NewLot.__slots__} | {"reasons": list(new.reasons)}
    sums = dict.fromkeys(OPEN, 0)
    made = insert(session, EnergyLot).values(**told, **sums).on_conflict_do_nothing().returning(EnergyLot.id)
    lot_id = await session.scalar(made)
    if lot_id is None:
        return None
    lot = await session.get_one(EnergyLot, lot_id)
    target = Place.HELD if new.reasons else Place.PENDING
    _move(session, account, lot, None, target, new.points, f"lot:{lot.id}:earned", now)
    await release(session, account, lot, now)
    return lot


async def release(session: AsyncSession, account: EnergyAccount, lot: EnergyLot, now: datetime) -> int:
    """What waits until a time that is over may be spent; how much that is."""
    if lot.frozen_until is None or lot.frozen_until > now:
        return 0
    return await make_active(session, account, lot, now)


async def make_active(session: AsyncSession, account: EnergyAccount, lot: EnergyLot, now: datetime) -> int:
    """What is pending may be spent; how much that is."""
    points = lot.pending
    if points:
        cause = f"lot:{lot.id}:active"
        _move(session, account, lot, Place.PENDING, Place.ACTIVE, points, cause, now)
        await _pay_debts(session, account, cause, now)
    return points


async def expire(session: AsyncSession, account: EnergyAccount, now: datetime) -> None:
    """What was not spent in time is gone, but for what a colleague has to look at."""
    lot = EnergyLot
    over = select(lot).where(lot.person == account.person, lot.expires_at <= now, or_(lot.pending > 0, lot.active > 0))
    for each in (await session.scalars(over.order_by(lot.id), execution_options=AS_IT_IS)).all():
        for place in (Place.PENDING, Place.ACTIVE):
            if points := getattr(each, place):
                cause = f"lot:{each.id}:expired:{place}"
                _move(session, account, each, place, Place.EXPIRED, points, cause, now)


async def judge(
    session: AsyncSession,
    account: EnergyAccount,
    lot: EnergyLot,
    target: Place,
    principal_id: str | None,
    now: datetime,
) -> None:
    """A colleague has looked at it: ``target`` is PENDING or REFUSED."""
    cause = f"lot:{lot.id}:judged"
    _move(session, account, lot, Place.HELD, target, lot.held, cause, now, principal_id=principal_id)
    await release(session, account, lot, now)


async def reverse(
    session: AsyncSession, account: EnergyAccount, lot: EnergyLot, share_bps: int, cause: str, now: datetime
) -> int:
    """So much of what earned it has come back by now, all in all: so much of it is taken back. Of what was spent, the
    owner owes it. How much that is more than before."""
    taken = await _taken(session, lot)
    left = lot.points * share_bps // WHOLE_BPS - taken
    before = max(left, 0)
    for place in (Place.HELD, Place.PENDING, Place.ACTIVE, Place.EXPIRED, Place.SPENT):
        there = getattr(lot, place) if place in OPEN else await _at(session, lot, place)
        points = min(there, left)
        if points > 0:
            target = Place.OWED if place is Place.SPENT else Place.REVERSED
            _move(session, account, lot, place, target, points, f"{cause}:{lot.id}:{place}", now)
            left -= points
    await _pay_debts(session, account, cause, now)
    return before


async def redeem(
    session: AsyncSession, rules: EnergyRules, sender: str, customer_id: str, number: int, now: datetime
) -> Sequence[models.Coupon]:
    """So many coupons for the customer's energy, the oldest of it first. Raises EnergyShort, or ValueError for a
    number that cannot be."""
    if not 1 <= number <= rules.coupons_at_once:
        raise ValueError(f"between 1 and {rules.coupons_at_once} coupons at once")
    person = customer(customer_id)
    account = (await hold(session, person))[person]
    await expire(session, account, now)
    coupon = rules.coupon
    if account.balance < number * coupon.points:
        raise EnergyShort(account.balance, coupon.points)
    made = []
    for _ in range(number):
        terms = coupon.off_cents, coupon.min_spend_cents, coupon.days
        coupon_id = await coupons.grant(session, sender, coupon.title, *terms, now)
        await session.flush()
        await _spend(session, account, coupon.points, coupon_id, now)
        made.append(await coupons.read(session, coupon_id))
    return made


async def _spend(session: AsyncSession, account: EnergyAccount, points: int, coupon_id: str, now: datetime) -> None:
    left = points
    for lot in await spendable(session, account.person, now):
        some = min(lot.active, left)
        cause = f"redeem:{coupon_id}:{lot.id}"
        _move(session, account, lot, Place.ACTIVE, Place.SPENT, some, cause, now, coupon_id=coupon_id)
        left -= some
        if not left:
            return
    raise RuntimeError(f"{left} points less than the balance of an account")


async def spendable(session: AsyncSession, person: str, now: datetime) -> Sequence[EnergyLot]:
    """Lots that can be spent from, those that end first before the others."""
    lot = EnergyLot
    query = select(lot).where(lot.person == person, lot.active > 0, lot.expires_at > now)
    return (await session.scalars(query.order_by(lot.expires_at, lot.id), execution_options=AS_IT_IS)).all()


async def join(session: AsyncSession, kept: EnergyAccount, gone: EnergyAccount, cause: str, now: datetime) -> None:
    """Lots of the one are the other's from now on, and what is owed is paid by what is there. The caller holds both."""
    theirs = select(EnergyLot).where(EnergyLot.person == gone.person)
    for lot in (await session.scalars(theirs, execution_options=AS_IT_IS)).all():
        lot.person = kept.person
    kept.balance, gone.balance = kept.balance + gone.balance, 0
    await session.flush()
    await _pay_debts(session, kept, cause, now)


async def _pay_debts(session: AsyncSession, account: EnergyAccount, cause: str, now: datetime) -> None:
    """Lots with something active pay for those that owe, the oldest first."""
    await session.flush()
    lot = EnergyLot
    debts = select(lot).where(lot.person == account.person, lot.owed > 0).order_by(lot.id)
    owing = (await session.scalars(debts, execution_options=AS_IT_IS)).all()
    paying = list(await spendable(session, account.person, now)) if owing else []
    for debtor in owing:
        for payer in paying:
            points = min(debtor.owed, payer.active)
            if points:
                pair = f"{cause}:debt:{debtor.id}:{payer.id}"
                _move(session, account, payer, Place.ACTIVE, Place.SPENT, points, f"{pair}:paid", now)
                _move(session, account, debtor, Place.OWED, Place.REVERSED, points, pair, now)


def _move(
    session: AsyncSession,
    account: EnergyAccount,
    lot: EnergyLot,
    source: Place | None,
    target: Place,
    points: int,
    cause: str,
    now: datetime,
    *,
    coupon_id: str | None = None,
    principal_id: str | None = None,
) -> None:
    if account.person != lot.person:
        raise ValueError("another's lot")
    for place, change in ((source, -points), (target, points)):
        if place in OPEN:
            setattr(lot, place, getattr(lot, place) + change)
        if place is Place.ACTIVE:
            account.balance += change
        elif place is Place.OWED:
            account.balance -= change
    session.add(
        EnergyEntry(
            lot_id=lot.id,
            source=source,
            target=target,
            points=points,
            cause=cause,
            at=now,
            coupon_id=coupon_id,
            principal_id=principal_id,
        )
    )


async def _taken(session: AsyncSession, lot: EnergyLot) -> int:
    return lot.owed + await _at(session, lot, Place.REVERSED)


async def _at(session: AsyncSession, lot: EnergyLot, place: Place) -> int:
    """How many points of the lot are in a place."""

    await session.flush()
    entry = EnergyEntry

    def moved(way: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(entry.points).filter(way), 0)

    query = select(moved(entry.target == place) - moved(entry.source == place)).where(entry.lot_id == lot.id)
    return int(await session.scalar(query) or 0)
