"""Events of cards, as they are recorded with what happens to a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter.energy import energy_rules, read_on
from mall_adapter.models.energy import EnergyAccount, EnergyEntry, EnergyLot, Place
from storage import WRITES, EventRow, Role

CARD = "CARD1"

OWNER = "staff:P-sales"


class Cards:
    """Writes events and lets the ledger read them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._numbers = count(1)

    async def tell(self, kind: str, at: datetime, **data: Any) -> None:
        row = {"kind": kind, "subject": f"card:{data.get('card_id', CARD)}", "at": at, "role": Role.CUSTOMER}
        told = data | {"at": at.isoformat()}
        async with AsyncSession(self.engine.execution_options(**WRITES)) as session, session.begin():
            session.add(EventRow(**row, data=told, principal_id=None, channel=None, region=None))

    async def opened(
        self,
        sharer: str,
        opener: str,
        at: datetime,
        *,
        channel: str = "web",
        card_id: str = CARD,
        new: bool = True,
        signals: Mapping[str, str] | None = None,
    ) -> int:
        number = next(self._numbers)
        told = {"forward_id": number, "card_id": card_id, "sharer": sharer, "opener": opener, "channel": channel}
        await self.tell("card.forwarded", at, **told, depth=1, new_person=new, signals=dict(signals or {}))
        return number

    async def bound(self, account: str, customer: str, at: datetime) -> None:
        await self.tell("card.person_bound", at, account=account, customer=customer)

    async def bought(
        self, person: str, order_id: str, at: datetime, *, channel: str = "web", first: bool = True, card_id: str = CARD
    ) -> int:
        number = next(self._numbers)
        told = {"conversion_id": number, "card_id": card_id, "forward_id": 1, "person": person, "order_id": order_id}
        await self.tell("card.converted", at, **told, paid_cents=10_000, channel=channel, depth=1, first_order=first)
        return number

    async def came_back(self, conversion_id: int, share_bps: int, at: datetime) -> None:
        told = {"conversion_id": conversion_id, "order_id": "ORD1", "share_bps": share_bps}
        await self.tell("card.conversion_reversed", at, **told)

    async def read(self, now: datetime) -> None:
        while await read_on(self.engine, energy_rules(), now):
            pass


@dataclass(frozen=True)
class Sums:
    """Of a person, added up from the movements alone."""

    held: int = 0
    pending: int = 0
    active: int = 0
    spent: int = 0
    expired: int = 0
    reversed: int = 0
    refused: int = 0
    owed: int = 0


async def sums(engine: AsyncEngine, person: str) -> Sums:
    """Also that what stands beside lots and accounts is what the movements add up to, and that no point is lost."""
    async with AsyncSession(engine) as session:
        found = dict.fromkeys(Place, 0)
        for lot in (await session.scalars(select(EnergyLot).where(EnergyLot.person == person))).all():
            places = dict.fromkeys(Place, 0)
            for entry in await session.scalars(select(EnergyEntry).where(EnergyEntry.lot_id == lot.id)):
                places[entry.target] += entry.points
                if entry.source is not None:
                    places[entry.source] -= entry.points
            assert min(places.values()) >= 0
            assert sum(places.values()) == lot.points
            beside = (lot.held, lot.pending, lot.active, lot.owed)
            assert beside == tuple(places[each] for each in (Place.HELD, Place.PENDING, Place.ACTIVE, Place.OWED))
            for place, points in places.items():
                found[place] += points
        account = await session.get(EnergyAccount, person)
        assert (account.balance if account else 0) == found[Place.ACTIVE] - found[Place.OWED]
        return Sums(**{str(place): points for place, points in found.items()})


async def reasons(engine: AsyncEngine) -> list[list[str]]:
    """Of the lots, in the order in which they were earned."""
    async with AsyncSession(engine) as session:
        return list(await session.scalars(select(EnergyLot.reasons).order_by(EnergyLot.id)))
