"""Codes by which people who have just come in may be greeted: one for each time, good for twenty seconds."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.wechat.tables import Welcome
from connectors.wechat.windows import person_of
from privacy.columns import Damaged, damaged_as
from storage import WRITES, insert

LASTS = timedelta(seconds=20)


class Welcomes:
    def __init__(self, engine: AsyncEngine) -> None:
        self._reading = engine
        self._writing = engine.execution_options(**WRITES)

    async def keep(self, account: str, code: str, until: datetime, now: datetime) -> None:
        """In place of an earlier one; what is over is forgotten."""
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(delete(Welcome).where(Welcome.until <= now))
            new = insert(session, Welcome).values(person=person_of(account), code=code, until=until)
            changed = {"code": new.excluded.code, "until": new.excluded.until}
            await session.execute(new.on_conflict_do_update(index_elements=["person"], set_=changed))

    async def find(self, account: str, now: datetime) -> str | None:
        query = select(Welcome.code).where(Welcome.person == person_of(account), Welcome.until > now)
        async with AsyncSession(self._reading) as session:
            with damaged_as(""):
                code = await session.scalar(query)
        return None if code is None or isinstance(code, Damaged) else str(code)

    async def end(self, account: str) -> None:
        """It was used, or WeCom does not take it."""
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(delete(Welcome).where(Welcome.person == person_of(account)))
