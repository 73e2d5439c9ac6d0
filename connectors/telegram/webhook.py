"""The door by which Telegram brings what people wrote. It is told that a message has come when that is written down:
until then Telegram brings it again."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiogram import Bot
from aiogram.exceptions import AiogramError
from aiogram.types import Update, WebhookInfo
from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.telegram.albums import Albums
from connectors.telegram.intake import Intake
from connectors.telegram.updates import ALLOWED, album

log = logging.getLogger(__name__)

PATH = "/telegram/webhook"
HEADER = "X-Telegram-Bot-Api-Secret-Token"

LOOK_SECONDS = 300.0
"""Between two looks whether Telegram still knows the door; after a failure it is sooner."""

SOON_SECONDS = 15.0

LATELY = timedelta(minutes=10)
"""For which a delivery that failed is worth a warning."""


class Webhook:
    def __init__(self, bot: Bot, intake: Intake, engine: AsyncEngine, secret: str, public_url: str) -> None:
        self._bot = bot
        self._intake = intake
        self._secret = secret
        self._url = f"{public_url}{PATH}"
        self._albums = Albums(engine, self._take_album)
        self.failing = False

    def router(self) -> APIRouter:
        router = APIRouter()

        @router.post(PATH, include_in_schema=False)
        async def update(request: Request) -> Response:
            told = request.headers.get(HEADER, "").encode("utf-8", "surrogatepass")
            if not hmac.compare_digest(told, self._secret.encode()):
                raise HTTPException(401)
            try:
                raw = json.loads(await request.body())
            except (ValueError, RecursionError):
                raise HTTPException(400) from None
            if not isinstance(raw, dict):
                raise HTTPException(400)
            if found := self._intake.parse(raw):
                try:
                    await self._take(found, raw)
                except (AiogramError, TypeError) as error:
                    log.warning("an update has to come again: %s", type(error).__name__)
                    raise HTTPException(503) from None
            return Response(status_code=200)

        return router

    async def _take(self, update: Update, raw: Mapping[str, Any]) -> None:
        if (key := album(update)) is not None:
            await self._albums.add(key, update, raw)
        else:
            await self._intake.take([update])

    async def _take_album(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        await self._intake.take([found for raw in pieces if (found := self._intake.parse(raw))])

    async def run(self) -> None:
        """Until cancelled: gathers albums, and sees to it that Telegram knows the door."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._albums.keep_gathering())
            tasks.create_task(self._keep_known())

    async def _keep_known(self) -> None:
        while True:
            try:
                info = await self._bot.get_webhook_info()
                if info.url != self._url or self._failed_lately(info):
                    await self._bot.set_webhook(self._url, secret_token=self._secret, allowed_updates=ALLOWED)
                self.failing = self._failed_lately(info)
            except (AiogramError, TypeError, OSError) as error:
                log.warning("Telegram was not told of the webhook: %s", type(error).__name__)
                self.failing = True
            await asyncio.sleep(SOON_SECONDS if self.failing else LOOK_SECONDS)

    def _failed_lately(self, info: WebhookInfo) -> bool:
        when = info.last_error_date
        return info.url == self._url and when is not None and datetime.now(UTC) - when < LATELY
