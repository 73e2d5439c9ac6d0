"""What travels between a customer, the gateway and the bot."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from connectors.words import WORDS

COMPLAINTS = WORDS.complaints

PICTURE = re.compile(r"[0-9a-f]{32}\.png")
"""The name of a picture that the bot has drawn."""

MAX_TEXT = 2000
"""Characters of one message."""

# Letters that draw nothing: Hangul fillers and the empty Braille cell. Unicode files them under letters and symbols.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def shows(character: str) -> bool:
    """Separators, controls, invisible formats and lone combining marks draw nothing on their own."""
    return unicodedata.category(character)[0] not in "ZCM" and character not in _BLANK_LETTERS


def _readable(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise PydanticCustomError("text_too_long", COMPLAINTS["text_too_long"], {"limit": MAX_TEXT})
    # Cs: half of a surrogate pair, which JSON's \u escapes can smuggle in and UTF-8 cannot carry
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r" for character in text):
        raise PydanticCustomError("unreadable_text", COMPLAINTS["unreadable_text"])
    if not any(shows(character) for character in text):
        raise PydanticCustomError("blank_text", COMPLAINTS["blank_text"])
    return text


Words = Annotated[str, AfterValidator(_readable)]
MessageId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class ChatRequest(BaseModel):
    """Body of ``POST /api/chat``. Without ``sender`` the visitor of the signed cookie is speaking."""

    sender: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    text: Words
    message_id: MessageId | None = None


class Thumb(BaseModel):
    """Body of ``POST /api/feedback``: whether the answer with this id helped the visitor of the signed cookie."""

    source: Annotated[str, Field(min_length=1, max_length=128)]
    helpful: StrictBool


class Seen(BaseModel):
    """What a page tells of whoever looks at it: whether they are typing, and how many events of the conversation they
    have seen."""

    typing: StrictBool = False
    read: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class Button(BaseModel):
    title: str
    payload: str


class BotMessage(BaseModel):
    """``custom`` is shown where a channel knows how: ``source``, where an answer comes from (its ``id``, ``title`` and
    ``valid_until``); ``cards``, each with ``title``, ``text``, ``image`` and ``button``; ``table`` with ``columns`` and
    ``rows``, and ``picture``, the name of the same drawn under ``/pictures``; ``by`` and ``desk``, when a person is at
    the service desk."""

    text: str | None = None
    buttons: list[Button] | None = None
    image: str | None = None
    custom: dict[str, Any] | None = None

    def show_picture(self, url: str) -> None:
        """For channels without tables: ``custom.picture``, a comparison that was drawn, becomes the ``image``."""
        match self.custom:
            case {"picture": str(name)} if PICTURE.fullmatch(name) and self.image is None:
                self.image = f"{url}/pictures/{name}"


class Understood(BaseModel):
    """What the bot made of the customer's words; later versions of the bot may add to it."""

    model_config = ConfigDict(extra="allow")
    intent: str | None
    confidence: float
    worry: float
    source: str | None = None  # id of the answer that was given, if one was


class Reply(BaseModel):
    """The bot's answer to one message."""

    messages: list[BotMessage]
    understood: Understood

    @model_validator(mode="after")
    def _name_source(self) -> Self:
        for message in self.messages:
            match message.custom:
                case {"source": {"id": str(source)}}:
                    self.understood.source = source
                    break
        return self


class Recorded(BaseModel):
    """The bot's answer to something that happened at the service desk: what the customer is to see of it."""

    messages: list[BotMessage]


def caller(key: bytes, conversation: str) -> str:
    """The sender behind a caller's own conversation id: a name space apart, whatever the id looks like."""
    return "api:" + hmac.new(key, conversation.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class InboundMessage:
    sender: str  # "<channel>:<external id>", ASCII
    message_id: str  # the channel's own id of the message, unique for its sender; the bot answers each once
    text: str
    address: str | None = None  # a keyed hash of where the customer is, if that is known
