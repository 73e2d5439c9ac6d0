"""WeCom's customer service as a channel of the house: bubbles become calls, each under a key that WeCom takes once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from connectors.channel import MediaUnavailable
from connectors.inbound import Media
from connectors.rendering import Bubble, split
from connectors.wechat import sending as official_account
from connectors.wechat.kf.api import Api
from connectors.wechat.kf.callback import Callback
from connectors.wechat.kf.errors import ERRORS
from connectors.wechat.kf.messages import NAME, parts
from connectors.wechat.kf.reading import Reading
from connectors.wechat.kf.welcomes import Welcomes
from connectors.wechat.pictures import drawn
from connectors.wechat.replies import TEXT_MOST, plain
from connectors.wechat.sending import SOON, Shut
from connectors.wechat.transport import NotDone, Refused, Unsure
from connectors.wechat.windows import Windows
from storage.outbox import Dead, Outcome, Parked, Retry, Sent, Unknown

log = logging.getLogger(__name__)

CAPABILITIES = replace(official_account.CAPABILITIES, typing=False)


class WeChatKf:
    name = NAME
    capabilities = CAPABILITIES

    def __init__(
        self,
        callback: Callback,
        reading: Reading,
        api: Api,
        windows: Windows,
        welcomes: Welcomes,
        public_url: str,
    ) -> None:
        self._callback = callback
        self._reading = reading
        self._api = api
        self._windows = windows
        self._welcomes = welcomes
        self._public_url = public_url
        self._link: str | None = None  # into a chat, once WeCom has given it
        self._fault: int | None = None  # what an operator has to see to

    async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
        now = datetime.now(UTC)
        try:
            if (code := await self._welcomes.find(recipient, now)) and await self._greet(recipient, bubble, code, key):
                return Sent()
            picture = await self._uploaded(bubble.picture)
            for number, (kind, content) in enumerate(self._shown(bubble, picture)):
                await self._say(recipient, kind, content, f"{key}-{number}")
        except ValueError:
            return Dead("person:no_account")
        except Shut as error:
            return Parked(str(error))
        except Refused as error:
            return await self._refused(recipient, error, now)
        except NotDone as error:
            return Retry(f"later:{error}", now + SOON)
        except Unsure as error:
            return Unknown(str(error))
        self._fault = None
        return Sent()

    async def typing(self, recipient: str) -> None:
        """It has no such sign."""

    async def check(self) -> list[str]:
        faults = [ERRORS.configuration[self._fault]] if self._fault is not None else []
        return [*dict.fromkeys([*faults, *self._reading.check()]), *self._callback.check()]

    def router(self) -> APIRouter | None:
        return self._callback.router()

    async def listen(self) -> None:
        await self._reading.run()

    async def invite(self, scene: str) -> str | None:
        """Into a chat with the first account that the house may manage."""
        try:
            if self._link is None:
                accounts = await self._api.accounts()
                self._link = await self._api.link(accounts[0][0]) if accounts else None
        except (Refused, NotDone, Unsure) as error:
            log.warning("nobody can be invited to customer service now: %s", error)
        return f"{self._link}{'&' if '?' in self._link else '?'}scene_param={scene}" if self._link else None

    async def fetch(self, media: Media) -> bytes:
        try:
            return await self._api.download(media.handle or "")
        except (Refused, NotDone, Unsure) as error:
            raise MediaUnavailable(str(error)) from None

    def _shown(self, bubble: Bubble, picture: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Kinds of messages and what is in them; ``picture`` is a media id."""
        words = replace(bubble, picture=None) if picture else bubble
        head = plain(replace(words, buttons=()), self._public_url)
        if words.buttons and len(head.encode()) <= TEXT_MOST:
            lines = [{"type": "click", "click": {"id": each.token, "content": each.title}} for each in words.buttons]
            yield "msgmenu", {"head_content": head, "list": lines}
        else:
            for text in split(plain(words, self._public_url), TEXT_MOST, "bytes"):
                yield "text", {"content": text}
        if picture:
            yield "image", {"media_id": picture}

    async def _uploaded(self, picture: str | None) -> str | None:
        content = await drawn(picture)
        return None if picture is None or content is None else await self._api.upload(picture, content)

    async def _greet(self, recipient: str, bubble: Bubble, code: str, key: str) -> bool:
        """By the code that the person came in with; False where it does not do, and never will. Raises as calls do."""
        (kind, content), *more = self._shown(bubble, None)
        if more:
            return False
        try:
            await self._api.greet(code, kind, content, f"{key}-0")
        except Refused as error:
            if error.code in ERRORS.later or error.code in ERRORS.configuration:
                raise
            await self._welcomes.end(recipient)
            return "msgid" in error.message.lower()  # it was sent before
        await self._welcomes.end(recipient)
        return True

    async def _say(self, recipient: str, kind: str, content: Mapping[str, Any], key: str) -> None:
        open_kfid, person = parts(recipient)
        if (grant := await self._windows.take(recipient, datetime.now(UTC))) is None:
            raise Shut("window:used")
        try:
            try:
                await self._api.send(open_kfid, person, kind, content, key)
            except Refused as error:
                if error.code not in ERRORS.state:
                    raise
                await self._api.take_over(open_kfid, person)
                await self._api.send(open_kfid, person, kind, content, key)
        except (Refused, NotDone) as error:
            await self._windows.give_back(recipient, grant)
            # it was sent before: WeCom promises an error for a key that it knows, and no code
            if isinstance(error, Refused) and "msgid" in error.message.lower():
                return
            raise

    async def _refused(self, recipient: str, error: Refused, now: datetime) -> Outcome:
        if error.code in ERRORS.state:  # a colleague in WeCom has the conversation
            return Parked(f"window:{error.code}")
        ended = ERRORS.outcome(error.code, now)
        match ended:
            case Parked():
                await self._windows.shut(recipient)
            case Retry() if error.code in ERRORS.configuration:
                self._fault = error.code
                log.error("WeCom refuses the house's calls (%d)", error.code)
            case Dead():
                log.warning("WeCom does not take a message (%d)", error.code)
        return ended
