"""What happens to cards, read in its order, and what of it somebody earns: nothing is missed or earned twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter.energy import ledger, referrals
from mall_adapter.energy.awards import award, is_new_member
from mall_adapter.energy.persons import become, current
from mall_adapter.energy.rules import Earned, EnergyRules
from mall_adapter.models.energy import EnergyCard, EnergyLot
from storage import EventRow, insert, read_events

READER = "energy"
MADE, FORWARDED, ENDED = "card.made", "card.forwarded", "card.forward_ended"
BOUND, CONVERTED, REVERSED = "card.person_bound", "card.converted", "card.conversion_reversed"
KINDS = (MADE, FORWARDED, ENDED, BOUND, CONVERTED, REVERSED)


async def read_on(engine: AsyncEngine, rules: EnergyRules, now: datetime) -> bool:
    """Reads the next events and writes down what is earned; whether there may be more. Any number may read at once:
    each goes on where the last one ended."""

    async def take(session: AsyncSession, event: EventRow) -> None:
        await _take(session, rules, event, now)

    return await read_events(engine, READER, KINDS, take)


async def _take(session: AsyncSession, rules: EnergyRules, event: EventRow, now: datetime) -> None:
    told: dict[str, Any] = event.data
    match event.kind:
        case kind if kind == MADE:
            new = insert(session, EnergyCard).values(card_id=told["card_id"], owner=told["owner"])
            await session.execute(new.on_conflict_do_nothing())
        case kind if kind == FORWARDED:
            await _forwarded(session, rules, event, now)
        case kind if kind == ENDED:
            await _ended(session, told, now)
        case kind if kind == BOUND:
            await _bound(session, rules, event, now)
        case kind if kind == CONVERTED:
            await _converted(session, rules, event, now)
        case _:
            await _reversed(session, event, now)


async def _forwarded(session: AsyncSession, rules: EnergyRules, event: EventRow, now: datetime) -> None:
    told: dict[str, Any] = event.data
    sharer, opener = await current(session, told["sharer"]), await current(session, told["opener"])
    if sharer == opener:
        return
    card_id, channel, forward_id = told["card_id"], told["channel"], told["forward_id"]
    await referrals.came(session, forward_id, card_id, opener, sharer, channel, event.at)
    await referrals.seen(session, opener, told.get("signals", {}), event.at)
    referral = await referrals.to_card(session, card_id, opener)
    if told["new_person"] and referral is not None and referral.forward_id == forward_id:
        await award(session, rules, referral, Earned.OPENING, channel, event.at, now)


async def _ended(session: AsyncSession, told: dict[str, Any], now: datetime) -> None:
    """Who declines to be recorded takes their opening with them; of people who turned out to be one nothing stays."""
    declined = told["reason"] == "declined"
    await referrals.ended(session, told["forward_id"], forget=declined)
    lot = EnergyLot
    theirs = select(lot).where(lot.forward_id == told["forward_id"])
    if declined:
        theirs = theirs.where(lot.event == Earned.OPENING)
    cause = f"forward:{told['forward_id']}"
    await _take_back(session, (await session.scalars(theirs)).all(), ledger.WHOLE_BPS, cause, now)


async def _bound(session: AsyncSession, rules: EnergyRules, event: EventRow, now: datetime) -> None:
    was, person = event.data["account"], await current(session, event.data["customer"])
    referral = await referrals.first_of(session, was)
    came_at = referral.at if referral else event.at
    await become(session, was, person, f"event:{event.id}", now)
    referral = await referrals.first_of(session, person)
    if referral is not None and referral.at == came_at and await is_new_member(session, person, came_at):
        await award(session, rules, referral, Earned.BIND, referral.channel, event.at, now)


async def _converted(session: AsyncSession, rules: EnergyRules, event: EventRow, now: datetime) -> None:
    told: dict[str, Any] = event.data
    if not told["first_order"]:
        return
    person = await current(session, told["person"])
    referral = await referrals.to_card(session, told["card_id"], person)
    if referral is not None:
        of_order = {"conversion_id": told["conversion_id"], "order_id": told["order_id"]}
        await award(session, rules, referral, Earned.ORDER, told["channel"], event.at, now, **of_order)


async def _reversed(session: AsyncSession, event: EventRow, now: datetime) -> None:
    told: dict[str, Any] = event.data
    theirs = select(EnergyLot).where(EnergyLot.conversion_id == told["conversion_id"])
    lots = (await session.scalars(theirs)).all()
    await _take_back(session, lots, told["share_bps"], f"event:{event.id}", now)


async def _take_back(
    session: AsyncSession, lots: Sequence[EnergyLot], share_bps: int, cause: str, now: datetime
) -> None:
    accounts = await ledger.hold(session, *{lot.person for lot in lots}) if lots else {}
    for lot in sorted(lots, key=lambda each: each.id):
        await session.refresh(lot)  # as it is now that nobody else moves it
        await ledger.reverse(session, accounts[lot.person], lot, share_bps, cause, now)
