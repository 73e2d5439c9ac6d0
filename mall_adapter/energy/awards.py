"""From what a friend did to what is earned for it: the row of the table, the most of a day, what is looked at first."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import people
from mall_adapter.energy import checks, ledger, referrals
from mall_adapter.energy.names import customer_id_of, earns
from mall_adapter.energy.rules import Earned, EnergyRules, Row
from mall_adapter.models.energy import EnergyLot, EnergyReferral
from settings import SHANGHAI
from storage import EventRow


async def award(
    session: AsyncSession,
    rules: EnergyRules,
    referral: EnergyReferral,
    event: Earned,
    channel: str,
    at: datetime,
    now: datetime,
    *,
    conversion_id: int | None = None,
    order_id: str | None = None,
) -> None:
    """Those earn it by whom the person of ``referral`` came to the card. A person earns something once for each event
    and level, whoever brought them, and however often it is told."""
    invitee = referral.person
    earning = [
        (level, person, row)
        for level, person in await referrals.before(session, referral)
        if earns(person) and person != invitee and (row := rules.row(event, channel, level)) and row.points
    ]
    if not earning:
        return
    accounts = await ledger.hold(session, *(person for _, person, _ in earning))
    path = await referrals.path(session, referral.sharer)
    if order_id is not None:
        await referrals.seen_as_customers(session, path, at)
        await referrals.seen_buying(session, invitee, order_id, at)
    common = await checks.of_path(session, rules.hold, event, invitee, path, referral.at, at)
    for level, person, row in earning:
        points = min(row.points, await _left(session, rules, person, referral.card_id, at))
        if points <= 0:
            continue
        new = ledger.NewLot(
            person=person,
            invitee=invitee,
            event=event,
            level=level,
            rule=row.name,
            channel=channel,
            card_id=referral.card_id,
            cause=f"{event}:{level}:{invitee}",
            points=points,
            reasons=[*common, *await checks.of_person(session, rules.hold, person, at)],
            earned_at=at,
            frozen_until=_frozen_until(row, at),
            expires_at=rules.expires(at),
            forward_id=referral.forward_id,
            conversion_id=conversion_id,
            order_id=order_id,
        )
        await ledger.earn(session, accounts[person], new, now)


async def is_new_member(session: AsyncSession, person: str, since: datetime) -> bool:
    """Whether no account of the customer had been bound before they came."""
    customer_id = customer_id_of(person)
    if customer_id is None:
        return False
    row, subject = EventRow, f"principal:{people.principal_of(customer_id)}"
    known = exists().where(row.kind == people.AccountBound.kind, row.subject == subject, row.at < since)
    return not await session.scalar(select(known))


def day_of(at: datetime) -> tuple[datetime, datetime]:
    """The day of Asia/Shanghai that ``at`` is in: its first moment, and that of the next."""
    day = at.astimezone(SHANGHAI).date()
    begin = datetime.combine(day, time.min, SHANGHAI)
    return begin, datetime.combine(day + timedelta(days=1), time.min, SHANGHAI)


async def _left(session: AsyncSession, rules: EnergyRules, person: str, card_id: str, at: datetime) -> int:
    """What the person may still earn by the card on that day."""
    lot = EnergyLot
    begin, end = day_of(at)

    async def earned(*which: ColumnElement[bool]) -> int:
        query = select(func.coalesce(func.sum(lot.points), 0))
        today = lot.person == person, lot.card_id.is_not(None), lot.earned_at >= begin, lot.earned_at < end
        return int(await session.scalar(query.where(*today, *which)) or 0)

    of_card = rules.most.a_card_a_day - await earned(lot.card_id == card_id)
    return min(of_card, rules.most.a_day - await earned())


def _frozen_until(row: Row, at: datetime) -> datetime | None:
    return None if row.held_back == "order" else at + timedelta(days=row.held_back)
