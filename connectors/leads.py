"""Leads, behind the requests: what cards and conversations tell of them is read on, and what they say to a salesperson
is passed on to that one's own chat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from connectors.bot_client import BotClient, BotUnavailable
from connectors.desk_news import Onward
from mall_adapter import DeskRules, leads
from storage import WRITES

log = logging.getLogger(__name__)

TROUBLE = (SQLAlchemyError, OSError)

PAUSE = 2.0
SWEEP = 600.0
"""Seconds between looks for those who have fallen silent."""

TALKING_PAUSE = 1.0
"""Seconds between looks for what a lead has said to whoever talks with them."""


async def keep_following(engine: AsyncEngine) -> None:
    """Until cancelled. Several gateways may do it at once."""
    silent, clock = 0.0, asyncio.get_running_loop().time
    while True:
        try:
            while await leads.read_on(engine, datetime.now(UTC)):
                pass
            while await leads.read_conversations(engine, datetime.now(UTC)):
                pass
            if clock() >= silent:
                while await leads.sweep(engine, datetime.now(UTC)):
                    pass
                silent = clock() + SWEEP
        except TROUBLE as error:
            log.warning("leads are followed later (%s)", type(error).__name__)
        await asyncio.sleep(PAUSE)


class LeadTalks:
    """Said by the bot in the salesperson's own conversation, and shown by their channel; each once, as the bot and the
    outbox know it by its name. Several gateways may do it at once."""

    def __init__(
        self, engine: AsyncEngine, bot: BotClient, onward: Onward, sent: Callable[[], None], rules: DeskRules
    ) -> None:
        """``sent`` is called when something waits for a channel."""
        self._engine = engine
        self._writing = async_sessionmaker(engine.execution_options(**WRITES))
        self._bot = bot
        self._onward = onward
        self._sent = sent
        self._rules = rules

    async def keep_passing_on(self) -> None:
        """Until cancelled."""
        while True:
            await self.pass_on()
            await asyncio.sleep(TALKING_PAUSE)

    async def pass_on(self) -> None:
        """What there is now."""
        try:
            news = await leads.talks.due(self._engine, self._rules.idle, datetime.now(UTC))
            await asyncio.gather(*map(self._pass_on, news))
        except TROUBLE as error:
            log.warning("what leads say is passed on later (%s)", type(error).__name__)

    async def _pass_on(self, news: leads.News) -> None:
        try:
            recorded = [
                (name, await self._bot.announce(news.sender, name, response, values))
                for name, response, values in news.said
            ]
        except BotUnavailable as error:
            log.warning("what a lead says is passed on later (%s)", error)
            return
        async with self._writing.begin() as session:
            if await leads.talks.told(session, news, datetime.now(UTC)):
                for name, one in recorded:
                    await self._onward(session, news.sender, name, one.messages)
        if recorded:
            self._sent()
