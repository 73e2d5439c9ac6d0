"""What a person has sent, in one shape for all channels: plain values, which are sealed into the inbox as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

MediaKind = Literal["picture", "voice", "video", "file", "sticker", "location", "contact"]

_VISIBLE = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """``handle`` is the id by which its channel gives the content; a location has its place instead."""

    kind: MediaKind
    handle: str | None = None
    name: str | None = None
    size: int | None = None  # bytes, as the channel says
    latitude: float | None = None  # degrees
    longitude: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _whole(self.name))

    @property
    def place(self) -> tuple[float, float] | None:
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One message of one person, or something that they did.

    ``channel`` and ``account`` make the sender, by whom the bot knows the person; both are visible ASCII, else
    ValueError. By channel, account and ``message_id`` a message is known, for months.
    """

    channel: str  # "wechat", "telegram", "web", …
    account: str  # the channel's own id of who writes
    message_id: str
    chat: str | None = None  # where to answer, if that is not the account: a group
    sent_at: datetime | None = None  # aware
    text: str | None = None  # words, a caption, or what voice recognition heard
    choice: str | None = None  # token of a tapped button
    media: Sequence[Media] = ()
    event: str | None = None  # what is no message: "joined", "left", "scene", "menu", …
    data: Mapping[str, str] = field(default_factory=dict)  # of the event
    # the channel may carry the answer itself until then (``Shared.answer``): it is not sent in another way before
    reply_until: datetime | None = None
    good_until: datetime | None = None  # after which an answer is worth nothing

    def __post_init__(self) -> None:
        for value in (self.sender, self.message_id):
            if not _VISIBLE.fullmatch(value):
                raise ValueError("a sender and a message id are 1 to 200 visible ASCII characters")
        object.__setattr__(self, "text", _whole(self.text))

    @property
    def sender(self) -> str:
        return f"{self.channel}:{self.account}"

    @property
    def recipient(self) -> str:
        """Where the answer goes, in the channel's own terms."""
        return self.chat or self.account


def _whole(text: str | None) -> str | None:
    """With a mark in the place of half a surrogate pair, which JSON can say and no encoding keep."""
    return text and text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
