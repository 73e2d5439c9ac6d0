"""What kind of account it is, as far as WeChat's answers tell: which calls it does not have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.wechat.tables import Refusal
from privacy.columns import exact_index
from storage import WRITES, insert

SENDING = "message/custom/send"
MENUS = "msgmenu"
"""Customer-service messages at all, and those with lines to tap."""

TEMPLATES = "message/template/send"
SUBSCRIBED = "message/subscribe/bizsend"
"""Template and subscription notices."""

REMEMBERED = timedelta(days=1)
"""Then it is tried again: accounts are verified, and upgraded."""


class Account:
    """What is known is in memory; :meth:`refresh` brings what other processes have learned."""

    def __init__(self, engine: AsyncEngine, app_id: str) -> None:
        self._engine = engine
        self._app = app_index(app_id)
        self._refused: set[str] = set()

    def may(self, call: str) -> bool:
        return call not in self._refused

    async def refresh(self) -> None:
        query = select(Refusal.call).where(Refusal.app == self._app, Refusal.until > datetime.now(UTC))
        async with AsyncSession(self._engine) as session:
            self._refused = set((await session.scalars(query)).all())

    async def refused(self, call: str) -> None:
        """WeChat has said so."""
        self._refused.add(call)
        until = datetime.now(UTC) + REMEMBERED
        async with AsyncSession(self._engine.execution_options(**WRITES)) as session, session.begin():
            known = insert(session, Refusal).values(app=self._app, call=call, until=until)
            await session.execute(known.on_conflict_do_update(index_elements=["app", "call"], set_={"until": until}))


def app_index(app_id: str) -> str:
    """Under which the database knows the account."""
    return exact_index(app_id, "wechat.app")
