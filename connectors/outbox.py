"""Takes what happens at the service desk through the bot to the customer: written first, told until it is recorded.

Several gateways may tell the same thing at once: the bot records each message id once, and each gateway goes on only
when the one before was recorded, so the order stays.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from connectors.bot_client import BotClient, BotUnavailable
from mall_adapter import Desk

log = logging.getLogger(__name__)

TROUBLE = (BotUnavailable, SQLAlchemyError, OSError)
PAUSE = 3.0
"""Seconds between looks for what an earlier try, or a gateway that died, has left."""


class Outbox:
    def __init__(self, desk: Desk, bot: BotClient) -> None:
        self._desk = desk
        self._bot = bot

    async def send(self, sender: str) -> None:
        """Everything that waits for this sender, in order. Raises BotUnavailable; it still waits then."""
        for dispatch in await self._desk.undelivered(sender):
            recorded = await self._bot.tell(dispatch)
            messages = [message.model_dump(exclude_unset=True) for message in recorded.messages]
            await self._desk.delivered(dispatch, messages)

    async def send_soon(self, sender: str, seconds: float = 2.0) -> None:
        """As much as can be done now; the rest follows by itself."""
        try:
            async with asyncio.timeout(seconds):
                await self.send(sender)
        except TROUBLE as error:
            log.warning("the bot is told later (%s)", type(error).__name__)

    async def keep_sending(self) -> None:
        """Until cancelled."""
        while True:
            try:
                waiting = await self._desk.undelivered()
            except TROUBLE as error:
                log.warning("the desk's news wait (%s)", type(error).__name__)
                waiting = ()
            for sender in dict.fromkeys(dispatch.sender for dispatch in waiting):
                await self.send_soon(sender, seconds=20.0)  # one that fails does not hold back the others
            await asyncio.sleep(PAUSE)
