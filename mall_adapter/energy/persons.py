"""Persons in the ledger and on the ways of cards: customers, who works here, and accounts that belong to nobody yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people
from mall_adapter.energy import ledger
from mall_adapter.energy.names import customer, customer_id_of
from mall_adapter.models.energy import EnergyLot, EnergyReferral, EnergySignal


async def current(session: AsyncSession, person: str) -> str:
    """Who they are by now: two customers may have been found to be one."""
    customer_id = customer_id_of(person)
    if customer_id is None:
        return person
    return customer(str(await session.scalar(select(people.kept(literal(customer_id))))))


async def become(session: AsyncSession, was: str, person: str, cause: str, now: datetime) -> None:
    """The one is found to be the other: lots, what came by them and what they were seen by are the other's. A lot for
    which somebody was their own friend, or the same friend of somebody twice, is taken back."""
    accounts = await ledger.hold(session, was, person)
    await ledger.join(session, accounts[person], accounts[was], cause, now)
    lot, referral, signal = EnergyLot, EnergyReferral, EnergySignal
    for each in (await session.scalars(select(lot).where(lot.invitee == was))).all():
        each.invitee = person
    known = select(referral.card_id).where(referral.person == person)
    await session.execute(delete(referral).where(referral.person == was, referral.card_id.in_(known)))
    await session.execute(update(referral).where(referral.person == was).values(person=person))
    await session.execute(update(referral).where(referral.sharer == was).values(sharer=person))
    await session.execute(delete(referral).where(referral.person == referral.sharer))
    for kind, hashed in (await session.execute(select(signal.kind, signal.hash).where(signal.person == person))).all():
        twice = signal.person == was, signal.kind == kind, signal.hash == hashed
        await session.execute(delete(signal).where(*twice))
    await session.execute(update(signal).where(signal.person == was).values(person=person))
    await session.flush()
    await _take_back(session, person, cause, now)


async def _take_back(session: AsyncSession, person: str, cause: str, now: datetime) -> None:
    lot, once = EnergyLot, set[tuple[str, int | None]]()
    theirs = (await session.scalars(select(lot).where(lot.invitee == person).order_by(lot.id))).all()
    wrong = []
    for each in theirs:
        if each.person == person or (each.event, each.level) in once:
            wrong.append(each)
        once.add((each.event, each.level))
    accounts = await ledger.hold(session, *{each.person for each in wrong}) if wrong else {}
    for each in wrong:
        await session.refresh(each)  # as it is now that nobody else moves it
        await ledger.reverse(session, accounts[each.person], each, ledger.WHOLE_BPS, f"{cause}:same", now)


async def names(session: AsyncSession, persons: Collection[str]) -> Mapping[str, str]:
    """Of those who are customers, and were not forgotten."""
    ids = {customer_id: person for person in persons if (customer_id := customer_id_of(person))}
    found = await session.scalars(select(models.Customer).where(models.Customer.id.in_(ids)))
    return {ids[each.id]: each.name for each in found if each.name}
