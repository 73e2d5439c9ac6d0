"""Points that the shop gives by itself: at once there to be spent, and no part of what is earned by cards."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import people
from mall_adapter.energy import ledger
from mall_adapter.energy.names import customer
from settings import SHANGHAI

OFFER = "offer"
"""The ``event`` of a lot that was offered to somebody who worried."""


async def give(
    session: AsyncSession, customer_id: str, points: int, days: int, rule: str, cause: str, now: datetime
) -> None:
    """To the customer, or to whom they were merged into, in the caller's transaction: once for each cause
    ("offer:OF251130123456"), whatever is begun again. Good until ``days`` days of Asia/Shanghai are over."""
    person = customer(await people.held_id(session, customer_id))
    account = (await ledger.hold(session, person))[person]
    last = now.astimezone(SHANGHAI).date() + timedelta(days=days + 1)
    new = ledger.NewLot(
        person=person,
        event=OFFER,
        rule=rule,
        cause=cause,
        points=points,
        reasons=[],
        earned_at=now,
        frozen_until=now,
        expires_at=datetime.combine(last, time.min, SHANGHAI),
    )
    await ledger.earn(session, account, new, now)
