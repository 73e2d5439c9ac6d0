"""From an update to the inbox: the one way of those that were fetched and of those that Telegram brings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiogram import Bot
from aiogram.types import Update, User
from pydantic import ValidationError

from connectors.channel import Receive
from connectors.telegram.sending import Sender, silently
from connectors.telegram.updates import Migrated, album, read

log = logging.getLogger(__name__)

PLAIN = ("message_id", "date", "edit_date", "chat", "from", "text", "caption", "entities", "caption_entities")
"""What is enough of a message."""


class Intake:
    def __init__(self, bot: Bot, sender: Sender, receive: Receive) -> None:
        self._bot = bot
        self._sender = sender
        self._receive = receive
        self._answering: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()

    def parse(self, raw: Mapping[str, Any]) -> Update | None:
        """None for one that cannot be read, which the log tells of: it is left out, or it would hold up all others."""
        for form in (raw, _plain(raw)):
            try:
                return Update.model_validate(form, context={"bot": self._bot})
            except ValidationError as error:  # whose text would quote the customer
                log.error("an update of Telegram cannot be read: %d faults", error.error_count())
        return None

    async def take(self, pieces: Sequence[Update]) -> None:
        """One message, which is written down when this returns. Raises what the database or Telegram raises; then it
        has to come again."""
        if tap := pieces[0].callback_query:
            # the button stops waiting at once; one that was tapped long ago cannot be answered any more
            self._answer(tap.id)
        said = read(pieces, await self._me())
        if isinstance(said, Migrated):
            self._sender.moved(said.old, said.new)
        elif said is not None:
            await self._receive(said)

    async def _me(self) -> User:
        """Asked once: of all who come at the start, one asks for the others."""
        async with self._asking:
            return await self._bot.me()

    def _answer(self, tap: str) -> None:
        task = asyncio.create_task(silently(self._bot.answer_callback_query(tap)))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)


def _plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Who said which words, where: of a message in which something is in a form that aiogram does not know yet."""
    kinds = {kind: raw[kind] for kind in ("message", "edited_message") if isinstance(raw.get(kind), dict)}
    plain = {kind: {name: said[name] for name in PLAIN if name in said} for kind, said in kinds.items()}
    return {"update_id": raw.get("update_id"), **plain}


def grouped(updates: Iterable[Update]) -> list[list[Update]]:
    """In their order, with the pieces of an album together where its first one stands."""
    found: dict[object, list[Update]] = {}
    for update in updates:
        found.setdefault(album(update) or update.update_id, []).append(update)
    return list(found.values())
