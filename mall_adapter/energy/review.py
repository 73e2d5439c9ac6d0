"""What a colleague looks at before it counts: awards that are held, with why, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import binding_codes, permissions
from mall_adapter.energy import ledger
from mall_adapter.energy.names import customer_id_of
from mall_adapter.energy.persons import names
from mall_adapter.errors import InvalidTransition, NotFound, NotPermitted
from mall_adapter.models.energy import EnergyEntry, EnergyLot, Place
from mall_adapter.people import principal_of
from storage import Actor, Event, record


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyJudged(Event):
    """``subject`` is the lot: "energy:7"."""

    kind: ClassVar[str] = "energy_judged"
    points: int
    approved: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Names are masked; None where nobody knows who they are."""

    id: int
    person: str | None
    invitee: str | None
    event: str
    level: int | None
    channel: str | None
    points: int
    reasons: Sequence[str]
    earned_at: datetime
    order_id: str | None
    earlier: int  # awards of the same person, all of them
    refused: int  # of those


async def held(session: AsyncSession, actor: Actor, limit: int) -> Sequence[Held]:
    """Those that wait the longest first."""
    permissions.check(actor, "judge_energy")
    lot, entry = EnergyLot, EnergyEntry
    waiting = select(lot).where(lot.held > 0).order_by(lot.earned_at, lot.id).limit(limit)
    lots = (await session.scalars(waiting)).all()
    persons = {each.person for each in lots}
    counted = select(lot.person, func.count()).where(lot.person.in_(persons)).group_by(lot.person)
    all_of = {str(person): int(number) for person, number in (await session.execute(counted)).all()}
    turned_down = counted.join(entry, entry.lot_id == lot.id).where(entry.target == Place.REFUSED)
    refused = {str(person): int(number) for person, number in (await session.execute(turned_down)).all()}
    known = await names(session, persons | {each.invitee for each in lots if each.invitee})
    return [
        Held(
            id=each.id,
            person=_masked(known.get(each.person)),
            invitee=_masked(known.get(each.invitee or "")),
            event=each.event,
            level=each.level,
            channel=each.channel,
            points=each.points,
            reasons=each.reasons,
            earned_at=each.earned_at,
            order_id=each.order_id,
            earlier=all_of[each.person],
            refused=refused.get(each.person, 0),
        )
        for each in lots
    ]


async def decide(session: AsyncSession, actor: Actor, lot_id: int, approved: bool, now: datetime) -> None:
    """Raises NotFound, InvalidTransition where somebody has decided, and NotPermitted for one's own."""
    permissions.check(actor, "judge_energy")
    lot = await session.get(EnergyLot, lot_id)
    if lot is None:
        raise NotFound(str(lot_id))
    customer_id = customer_id_of(lot.person)
    if customer_id and actor.principal_id == principal_of(customer_id):
        raise NotPermitted("nobody decides on their own energy")
    account = (await ledger.hold(session, lot.person))[lot.person]
    await session.refresh(lot)
    points = lot.held
    if not points:
        raise InvalidTransition("it is decided already, or was taken back")
    target = Place.PENDING if approved else Place.REFUSED
    await ledger.judge(session, account, lot, target, actor.principal_id, now)
    record(session, EnergyJudged(subject=f"energy:{lot.id}", points=points, approved=approved), actor, now)


def _masked(name: str | None) -> str | None:
    return binding_codes.mask(name).name if name else None
