"""Leases by name: what only one of several processes does at a time, and another one goes on with when it dies."""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import token_hex

from sqlalchemy import or_, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from storage.engine import WRITES, insert
from storage.tables import Base


class LeaseRow(Base):
    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str]
    until: Mapped[datetime]


class Lease:
    """One process's wish for the lease ``name``."""

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine = engine.execution_options(**WRITES)
        self._name = name
        self._token = token_hex(16)

    async def hold(self, lasts: timedelta, now: datetime) -> bool:
        """Takes it, or keeps it, for so long from ``now`` on; False while it is somebody else's."""
        async with AsyncSession(self._engine) as session, session.begin():
            taken = insert(session, LeaseRow).values(name=self._name, token=self._token, until=now + lasts)
            free = or_(LeaseRow.until <= now, LeaseRow.token == self._token)
            changed = {"token": taken.excluded.token, "until": taken.excluded.until}
            mine = taken.on_conflict_do_update(index_elements=["name"], set_=changed, where=free)
            return await session.scalar(mine.returning(LeaseRow.name)) is not None

    async def give_back(self, now: datetime) -> None:
        """The next one need not wait."""
        async with AsyncSession(self._engine) as session, session.begin():
            row = LeaseRow
            mine = update(row).where(row.name == self._name, row.token == self._token).values(until=now)
            await session.execute(mine, execution_options={"synchronize_session": False})
