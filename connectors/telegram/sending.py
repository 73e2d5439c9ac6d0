"""One bubble is one call to Telegram, and whatever it answers is one of the outbox's outcomes.

Telegram has no key by which it would know a message that is sent again: an answer that is lost leaves it unknown
whether the message has arrived.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from aiogram.utils.deep_linking import create_deep_link
from aiohttp import ClientConnectorError, ConnectionTimeoutError

import settings
from connectors.messages import PICTURE
from connectors.rendering import Bubble, Capabilities
from connectors.telegram.pace import Pace
from connectors.telegram.text import CAPTION_MOST, TEXT_MOST, rich
from connectors.telegram.words import REFUSALS, WORDS
from storage.outbox import Dead, Outcome, Retry, Sent, Unknown

log = logging.getLogger(__name__)

CAPABILITIES = Capabilities(
    text_most=TEXT_MOST,
    text_unit="characters",
    buttons=24,
    button_title_most=40,
    pictures=True,
    cards=True,
    caption_most=CAPTION_MOST,
    tables=False,
    edits=False,
    typing=True,
    bubbles_most=None,
)

SHORT = 8
"""Characters of a title beside which another one fits."""

WORTH_WAITING = 3.0
"""Seconds of the pace; what has to wait for longer comes again by itself."""

LATER, MUCH_LATER = timedelta(seconds=10), timedelta(minutes=5)

PICTURE_SECONDS, PICTURE_MOST = 10.0, 10 * 1024 * 1024
"""For a picture from the house's own address."""

_RECIPIENT = re.compile(
    r"(?:[0-9]+@)?(?P<chat>-?[0-9]{1,19})(?:/(?P<message>[0-9]{1,19}))?(?:/(?P<topic>[0-9]{1,19}))?"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A chat, in a group with the message that is answered and its topic. Written ``chat``, ``chat/message``,
    ``chat/message/topic``; an account in a group, ``user@chat``, is one, too."""

    chat: int
    message: int | None = None
    topic: int | None = None

    @classmethod
    def parse(cls, recipient: str) -> Place | None:
        found = _RECIPIENT.fullmatch(recipient)
        if found is None:
            return None
        message, topic = found["message"], found["topic"]
        return cls(int(found["chat"]), int(message) if message else None, int(topic) if topic else None)


class Unsendable(Exception):
    """``outcome`` is known before anything was sent."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Sender:
    def __init__(self, bot: Bot, http: httpx.AsyncClient) -> None:
        self._bot = bot
        self._http = http
        self._pace = Pace()
        self._migrated: dict[int, int] = {}
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.refused = False  # the bot's token, the last time

    def moved(self, old: int, new: int) -> None:
        """A group is a supergroup now. Telegram tells it again to whoever writes to the old id, so that nothing depends
        on remembering it."""
        self._migrated[old] = new

    async def send(self, recipient: str, bubble: Bubble) -> Outcome:
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._bubble(recipient, bubble)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def finish(self, seconds: float) -> None:
        """Gives what is on its way so long to arrive."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _bubble(self, recipient: str, bubble: Bubble) -> Outcome:
        place = Place.parse(recipient)
        if place is None:
            return Dead("person")
        try:
            picture = await self._picture(bubble.picture) if bubble.picture else None
        except Unsendable as why:
            if not bubble.text:
                return why.outcome
            picture = None
        outcome = await self._send(place, bubble, picture)
        if outcome is _NO_PICTURE:
            return await self._send(place, bubble, None) if bubble.text else Dead("content")
        return outcome

    async def typing(self, recipient: str) -> None:
        if place := Place.parse(recipient):
            await silently(self._bot.send_chat_action(self._chat(place), "typing", message_thread_id=place.topic))

    def _chat(self, place: Place) -> int:
        return self._migrated.get(place.chat, place.chat)

    async def _send(self, place: Place, bubble: Bubble, picture: str | BufferedInputFile | None) -> Outcome:
        """A group that has another id now is tried once more by that one."""
        for _ in range(2):
            chat = self._chat(place)
            while seconds := self._pace.take(chat, time.monotonic()):
                if seconds > WORTH_WAITING:
                    return _later(seconds, "later:pace")
                await asyncio.sleep(seconds)
            try:
                outcome = await self._call(chat, place, bubble, picture)
            except TelegramMigrateToChat as error:
                self.moved(chat, error.migrate_to_chat_id)
                continue
            except TelegramRetryAfter as error:
                self._pace.hold(chat, error.retry_after, time.monotonic())
                return _later(error.retry_after, "later:429")
            except Exception as error:  # aiogram raises TypeError and others for answers that it did not expect
                outcome = outcome_of(error)
            self.refused = isinstance(outcome, Retry) and outcome.error_class == "configuration"
            return outcome
        return _later(LATER.total_seconds(), "later:migrated")

    async def _call(self, chat: int, place: Place, bubble: Bubble, picture: str | BufferedInputFile | None) -> Outcome:
        more: dict[str, Any] = {"reply_markup": await self._keyboard(chat, bubble), "message_thread_id": place.topic}
        if place.message:
            more["reply_parameters"] = ReplyParameters(message_id=place.message, allow_sending_without_reply=True)
        # no parse_mode: nothing in the text is markup
        text = f"{bubble.text}\n{bubble.link}".strip() if bubble.link else bubble.text
        entities = rich(text) or None
        sent: Message
        if picture is not None:
            words: dict[str, Any] = {"caption": text or None, "caption_entities": entities}
            sent = await self._bot.send_photo(chat, picture, parse_mode=None, **words, **more)
        else:
            plain = LinkPreviewOptions(is_disabled=True)
            sent = await self._bot.send_message(
                chat, text, parse_mode=None, entities=entities, link_preview_options=plain, **more
            )
        return Sent(str(sent.message_id))

    async def _keyboard(self, chat: int, bubble: Bubble) -> InlineKeyboardMarkup | None:
        rows: list[list[InlineKeyboardButton]] = []
        for choice in bubble.buttons:
            button = InlineKeyboardButton(text=choice.title, callback_data=choice.token)
            if rows and len(rows[-1]) == 1 and max(len(choice.title), len(rows[-1][0].text)) <= SHORT:
                rows[-1].append(button)
            else:
                rows.append([button])
        if bubble.private and chat < 0:
            address = create_deep_link((await self._bot.me()).username or "", "start", "chat")
            rows.append([InlineKeyboardButton(text=WORDS.in_private, url=address)])
        return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None

    async def _picture(self, picture: str) -> str | BufferedInputFile:
        """What Telegram fetches itself, or the content. Raises Unsendable."""
        if picture.startswith("https://"):
            return picture
        try:
            if PICTURE.fullmatch(picture):
                file = settings.pictures_dir() / picture
                return BufferedInputFile(await asyncio.to_thread(file.read_bytes), picture)
            if picture.startswith("/"):
                return BufferedInputFile(await self._own(picture), picture.rpartition("/")[2] or "picture")
        except (OSError, httpx.HTTPError) as error:
            log.warning("a picture cannot be had: %s", type(error).__name__)
        raise Unsendable(Dead("content"))

    async def _own(self, path: str) -> bytes:
        answer = await self._http.get(f"{settings.gateway_url()}{path}", timeout=PICTURE_SECONDS)
        return answer.raise_for_status().content[:PICTURE_MOST]


_NO_PICTURE = Dead("content:picture")


def outcome_of(error: Exception) -> Outcome:
    """What became of a message whose sending has raised this."""
    match error:
        case TelegramForbiddenError():  # blocked, gone, or never met
            return Dead("person")
        case TelegramUnauthorizedError() | TelegramNotFound():  # what a wrong token is answered
            return Retry("configuration", datetime.now(UTC) + MUCH_LATER)
        case TelegramEntityTooLarge():
            return _NO_PICTURE
        case TelegramBadRequest():
            return _refused(error.message.lower())
        case TelegramNetworkError():
            before = isinstance(error.__cause__, ClientConnectorError | ConnectionTimeoutError)
            return _later(LATER.total_seconds(), "later:network") if before else Unknown("later:no_answer")
        case ClientDecodeError(data={"ok": True, "result": result}):  # it was sent, and tells of it in a new way
            number = result.get("message_id") if isinstance(result, dict) else None
            return Sent(str(number) if number is not None else None)
        case ClientDecodeError() | TelegramAPIError() | TypeError():  # 429, 500 and 502, in whatever form
            return _later(LATER.total_seconds(), "later:unavailable")
    log.error("a message of unknown end: %s", type(error).__name__)
    return Unknown("later:no_answer")


def _refused(description: str) -> Outcome:
    if any(words in description for words in REFUSALS.picture):
        return _NO_PICTURE
    if any(words in description for words in REFUSALS.person):
        return Dead("person")
    return Dead("content")


def _later(seconds: float, error_class: str) -> Retry:
    return Retry(error_class, datetime.now(UTC) + timedelta(seconds=seconds))


async def silently(call: Awaitable[object]) -> None:
    """For what need not succeed."""
    try:
        await call
    except (AiogramError, TypeError, ValueError, OSError) as error:
        log.info("Telegram: %s", type(error).__name__)
