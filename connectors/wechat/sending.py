"""WeChat as a channel of the house: bubbles become calls, and answers of WeChat become ends of messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from connectors.channel import MediaUnavailable
from connectors.inbound import Media
from connectors.rendering import Bubble, Capabilities, split
from connectors.wechat.account import MENUS, SENDING, Account
from connectors.wechat.api import Api
from connectors.wechat.callback import Callback
from connectors.wechat.errors import ERRORS
from connectors.wechat.notices import Notices
from connectors.wechat.parsing import NAME
from connectors.wechat.pictures import drawn
from connectors.wechat.replies import TEXT_MOST, plain
from connectors.wechat.transport import NotDone, Refused, Unsure
from connectors.wechat.windows import GRANTS, Windows
from storage.outbox import Dead, Outcome, Parked, Retry, Sent, Unknown

log = logging.getLogger(__name__)

SCENE_SECONDS = 30 * 24 * 3600
"""For which a code that brings somebody in is good: the longest that WeChat gives."""

CAPABILITIES = Capabilities(
    text_most=TEXT_MOST,
    text_unit="bytes",
    buttons=10,  # lines to tap, each on its own
    button_title_most=40,
    pictures=True,
    cards=False,
    tables=False,
    edits=False,
    typing=True,
    bubbles_most=2,  # each is one of the five that WeChat grants
    window=GRANTS["message"][1],
)

SOON = timedelta(seconds=3)
"""Before what did nothing is tried again; the house waits longer each time."""

TYPING_AFTER = 1.0
"""Seconds: most answers are there sooner."""

REFRESH = 60.0
"""Seconds between looks for what other processes have learned about the account."""


class Shut(Exception):
    """The person may not be sent anything now. The text is a word for why."""


class WeChat:
    name = NAME

    def __init__(
        self,
        callback: Callback,
        api: Api,
        account: Account,
        windows: Windows,
        notices: Notices,
        public_url: str,
    ) -> None:
        self.capabilities = CAPABILITIES
        self._callback = callback
        self._api = api
        self._account = account
        self._windows = windows
        self._notices = notices
        self._public_url = public_url
        self._fault: int | None = None  # what an operator has to see to

    async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
        try:
            await self._show(recipient, bubble)
        except Shut as error:
            return await self._instead(recipient, bubble, key, Parked(str(error)))
        except Refused as error:
            return await self._refused(recipient, bubble, error, key)
        except NotDone as error:
            return Retry(f"later:{error}", datetime.now(UTC) + SOON)
        except Unsure as error:
            return Unknown(str(error))
        except SQLAlchemyError as error:  # nothing goes out that was not granted before
            log.warning("no grant could be taken: %s", type(error).__name__)
            return Retry("later:storage", datetime.now(UTC) + SOON)
        self._fault = None
        return Sent()

    async def typing(self, recipient: str) -> None:
        if not self._account.may(SENDING):
            return
        await asyncio.sleep(TYPING_AFTER)
        try:
            await self._api.typing(recipient)
        except (Refused, NotDone, Unsure) as error:
            log.info("no sign of typing: %s", error)

    async def check(self) -> list[str]:
        faults = [ERRORS.configuration[self._fault]] if self._fault is not None else []
        return [*faults, *self._notices.check(), *self._callback.check()]

    def router(self) -> APIRouter | None:
        return self._callback.router()

    async def listen(self) -> None:
        while True:
            await self._account.refresh()
            self._adapt()
            await asyncio.sleep(REFRESH)

    async def invite(self, scene: str) -> str | None:
        try:
            return await self._api.scene_code(scene, SCENE_SECONDS)
        except (Refused, NotDone, Unsure) as error:
            log.warning("nobody can be invited to WeChat now: %s", error)
            return None

    async def fetch(self, media: Media) -> bytes:
        try:
            return await self._api.download(media.handle or "")
        except (Refused, NotDone, Unsure) as error:
            raise MediaUnavailable(str(error)) from None

    # ---- a bubble ----

    async def _show(self, recipient: str, bubble: Bubble) -> None:
        picture = await self._uploaded(bubble.picture)
        words = replace(bubble, picture=None) if picture else bubble
        if not (words.buttons and await self._offered(recipient, words)):
            for text in split(plain(words, self._public_url), TEXT_MOST, "bytes"):
                await self._say(recipient, "text", {"content": text})
        if picture:
            await self._say(recipient, "image", {"media_id": picture})

    async def _offered(self, recipient: str, bubble: Bubble) -> bool:
        """Whether the choices were sent as lines to tap."""
        head = plain(replace(bubble, buttons=()), self._public_url)
        if not self._account.may(MENUS) or len(head.encode()) > TEXT_MOST:
            return False
        lines = [{"id": choice.token, "content": choice.title} for choice in bubble.buttons]
        try:
            await self._say(recipient, "msgmenu", {"head_content": head, "list": lines, "tail_content": ""})
        except Refused as error:
            if error.code not in ERRORS.no_menus:
                raise
            await self._account.refused(MENUS)
            self._adapt()
            return False
        return True

    async def _uploaded(self, picture: str | None) -> str | None:
        """The media id of a picture of the house's own."""
        content = await drawn(picture)
        return None if picture is None or content is None else await self._api.upload(picture, content)

    async def _say(self, recipient: str, kind: str, content: Mapping[str, Any]) -> None:
        if not self._account.may(SENDING):
            raise Shut("window:no_sending")
        if (grant := await self._windows.take(recipient, datetime.now(UTC))) is None:
            raise Shut("window:used")
        try:
            await self._api.send(recipient, kind, content)
        except (Refused, NotDone) as error:
            await self._windows.give_back(recipient, grant)
            if isinstance(error, Refused) and error.code in ERRORS.no_sending:
                await self._account.refused(SENDING)
                self._adapt()
                raise Shut("window:no_sending") from None
            raise

    # ---- how it ends ----

    async def _refused(self, recipient: str, bubble: Bubble, error: Refused, key: str) -> Outcome:
        ended = ERRORS.outcome(error.code, datetime.now(UTC))
        match ended:
            case Parked():
                await self._windows.shut(recipient)
                return await self._instead(recipient, bubble, key, ended)
            case Retry() if error.code in ERRORS.configuration:
                self._fault = error.code
                log.error("WeChat refuses the account's calls (%d)", error.code)
            case Dead():
                log.warning("WeChat does not take a message (%d)", error.code)
        return ended

    async def _instead(self, recipient: str, bubble: Bubble, key: str, parked: Parked) -> Outcome:
        """A notice takes the place of what the shop says by itself. Of an answer a person hears once, until they write,
        that it waits."""
        if bubble.occasion:
            return await self._notices.tell(recipient, bubble, key) or parked
        if not await self._windows.is_nudged(recipient):
            told = await self._notices.tell(recipient, bubble, key)
            if isinstance(told, (Sent, Unknown)):  # rather none than two
                await self._windows.nudged(recipient, datetime.now(UTC))
        return parked

    def _adapt(self) -> None:
        """What the house need not try to show."""
        sends = self._account.may(SENDING)
        buttons = CAPABILITIES.buttons if sends and self._account.may(MENUS) else 0
        self.capabilities = replace(CAPABILITIES, buttons=buttons, typing=sends)
