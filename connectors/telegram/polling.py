"""Fetches what people wrote, for a house that Telegram cannot reach. What was not written down is fetched again:
Telegram forgets an update only when one behind it is asked for."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramRetryAfter, TelegramUnauthorizedError
from aiogram.methods import GetUpdates, TelegramMethod
from aiogram.types import Update
from sqlalchemy.exc import SQLAlchemyError

from connectors.telegram.albums import ALBUM_SECONDS
from connectors.telegram.intake import Intake, grouped
from connectors.telegram.updates import ALLOWED, album
from storage import Lease

log = logging.getLogger(__name__)

POLL_SECONDS = 25
"""For which Telegram keeps a request open until somebody writes."""

LEASE = timedelta(seconds=60)
"""After which another gateway goes on where one has died."""

LOOK_SECONDS = 5.0
"""Between two looks of a gateway that does not poll."""

PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds after failures in a row; the last one repeats."""

MOST = 100
"""Updates that Telegram gives at once."""

TROUBLE = (AiogramError, TypeError, SQLAlchemyError, OSError)


class RawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """Each is read by itself: one that aiogram does not understand would hold up all the others."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = GetUpdates.__api_method__

    offset: int | None
    timeout: int
    allowed_updates: list[str]
    limit: int = MOST


class Polling:
    def __init__(self, bot: Bot, intake: Intake, lease: Lease) -> None:
        self._bot = bot
        self._intake = intake
        self._lease = lease
        self._failures = 0
        self.refused = False  # the bot's token, the last time

    @property
    def failing(self) -> bool:
        return self._failures >= len(PAUSES) - 1

    async def run(self) -> None:
        """Until cancelled. Of several processes one polls, and the others wait for it to die."""
        offset: int | None = None
        mine = False
        try:
            while True:
                try:
                    held = await self._lease.hold(LEASE, datetime.now(UTC))
                    if held and not mine:
                        await self._bot.delete_webhook()  # with one Telegram gives nothing to who asks
                        offset = None  # another one has gone on meanwhile
                    mine = held
                    if mine:
                        offset = await self._round(offset)
                    self._failures, self.refused = 0, False
                except TROUBLE as error:
                    await asyncio.sleep(self._failed(error))
                else:
                    if not mine:
                        await asyncio.sleep(LOOK_SECONDS)
        finally:
            if mine:
                await self._lease.give_back(datetime.now(UTC))

    def _failed(self, error: Exception) -> float:
        """For how many seconds to rest."""
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        self.refused = isinstance(error, TelegramUnauthorizedError)
        log.warning("Telegram gives no messages (%s), asking again", type(error).__name__)
        return max(pause, float(error.retry_after)) if isinstance(error, TelegramRetryAfter) else pause

    async def _round(self, offset: int | None) -> int | None:
        """Writes down what has come; from where to ask on."""
        raw = await self._fetch(offset, POLL_SECONDS)
        updates = self._read(raw)
        while len(raw) < MOST and any(map(album, updates)):
            await asyncio.sleep(ALBUM_SECONDS)
            more = await self._fetch(offset, 0)
            if len(more) <= len(raw):
                break
            raw, updates = more, self._read(more)
        for pieces in grouped(updates):
            await self._intake.take(pieces)
        return max(int(one["update_id"]) for one in raw) + 1 if raw else offset

    def _read(self, raw: list[dict[str, Any]]) -> list[Update]:
        return [update for one in raw if (update := self._intake.parse(one))]

    async def _fetch(self, offset: int | None, seconds: int) -> list[dict[str, Any]]:
        request = RawUpdates(offset=offset, timeout=seconds, allowed_updates=ALLOWED)
        return await self._bot(request, request_timeout=seconds + 10)
