"""A small real channel: what it is sent stands on paper. It knows a bubble by its key, and writes none twice."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.bot_client import BotClient
from connectors.channel import MediaUnavailable
from connectors.delivery import Delivery
from connectors.inbound import Inbound, Media
from connectors.leases import LEASE
from connectors.media import MediaStore
from connectors.rendering import Bubble, Capabilities
from connectors.worker import Worker
from mall_adapter import Desk
from storage.outbox import Outcome, Sent

PLAIN = Capabilities(
    text_most=2048,
    text_unit="bytes",
    buttons=0,
    button_title_most=0,
    pictures=True,
    cards=False,
    tables=False,
    edits=False,
    typing=True,
    bubbles_most=None,
)


@dataclass
class Paper:
    """``outcomes`` are answered first, in order; an outcome says that nothing was written, but for ``Sent``."""

    name: str = "paper"
    capabilities: Capabilities = PLAIN
    outcomes: list[Outcome] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)  # by handle
    bubbles: dict[str, list[Bubble]] = field(default_factory=lambda: defaultdict(list))  # by recipient
    tries: list[str] = field(default_factory=list)  # keys
    known: set[str] = field(default_factory=set)
    typed: list[str] = field(default_factory=list)
    written: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
        self.tries.append(key)
        outcome = self.outcomes.pop(0) if self.outcomes else Sent(f"paper-{key}")
        if isinstance(outcome, Sent) and key not in self.known:
            self.known.add(key)
            self.bubbles[recipient].append(bubble)
        async with self.written:
            self.written.notify_all()
        return outcome

    async def typing(self, recipient: str) -> None:
        self.typed.append(recipient)

    async def check(self) -> list[str]:
        return []

    def router(self) -> APIRouter | None:
        return None

    async def listen(self) -> None:
        return

    async def invite(self, scene: str) -> str | None:
        return f"https://paper.example/{scene}"

    async def fetch(self, media: Media) -> bytes:
        if media.handle not in self.contents:
            raise MediaUnavailable
        return self.contents[media.handle]

    def texts(self, recipient: str) -> list[str]:
        return [bubble.text for bubble in self.bubbles[recipient]]

    async def until(self, recipient: str, number: int) -> list[str]:
        """The texts when there are so many."""
        async with asyncio.timeout(30), self.written:
            await self.written.wait_for(lambda: len(self.bubbles[recipient]) >= number)
        return self.texts(recipient)


@dataclass
class House:
    """A worker and a delivery that run, with one channel."""

    engine: AsyncEngine
    channel: Paper
    worker: Worker
    delivery: Delivery
    media: MediaStore
    desk: Desk
    bot: BotClient

    async def receive(self, account: str, message_id: str, text: str | None = None, **more: object) -> bool:
        return await self.worker.receive(said(account, message_id, text, **more))

    async def say(self, account: str, message_id: str, text: str | None = None, **more: object) -> list[Bubble]:
        """The next bubbles, as soon as there is one."""
        before = len(self.channel.bubbles[account])
        await self.receive(account, message_id, text, **more)
        await self.channel.until(account, before + 1)
        return self.channel.bubbles[account][before:]


def said(account: str, message_id: str, text: str | None = None, **more: object) -> Inbound:
    return Inbound(channel="paper", account=account, message_id=message_id, text=text, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def house(
    engine: AsyncEngine,
    rasa_url: str,
    folder: Path,
    channel: Paper | None = None,
    *,
    patience: float = 5.0,
    sends: bool = True,
    **of_worker: timedelta,
) -> AsyncIterator[House]:
    """``sends``: whether the delivery runs; ``patience`` with the bot is in seconds."""
    channel = channel or Paper()
    on = {channel.name: channel}
    async with aclosing(BotClient((rasa_url,), patience)) as bot:
        delivery, desk = Delivery(engine, on, lease=of_worker.get("lease", LEASE)), Desk(engine, settings.desk_hours())
        media = MediaStore(engine, folder / "media")
        worker = Worker(engine, bot, desk, media, on, ("web", "api"), delivery.soon, **of_worker)
        tasks = [asyncio.create_task(worker.keep_working())]
        if sends:
            tasks.append(asyncio.create_task(delivery.keep_sending()))
        try:
            yield House(engine, channel, worker, delivery, media, desk, bot)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
