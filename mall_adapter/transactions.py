"""One transaction around each request to the mall."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from privacy.columns import damaged_as
from storage import WRITES, Command, once

Answer = TypeVar("Answer")
Clock = Callable[[], datetime]

UNREADABLE = "（暂时无法显示）"
"""What customers see in place of words that do not open: they go on without them."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Transactions:
    """``clock`` gives the aware present."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._sessions = async_sessionmaker(engine)
        self._writing_sessions = async_sessionmaker(engine.execution_options(**WRITES))
        self.engine = engine
        self.clock = clock

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        with damaged_as(UNREADABLE):
            async with self._sessions() as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        with damaged_as(UNREADABLE):
            async with self._writing_sessions.begin() as session:
                yield session

    async def once(
        self,
        caller: str,
        key: str,
        name: str,
        request: Mapping[str, Any],
        answer: type[Answer],
        do: Callable[[AsyncSession, datetime], Awaitable[Answer]],
    ) -> Answer:
        """:func:`storage.once` in a transaction of its own."""
        async with self.writing() as session:
            now = self.clock()
            return await once(session, Command(caller, key, name, request), answer, now, partial(do, session, now))
