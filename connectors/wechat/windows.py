"""How many messages a person may be sent, which WeChat grants for what they do, and counts.

A message of theirs gives five within 48 hours; a tap on the menu, a scan or following gives three within a minute. What
is told in reply to a message, in the same request, costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.wechat.parsing import Given
from connectors.wechat.tables import Grant, Nudge
from privacy.columns import exact_index
from storage import WRITES, insert

GRANTS: Mapping[Given, tuple[int, timedelta]] = {
    "message": (5, timedelta(hours=48)),
    "tap": (3, timedelta(minutes=1)),
}


class Windows:
    def __init__(self, engine: AsyncEngine) -> None:
        self._reading = engine
        self._writing = engine.execution_options(**WRITES)

    async def open(self, account: str, given: Given, at: datetime) -> None:
        """By what the person did at that time; told of the same again, it grants nothing more."""
        count, lasts = GRANTS[given]
        new = {"since": at, "until": at + lasts, "left": count}
        async with AsyncSession(self._writing) as session, session.begin():
            row = insert(session, Grant).values(person=person_of(account), kind=given, **new)
            later = Grant.since < at
            await session.execute(row.on_conflict_do_update(index_elements=["person", "kind"], set_=new, where=later))
            await session.execute(delete(Nudge).where(Nudge.person == person_of(account)))

    async def take(self, account: str, now: datetime) -> str | None:
        """One message of the grant that ends first, by its kind; None where there is none."""
        good = (Grant.person == person_of(account), Grant.left > 0, Grant.until > now)
        first = select(Grant.kind).where(*good).order_by(Grant.until).limit(1).scalar_subquery()
        taken = update(Grant).where(*good, Grant.kind == first).values(left=Grant.left - 1).returning(Grant.kind)
        async with AsyncSession(self._writing) as session, session.begin():
            kind: str | None = await session.scalar(taken, execution_options={"synchronize_session": False})
        return kind

    async def give_back(self, account: str, kind: str) -> None:
        """It was not sent."""
        back = update(Grant).where(Grant.person == person_of(account), Grant.kind == kind).values(left=Grant.left + 1)
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(back, execution_options={"synchronize_session": False})

    async def shut(self, account: str) -> None:
        """WeChat counts otherwise: nothing is left."""
        none = update(Grant).where(Grant.person == person_of(account)).values(left=0)
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(none, execution_options={"synchronize_session": False})

    async def is_nudged(self, account: str) -> bool:
        async with AsyncSession(self._reading) as session:
            return await session.get(Nudge, person_of(account)) is not None

    async def nudged(self, account: str, now: datetime) -> None:
        async with AsyncSession(self._writing) as session, session.begin():
            row = insert(session, Nudge).values(person=person_of(account), at=now)
            await session.execute(row.on_conflict_do_nothing())


def person_of(account: str) -> str:
    """Under which the database knows them."""
    return exact_index(account, "wechat.person")
