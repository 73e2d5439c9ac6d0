"""What people do in Telegram, as the house reads it.

In a group it is spoken to only by its name, by a command of its own or by an answer to what it said. What is said there
everybody reads, so its sender is another one than that of the same person in private: ``telegram:<user>@<group>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiogram.types import CallbackQuery, ChatMemberUpdated, Message, MessageEntity, Update, User

from connectors.inbound import Inbound, Media, MediaKind
from connectors.telegram import NAME
from connectors.telegram.text import part, without
from connectors.telegram.words import WORDS
from privacy.columns import exact_index

ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member"]
"""The kinds of updates that are asked for; posts of channels are none of them."""


_PAYLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COMMAND = re.compile(r"/(?P<name>[A-Za-z0-9_]{1,32})(?:@(?P<bot>[A-Za-z0-9_]+))?(?:\s+(?P<rest>.*))?", re.DOTALL)
_GROUPS = ("group", "supergroup")


@dataclass(frozen=True, slots=True)
class Migrated:
    """A group has become a supergroup, which has another id."""

    old: int
    new: int


def album(update: Update) -> tuple[int, str] | None:
    """What the pieces of an album, which come one by one, have in common."""
    message = update.message
    return (message.chat.id, message.media_group_id) if message and message.media_group_id else None


def read(updates: Sequence[Update], me: User) -> Inbound | Migrated | None:
    """Of one update, or of the pieces of an album; None for what is not for the house. Never raises."""
    match updates:
        case [Update(callback_query=CallbackQuery() as tap)]:
            return _tapped(tap)
        case [Update(my_chat_member=ChatMemberUpdated() as change) as update]:
            return _left(change, update.update_id)
    messages = [found for update in updates if (found := update.message or update.edited_message)]
    if not messages:
        return None
    if (new := messages[0].migrate_to_chat_id) is not None:
        return Migrated(messages[0].chat.id, new)
    return _said(messages, updates[0].update_id, me)


def _said(messages: Sequence[Message], number: int, me: User) -> Inbound | None:
    worded = next((one for one in messages if one.text or one.caption), messages[0])
    chat, person = worded.chat, worded.from_user
    grouped = chat.type in _GROUPS
    # what is said in the name of a group or of a channel, or by another bot, is nobody's question
    if person is None or person.is_bot or worded.is_automatic_forward or not (grouped or chat.type == "private"):
        return None
    words, entities = worded.text or worded.caption or "", worded.entities or worded.caption_entities or []
    mentions = [entity for entity in entities if _names(entity, words, me)]
    command = _COMMAND.fullmatch(words) if any(map(_is_command, entities)) else None
    if command and command["bot"] and command["bot"].lower() != (me.username or "").lower():
        return None  # another bot's
    ours = command is not None and (command["bot"] is not None or command["name"] in WORDS.commands)
    if grouped and not (mentions or ours or _answers(worded, me)):
        return None
    media = [found for one in messages for found in _media(one)]
    said: dict[str, Any] = {"text": without(words, mentions) or None, "media": media}
    if command:
        said |= _commanded(command["name"], command["rest"] or "")
    elif mentions and not (said["text"] or media):  # called by its name, and nothing else
        said |= _JOINED
    elif not (words or media):
        return None  # something about the chat: a title, a member
    files = [file.file_unique_id for one in messages if (found := _file(one)) for _, file in [found]]
    # what was edited is another message if its content is; the channel also tells of edits that nobody sees
    content = exact_index(" ".join([words, *files]), "telegram.content")[:8]
    edited = worded.edit_date
    return Inbound(
        channel=NAME,
        account=_account(person.id, chat.id),
        chat=_place(worded) if grouped else None,
        message_id=f"{chat.id}.{worded.message_id or f'update-{number}'}.{content}",
        sent_at=datetime.fromtimestamp(edited, UTC) if edited else worded.date,
        **said,
    )


def _commanded(name: str, rest: str) -> dict[str, Any]:
    if name == "start":
        return _JOINED | ({"data": {"scene": rest}} if _PAYLOAD.fullmatch(rest) else {})
    known = WORDS.commands.get(name)
    return {"text": known.says if known else f"/{name} {rest}".strip()}


_JOINED: dict[str, Any] = {"text": None, "event": "joined"}


def _tapped(tap: CallbackQuery) -> Inbound | None:
    """Also below a message that is too old to be had."""
    if tap.message is None or not tap.data:
        return None
    chat = tap.message.chat
    grouped = chat.type in _GROUPS
    return Inbound(
        channel=NAME,
        account=_account(tap.from_user.id, chat.id),
        chat=f"{chat.id}/{tap.message.message_id}" if grouped else None,
        message_id=f"tap.{tap.id}",
        choice=tap.data,
    )


def _left(change: ChatMemberUpdated, number: int) -> Inbound | None:
    """Who blocks the bot has left; who takes that back says so with /start."""
    if change.chat.type != "private" or change.new_chat_member.status != "kicked":
        return None
    account = str(change.from_user.id)
    return Inbound(channel=NAME, account=account, message_id=f"update.{number}", sent_at=change.date, event="left")


def _account(user: int, chat: int) -> str:
    return str(user) if user == chat else f"{user}@{chat}"


def _place(message: Message) -> str:
    """The group, the message that is answered there, and its topic."""
    topic = f"/{message.message_thread_id}" if message.is_topic_message and message.message_thread_id else ""
    return f"{message.chat.id}/{message.message_id}{topic}"


def _names(entity: MessageEntity, words: str, me: User) -> bool:
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == me.id
    return entity.type == "mention" and part(words, entity).lower() == f"@{me.username}".lower()


def _is_command(entity: MessageEntity) -> bool:
    return entity.type == "bot_command" and entity.offset == 0


def _answers(message: Message, me: User) -> bool:
    said = message.reply_to_message
    return said is not None and said.from_user is not None and said.from_user.id == me.id


# ---- what is no text ----


def _file(message: Message) -> tuple[MediaKind, Any] | None:
    """What there is to fetch: an object with ``file_id``, ``file_unique_id`` and ``file_size``."""
    found: tuple[tuple[MediaKind, Any], ...] = (
        ("picture", max(message.photo, key=lambda size: size.width * size.height) if message.photo else None),
        ("voice", message.voice),
        ("sticker", message.sticker),
        ("video", message.video or message.video_note or message.animation),
        ("file", message.document or message.audio),
    )
    return next(((kind, file) for kind, file in found if file), None)


def _media(message: Message) -> Iterator[Media]:
    if found := _file(message):
        kind, file = found
        name = getattr(file, "emoji" if kind == "sticker" else "file_name", None)
        yield Media(kind=kind, handle=file.file_id, name=name, size=file.file_size)
    elif place := message.location or (message.venue and message.venue.location):
        name = f"{message.venue.title} {message.venue.address}".strip() if message.venue else None
        yield Media(kind="location", name=name, latitude=place.latitude, longitude=place.longitude)
    elif contact := message.contact:
        yield Media(kind="contact", name=f"{contact.first_name} {contact.last_name or ''}".strip())
    elif any(getattr(message, kind) for kind in ("dice", "poll", "story", "game", "paid_media", "checklist")):
        yield Media(kind="sticker")  # the house has no word for it, and it is nothing that has to be kept
