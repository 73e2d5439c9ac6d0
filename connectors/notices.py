"""What the shop says by itself, on its last steps: said by the bot in the conversation, shown by a channel.

It goes to the account by which its customer wrote last, of those that may be written to now. Like the desk's news it is
written down before and after each step, so that a gateway that dies loses nothing and doubles nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from connectors import choices
from connectors.bot_client import BotClient, BotUnavailable
from connectors.channel import Channel
from connectors.messages import Recorded
from connectors.rendering import Occasion, render
from mall_adapter import notices
from mall_adapter.notices import Notice
from storage import WRITES, outbox
from storage.outbox import Dropped, Message, Retry

log = logging.getLogger(__name__)

TROUBLE = (SQLAlchemyError, OSError)

PAUSE = 1.0
"""Seconds between looks for what has happened, and for what is due."""

AGAIN = timedelta(seconds=3)
"""Until a bot that was away is told again."""

SWEEP = 30.0
"""Seconds between looks for goods that are there again."""

DAILY = 3600.0
"""Seconds between looks for coupons that end; each is told of once."""


class NoticeRelay:
    """``readers`` are channels whose people see it in the conversation when they come back; ``sent`` is called when
    something waits for one of the others."""

    def __init__(
        self,
        engine: AsyncEngine,
        bot: BotClient,
        channels: Mapping[str, Channel],
        readers: Collection[str],
        sent: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._reading = async_sessionmaker(engine)
        self._writing = async_sessionmaker(engine.execution_options(**WRITES))
        self._bot = bot
        self._channels = channels
        self._readers = readers
        self._sent = sent

    async def keep_telling(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while taken := await notices.due(self._engine, datetime.now(UTC)):
                    await asyncio.gather(*map(self._tell, taken))
            except TROUBLE as error:
                log.warning("notices wait (%s)", type(error).__name__)
            await asyncio.sleep(PAUSE)

    async def _tell(self, notice: Notice) -> None:
        now = datetime.now(UTC)
        async with self._reading() as session:
            decided = await notices.decide(session, notice, now)
        if not isinstance(decided, Sequence):
            outcome: outbox.Outcome = decided
        elif (sender := self._reached(decided, now)) is None:
            outcome = Dropped("nobody")
        else:
            try:
                recorded = await self._bot.announce(sender, notice.name, notice.response, notice.values)
            except BotUnavailable as error:
                log.warning("notice %d: the bot is told later (%s)", notice.lease.id, error)
                outcome = Retry(type(error).__name__, now + AGAIN)
            else:
                return await self._told(notice, sender, recorded, now)
        async with self._writing.begin() as session:
            await notices.ended(session, notice, outcome)
        return None

    def _reached(self, heard: Sequence[tuple[str, datetime]], now: datetime) -> str | None:
        """The account that was heard last, of those that may be written to now; if there is none, of those that may be
        again when they write."""
        usable = [each for each in heard if _channel(each[0]) in {*self._channels, *self._readers}]
        return next((sender for sender, at in usable if self._open(sender, at, now)), usable[0][0] if usable else None)

    def _open(self, sender: str, at: datetime, now: datetime) -> bool:
        channel = self._channels.get(_channel(sender))
        window = channel.capabilities.window if channel else None
        return window is None or now < at + window

    async def _told(self, notice: Notice, sender: str, recorded: Recorded, now: datetime) -> None:
        name, _, account = sender.partition(":")
        channel, key = self._channels.get(name), choices.new_key()
        rendered = render(recorded.messages, channel.capabilities, key) if channel else None
        async with self._writing.begin() as session:
            if not await notices.told(session, notice, now) or rendered is None:
                return
            if notices.KINDS.kinds[notice.kind].newest:
                await outbox.withdraw(session, name, sender, notice.about)
            occasion = Occasion(notice.kind, notice.values)
            for number, bubble in enumerate(rendered.bubbles):
                message = Message(
                    channel=name,
                    recipient=account,
                    order_key=sender,
                    kind=notice.kind,
                    payload=asdict(bubble if number else replace(bubble, occasion=occasion)),
                    dedupe=f"{notice.name}-{number}",
                    cause=notice.about,
                    expires_at=notice.expires_at,
                )
                await outbox.enqueue(session, message, now)
            await choices.keep(session, sender, key, rendered, now)
        self._sent()


async def keep_noticing(engine: AsyncEngine) -> None:
    """Until cancelled: what has happened in the mall becomes notices, and so do goods and coupons in their time."""
    stock = coupons = 0.0
    clock = asyncio.get_running_loop().time
    while True:
        try:
            while await notices.read_on(engine, datetime.now(UTC)):
                pass
            if clock() >= stock:
                while await notices.tell_of_stock(engine, datetime.now(UTC)):
                    pass
                stock = clock() + SWEEP
            if clock() >= coupons:
                await notices.tell_of_coupons(engine, datetime.now(UTC))
                coupons = clock() + DAILY
        except TROUBLE as error:
            log.warning("notices are written later (%s)", type(error).__name__)
        await asyncio.sleep(PAUSE)


async def keep_broadcasting(engine: AsyncEngine) -> None:
    """Until cancelled: what goes to many is taken up at its pace."""
    while True:
        try:
            while await notices.broadcasts.take_some(engine, datetime.now(UTC)):
                pass
        except TROUBLE as error:
            log.warning("what goes to many waits (%s)", type(error).__name__)
        await asyncio.sleep(PAUSE / 2)


def _channel(sender: str) -> str:
    return sender.partition(":")[0]
