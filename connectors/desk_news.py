"""Takes what happens at the service desk through the bot to the customer: written first, told until it is recorded.

Several gateways may do so at once: each takes what it tells out of the storage's outbox for a while, the next of each
sender only, so the order stays. What a gateway that died had taken, another one takes later; the bot records each
message id once. What a customer of a channel is to see of it then waits in the outbox for that channel.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.bot_client import BotClient, BotUnavailable
from connectors.messages import BotMessage
from mall_adapter import Desk
from mall_adapter.handoff import Dispatch

log = logging.getLogger(__name__)

TROUBLE = (SQLAlchemyError, OSError)
PAUSE = 3.0
"""Seconds between looks for what an earlier try, or a gateway that died, has left."""


class Onward(Protocol):
    async def __call__(self, session: AsyncSession, sender: str, name: str, messages: Sequence[BotMessage]) -> None:
        """Has a channel send to a sender what the bot says, under a name, in that transaction."""


class DeskNews:
    def __init__(self, desk: Desk, bot: BotClient, onward: Onward, sent: Callable[[], None]) -> None:
        """``sent`` is called when something waits for a channel."""
        self._desk = desk
        self._bot = bot
        self._onward = onward
        self._sent = sent
        self._sending: set[asyncio.Task[None]] = set()

    async def send_soon(self, sender: str, seconds: float = 2.0) -> None:
        """What waits for this sender; after so many seconds it goes on without the caller."""
        task = asyncio.create_task(self._send_everything(sender))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        await asyncio.wait({task}, timeout=seconds)

    async def keep_sending(self) -> None:
        """Until cancelled."""
        while True:
            await self._send_everything()
            await asyncio.sleep(PAUSE)

    async def _send_everything(self, sender: str | None = None) -> None:
        """All that can be sent now, in the order of each sender; the rest follows by itself."""
        try:
            while taken := await self._desk.dispatches(sender):
                await asyncio.gather(*map(self._send, taken))
        except TROUBLE as error:
            log.warning("the desk's news wait (%s)", type(error).__name__)

    async def _send(self, dispatch: Dispatch) -> None:
        try:
            recorded = await self._bot.tell(dispatch)
        except BotUnavailable as error:
            log.warning("the bot is told later (%s)", error)
            await self._desk.not_delivered(dispatch, type(error).__name__)
        else:
            messages = [message.model_dump(exclude_unset=True) for message in recorded.messages]
            name = f"desk-{dispatch.position}"
            onward = partial(self._onward, sender=dispatch.sender, name=name, messages=recorded.messages)
            await self._desk.delivered(dispatch, messages, onward)
            self._sent()
