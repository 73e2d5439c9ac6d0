"""Who came by whose card, as the events of cards tell it, and by what people were seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.energy.names import customer_id_of
from mall_adapter.energy.rules import LEVELS, Signal
from mall_adapter.models.energy import EnergyReferral, EnergySignal
from privacy.columns import blind_index
from storage import insert

FARTHEST = 50
"""Steps back that are looked at; longer chains are cut there."""


async def came(
    session: AsyncSession, forward_id: int, card_id: str, person: str, sharer: str, channel: str, at: datetime
) -> None:
    """By whom somebody came to a card first stays."""
    row = {"card_id": card_id, "person": person, "sharer": sharer, "channel": channel, "at": at}
    new = insert(session, EnergyReferral).values(forward_id=forward_id, **row)
    await session.execute(new.on_conflict_do_nothing())


async def ended(session: AsyncSession, forward_id: int, *, forget: bool) -> None:
    """It counts no more; whoever wants to be forgotten is remembered by nothing."""
    gone = delete(EnergyReferral).where(EnergyReferral.forward_id == forward_id).returning(EnergyReferral.person)
    person = await session.scalar(gone)
    if forget and person is not None:
        await session.execute(delete(EnergySignal).where(EnergySignal.person == person))


async def to_card(session: AsyncSession, card_id: str, person: str) -> EnergyReferral | None:
    """How the person came to the card; None for its owner, and for who never did."""
    referral = EnergyReferral
    return await session.scalar(select(referral).where(referral.card_id == card_id, referral.person == person))


async def first_of(session: AsyncSession, person: str) -> EnergyReferral | None:
    """How the person came to any card first."""
    referral = EnergyReferral
    query = select(referral).where(referral.person == person).order_by(referral.at, referral.forward_id).limit(1)
    return await session.scalar(query)


async def before(session: AsyncSession, referral: EnergyReferral) -> Sequence[tuple[int, str]]:
    """Who passed the card on, by their level: whoever had it from nobody is its owner and no part of it."""
    found = []
    person = referral.sharer
    for level in LEVELS:
        link = await to_card(session, referral.card_id, person)
        if link is None:
            break
        found.append((level, person))
        person = link.sharer
    return found


async def path(session: AsyncSession, person: str) -> set[str]:
    """The person, and everybody by whom any card came to them; without the owners of the cards."""
    referral, found, frontier = EnergyReferral, set[str](), {person}
    for _ in range(FARTHEST):
        rows = (
            await session.execute(select(referral.person, referral.sharer).where(referral.person.in_(frontier)))
        ).all()
        found |= {row.person for row in rows}
        frontier = {row.sharer for row in rows} - found
        if not frontier:
            break
    return found


# ---- by what people were seen ----


async def seen(session: AsyncSession, person: str, signals: Mapping[str, str], at: datetime) -> None:
    """``signals`` are keyed hashes by their kind; a kind that is not known is passed over."""
    for kind, hashed in signals.items():
        if kind in {*Signal}:
            new = insert(session, EnergySignal).values(person=person, kind=kind, hash=hashed, at=at)
            await session.execute(new.on_conflict_do_nothing())


async def seen_buying(session: AsyncSession, person: str, order_id: str, at: datetime) -> None:
    """By the phone and the address on an order."""
    order = models.Order
    query = select(order.recipient_phone, order.recipient_address).where(order.id == order_id)
    if found := (await session.execute(query)).one_or_none():
        await seen(session, person, _where(found.recipient_phone, found.recipient_address), at)


async def seen_as_customers(session: AsyncSession, persons: set[str], at: datetime) -> None:
    """By the phone and the address that those of them have who are customers."""
    ids = {customer_id: person for person in persons if (customer_id := customer_id_of(person))}
    for each in await session.scalars(select(models.Customer).where(models.Customer.id.in_(ids))):
        await seen(session, ids[each.id], _where(each.phone, each.address), at)


def _where(phone: str, address: str) -> dict[str, str]:
    return {
        Signal.PHONE: blind_index(phone, "energy.phone"),
        Signal.RECIPIENT_ADDRESS: blind_index(address, "energy.recipient_address"),
    }
