"""The channels that are on, with what moves their messages: beside the gateway, or in a process of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from types import ModuleType

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors import telegram, wechat
from connectors.background import Background
from connectors.bot_client import BotClient
from connectors.channel import Channel, Shared
from connectors.delivery import Delivery
from connectors.media import MediaStore
from connectors.notices import NoticeRelay
from connectors.wechat import kf as wechat_kf
from connectors.words import WORDS
from connectors.worker import Worker
from mall_adapter import Desk
from privacy import KeyRing

log = logging.getLogger(__name__)

PACKAGES = (wechat, wechat_kf, telegram)
"""Each has a ``NAME`` and ``channel(receive, shared)``, and may have a command, ``main(arguments)``, which gives the
exit status."""

COMERS = ("web", "api")
"""Whose people come for their answers to the gateway."""

READERS = ("web",)
"""Whose people are shown what was said when they come back."""


def named_packages() -> Mapping[str, ModuleType]:
    return {package.NAME: package for package in PACKAGES}


class Channels:
    def __init__(self, engine: AsyncEngine, ring: KeyRing, bot: BotClient, desk: Desk) -> None:
        """Raises ValueError for credentials that cannot be."""
        self.on: dict[str, Channel] = {}
        self.off: list[str] = []
        self.media = MediaStore(engine, settings.media_dir())
        self.delivery = Delivery(engine, self.on)
        self.worker = Worker(engine, bot, desk, self.media, self.on, COMERS, self.delivery.soon)
        self.notices = NoticeRelay(engine, bot, self.on, READERS, self.delivery.soon)
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(10.0, connect=5.0), trust_env=False)
        shared = Shared(
            engine=engine, ring=ring, http=self._http, public_url=settings.public_url(), answer=self.worker.answer
        )
        for name, package in named_packages().items():
            if channel := package.channel(self.worker.receive, shared):
                self.on[name] = channel
            else:
                self.off.append(name)
                log.info("%s is off: it has no credentials", name)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self.on.values())

    def start(self, background: Background) -> None:
        """What any number of processes may do at once."""
        background.start(WORDS.tasks["worker"], self.worker.keep_working)
        background.start(WORDS.tasks["delivery"], self.delivery.keep_sending)
        background.start(WORDS.tasks["notices"], self.notices.keep_telling)

    async def close(self) -> None:
        await self._http.aclose()
