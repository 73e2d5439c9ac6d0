"""To which subscription notices people have agreed: each time once, and each time is used up by one notice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.wechat.parsing import Choice
from connectors.wechat.tables import Consent
from connectors.wechat.windows import person_of
from storage import WRITES, insert

REMEMBERED = timedelta(days=1)
"""For which one that was used up is known: WeChat says an event again within a minute."""


class Consents:
    def __init__(self, engine: AsyncEngine) -> None:
        self._writing = engine.execution_options(**WRITES)

    async def note(self, account: str, choices: Sequence[Choice], at: datetime) -> None:
        """What the person has chosen then; told of the same again, it adds nothing."""
        person = person_of(account)
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(delete(Consent).where(Consent.person == person, Consent.used_at < at - REMEMBERED))
            for each in choices:
                if each.agreed:
                    new = insert(session, Consent).values(person=person, template=each.template, given_at=at)
                    await session.execute(new.on_conflict_do_nothing())
                elif each.for_good:
                    mine = (Consent.person == person, Consent.template == each.template, Consent.used_at.is_(None))
                    none = update(Consent).where(*mine, Consent.given_at <= at).values(used_at=at)
                    await session.execute(none, execution_options={"synchronize_session": False})

    async def take(self, account: str, template: str, now: datetime) -> int | None:
        """The number of the oldest one, which is used up from now on; None where there is none."""
        good = (Consent.person == person_of(account), Consent.template == template, Consent.used_at.is_(None))
        oldest = select(Consent.id).where(*good).order_by(Consent.given_at).limit(1).scalar_subquery()
        taken = update(Consent).where(*good, Consent.id == oldest).values(used_at=now).returning(Consent.id)
        async with AsyncSession(self._writing) as session, session.begin():
            number: int | None = await session.scalar(taken, execution_options={"synchronize_session": False})
        return number

    async def give_back(self, number: int) -> None:
        """It was not used."""
        back = update(Consent).where(Consent.id == number).values(used_at=None)
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(back, execution_options={"synchronize_session": False})
