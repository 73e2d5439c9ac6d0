"""Telegram as a channel of the house: how it is sent to, how its people come in, and what may go wrong with it."""

from __future__ import annotations

import logging
from typing import cast

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError
from aiogram.types import BotCommand
from aiogram.utils.deep_linking import create_deep_link
from aiohttp import ClientError, ClientTimeout
from fastapi import APIRouter

import settings
from connectors.channel import MediaUnavailable, Receive, Shared
from connectors.inbound import Media
from connectors.media import MOST_BYTES
from connectors.rendering import Bubble
from connectors.telegram import NAME
from connectors.telegram.intake import Intake
from connectors.telegram.polling import Polling
from connectors.telegram.sending import CAPABILITIES, Sender, silently
from connectors.telegram.webhook import Webhook
from connectors.telegram.words import WORDS
from storage import Lease
from storage.outbox import Outcome

log = logging.getLogger(__name__)

TIMEOUT = ClientTimeout(total=20, sock_connect=5)
"""Of one call."""

CLOSING_SECONDS = 5.0

FILE_SECONDS = 30
"""For one download."""


class Telegram:
    name = NAME
    capabilities = CAPABILITIES

    def __init__(self, token: str, receive: Receive, shared: Shared) -> None:
        # aiogram hands its time-out to aiohttp, which also takes one that tells connecting from waiting
        session = AiohttpSession(
            api=TelegramAPIServer.from_base(settings.telegram_api_base()), timeout=cast(float, TIMEOUT)
        )
        self._bot = Bot(token, session)
        self._sender = Sender(self._bot, shared.http)
        intake = Intake(self._bot, self._sender, receive)
        self._door: Webhook | Polling
        if shared.public_url.startswith("https://"):
            self._door = Webhook(
                self._bot, intake, shared.engine, settings.telegram_webhook_secret(), shared.public_url
            )
        else:
            self._door = Polling(self._bot, intake, Lease(shared.engine, "telegram.polling"))

    async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
        return await self._sender.send(recipient, bubble)

    async def typing(self, recipient: str) -> None:
        await self._sender.typing(recipient)

    async def check(self) -> list[str]:
        told = WORDS.warnings
        if self._sender.refused or (isinstance(self._door, Polling) and self._door.refused):
            return [told.configuration]
        if self._door.failing:
            return [told.webhook if isinstance(self._door, Webhook) else told.unreachable]
        return []

    def router(self) -> APIRouter | None:
        return self._door.router() if isinstance(self._door, Webhook) else None

    async def listen(self) -> None:
        menu = [BotCommand(command=name, description=command.title) for name, command in WORDS.commands.items()]
        try:
            await silently(self._bot.set_my_commands(menu))
            await self._door.run()
        finally:
            await self._sender.finish(CLOSING_SECONDS)  # what is cut off would have to be sent again
            await self._bot.session.close()

    async def invite(self, scene: str) -> str | None:
        try:
            return create_deep_link((await self._bot.me()).username or "", "start", scene)
        except (AiogramError, TypeError, ValueError, OSError) as error:
            log.warning("nobody can be invited to Telegram now: %s", type(error).__name__)
            return None

    async def fetch(self, media: Media) -> bytes:
        if media.handle is None or (media.size or 0) > MOST_BYTES:
            raise MediaUnavailable
        content = bytearray()
        try:
            file = await self._bot.get_file(media.handle)
            if file.file_path is None:
                raise MediaUnavailable
            address = self._bot.session.api.file_url(self._bot.token, file.file_path)
            async for chunk in self._bot.session.stream_content(address, timeout=FILE_SECONDS):
                content += chunk
                if len(content) > MOST_BYTES:
                    raise MediaUnavailable
        except (AiogramError, ClientError, OSError, TypeError) as error:  # whose text may hold the token
            log.warning("a file of Telegram's cannot be had: %s", type(error).__name__)
            raise MediaUnavailable from None
        return bytes(content)
