"""The bot's answer in what a channel can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from connectors.messages import BotMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    text_most: int  # of one bubble, in
    text_unit: Literal["bytes", "characters"]  # UTF-8, or code points
    buttons: int  # most of one bubble; 0: none, choices are numbered in the text
    button_title_most: int  # characters; where one is longer, choices are numbered
    pictures: bool
    cards: bool  # text, picture and buttons in one bubble
    tables: bool  # text in columns; else a table is a picture
    edits: bool
    typing: bool
    bubbles_most: int | None  # of one answer, as far as its length allows; None: any number


@dataclass(frozen=True, slots=True)
class Choice:
    title: str
    token: str  # at most 32 of [A-Za-z0-9_-]; comes back as ``Inbound.choice``


@dataclass(frozen=True, slots=True)
class Bubble:
    """What is sent at once. ``picture`` is the name of a file in ``settings.pictures_dir()``, an https address, or a
    path under the house's own address."""

    text: str = ""
    buttons: Sequence[Choice] = ()
    picture: str | None = None
    link: str | None = None


def render(messages: Sequence[BotMessage], can: Capabilities, key: str = "") -> list[Bubble]:
    """``key`` begins the tokens of the answer's buttons (:mod:`connectors.choices`)."""
    raise NotImplementedError
