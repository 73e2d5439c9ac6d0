"""The pieces of an album come at once, each by itself and to any gateway: they wait in the database until it is whole.

A piece is acknowledged when it is there. Whoever gathers an album takes all its pieces at once, and has them until its
lease is over; then another one takes the same pieces, which are the same message.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from aiogram.exceptions import AiogramError
from aiogram.types import Update
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import Damaged, EncryptedText, KeyedHash, damaged_as, exact_index
from storage import WRITES, Base, insert

log = logging.getLogger(__name__)

ALBUM_SECONDS = 1.0
"""In which another piece of an album comes, if there is one."""

LOOK_SECONDS = 2.0
"""Between looks for what another gateway has left."""

LEASE = timedelta(seconds=15)

KNOWN = timedelta(days=1)
"""For which a piece is known that Telegram brings again."""

TROUBLE = (AiogramError, TypeError, SQLAlchemyError, OSError)


class AlbumPiece(Base):
    __tablename__ = "telegram_album_piece"

    id: Mapped[int] = mapped_column(primary_key=True)
    album: Mapped[str] = mapped_column(KeyedHash(), index=True)
    name: Mapped[str] = mapped_column(KeyedHash(), unique=True)  # of the update
    content: Mapped[str | None] = mapped_column(EncryptedText("telegram_album_piece.content"))  # JSON; none when taken
    came_at: Mapped[datetime]
    batch: Mapped[str | None]  # those that are one message
    lease_until: Mapped[datetime | None]


class Albums:
    def __init__(self, engine: AsyncEngine, take: Callable[[Sequence[Mapping[str, Any]]], Awaitable[None]]) -> None:
        """``take`` writes the pieces of an album down as one message."""
        self._engine = engine
        self._writing = engine.execution_options(**WRITES)
        self._take = take
        self._woken = asyncio.Event()

    async def add(self, album: tuple[int, str], piece: Update, raw: Mapping[str, Any]) -> None:
        """It is written down when this returns."""
        now = datetime.now(UTC)
        values = {
            "album": exact_index(" ".join(map(str, album)), "telegram.album"),
            "name": exact_index(str(piece.update_id), "telegram.update"),
            "content": json.dumps(raw, ensure_ascii=False),
            "came_at": now,
        }
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(insert(session, AlbumPiece).values(values).on_conflict_do_nothing())
        self._woken.set()

    async def keep_gathering(self) -> None:
        """Until cancelled; any number of processes may."""
        while True:
            self._woken.clear()
            pause = LOOK_SECONDS
            try:
                if await self._gather():
                    pause = ALBUM_SECONDS / 4
            except TROUBLE as error:
                log.warning("an album waits (%s)", type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

    async def _gather(self) -> bool:
        """Whether there is one that may not be whole yet."""
        row, now = AlbumPiece, datetime.now(UTC)
        waiting = row.content.is_not(None)
        latest = select(row.album, func.max(row.came_at)).where(waiting, row.batch.is_(None)).group_by(row.album)
        left = select(row.batch).where(waiting, row.lease_until <= now).distinct()
        async with AsyncSession(self._engine) as session:
            albums = [(album, at) for album, at in await session.execute(latest)]
            batches = (await session.scalars(left)).all()
        whole = [album for album, at in albums if at <= now - timedelta(seconds=ALBUM_SECONDS)]
        for album in whole:
            batch = token_hex(8)
            await self._have(batch, row.album == album, row.batch.is_(None))
        for batch in filter(None, batches):
            await self._have(batch, row.batch == batch, row.lease_until <= now)
        return len(whole) < len(albums)

    async def _have(self, batch: str, *which: Any) -> None:
        """Takes these pieces, if nobody else has by now."""
        row, now = AlbumPiece, datetime.now(UTC)
        mine = update(row).where(*which, row.content.is_not(None)).values(batch=batch, lease_until=now + LEASE)
        as_it_is = {"synchronize_session": False}
        async with AsyncSession(self._writing) as session, session.begin():
            numbers = (await session.scalars(mine.returning(row.id), execution_options=as_it_is)).all()
            with damaged_as(""):
                found = (await session.scalars(select(row.content).where(row.id.in_(numbers)))).all()
        if not numbers:
            return
        pieces = [json.loads(each) for each in found if each and not isinstance(each, Damaged)]
        if pieces:
            await self._take(sorted(pieces, key=lambda each: int(each["update_id"])))
        done = update(row).where(row.batch == batch).values(content=None, lease_until=None)
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(done, execution_options=as_it_is)
            await session.execute(delete(row).where(row.content.is_(None), row.came_at < now - KNOWN))
