"""The bot's answer in what a channel can show: what it cannot is said in another way, and nothing is left out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import repeat
from typing import Any, Literal

from connectors.messages import PICTURE, BotMessage, Button
from connectors.words import WORDS

CHOICES = WORDS.choices

OWN_NUMBER = re.compile(CHOICES.own_number)
WEB_ADDRESS = re.compile(r"https?://[!-~]+")

JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")
TONES = range(0x1F3FB, 0x1F400)
FLAGS = range(0x1F1E6, 0x1F200)
"""Of emoji: what belongs to the character before it, skin tones, and letters that make a flag in pairs."""


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
    caption_most: int | None = None  # of the text in a card; None: as much as without a picture
    window: timedelta | None = None  # after a person's message, in which they may be written to; None: always


@dataclass(frozen=True, slots=True)
class Choice:
    title: str
    token: str  # at most 32 of [A-Za-z0-9_-]; comes back as ``Inbound.choice``


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why the shop says something by itself, for a channel that may not say it as it is: the kind of the notice, and
    what fills its words."""

    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bubble:
    """What is sent at once. ``picture`` is the name of a file in ``settings.pictures_dir()``, an https address, or a
    path under the house's own address."""

    text: str = ""
    buttons: Sequence[Choice] = ()
    picture: str | None = None
    link: str | None = None
    private: bool = False  # said where others read it: the way to a conversation of one's own belongs below it
    occasion: Occasion | None = None  # of a notice, in the first of its bubbles


@dataclass(frozen=True, slots=True)
class Rendered:
    bubbles: Sequence[Bubble]
    payloads: Sequence[str]  # the n-th is that of the token "<key>-n", from 1 on
    places: Mapping[int, str]  # payloads by the numbers that are written before them


def render(messages: Sequence[BotMessage], can: Capabilities, key: str = "") -> Rendered:
    """One answer. ``key`` begins the tokens of its buttons (:mod:`connectors.choices`)."""
    offered = [_offered(message) for message in messages]
    payloads = [button.payload for buttons in offered for button in buttons]
    tokens = iter(f"{key}-{number}" for number in range(1, len(payloads) + 1))
    listed = [bool(buttons) and not _fit(buttons, can) for buttons in offered]
    in_text = [button for buttons, written in zip(offered, listed, strict=True) if written for button in buttons]
    numbers = _numbers([button.title for button in in_text])
    places: Iterator[int | None] = iter(numbers) if numbers else repeat(None)
    last = max((at for at, written in enumerate(listed) if written), default=None)
    bubbles: list[Bubble] = []
    for at, (message, buttons) in enumerate(zip(messages, offered, strict=True)):
        text, pictures = _shown(message, can)
        choices = [Choice(button.title, next(tokens)) for button in buttons]
        if listed[at]:
            text = _with_list(text, [(next(places), button.title) for button in buttons])
            choices = []
        if at == last:
            text += "\n" + (CHOICES.numbered if numbers else CHOICES.titled)
        said = _bubbles(text.strip("\n"), choices, pictures, can)
        if said and (message.custom or {}).get("private") is True:
            said[-1] = replace(said[-1], private=True)
        bubbles += said
    numbered = {place: button.payload for place, button in zip(numbers, in_text, strict=bool(numbers))}
    return Rendered(_merged(bubbles, can), payloads, numbered)


def _offered(message: BotMessage) -> Sequence[Button]:
    """The buttons, and those of cards that lead elsewhere."""
    buttons = list(message.buttons or ())
    for card in _cards(message):
        match card:
            case {"title": str(title), "button": {"payload": str(payload)}}:
                if payload not in {button.payload for button in buttons}:
                    buttons.append(Button(title=title, payload=payload))
    return buttons


def _fit(buttons: Sequence[Button], can: Capabilities) -> bool:
    return len(buttons) <= can.buttons and all(len(button.title) <= can.button_title_most for button in buttons)


def _numbers(titles: Sequence[str]) -> list[int]:
    """The numbers by which choices are called, their own if all have one; none where a number may mean another thing:
    how many, how many stars."""
    own = [int(found["place"]) for title in titles if (found := OWN_NUMBER.match(title))]
    if own and len(set(own)) == len(titles):
        return own
    return [] if any(title.strip()[:1].isdigit() for title in titles) else list(range(1, len(titles) + 1))


def _with_list(text: str, choices: Sequence[tuple[int | None, str]]) -> str:
    """The choices below the text, unless it has a line for each, as lists of goods and of orders do."""
    lines = []
    for place, title in choices:
        if place is None:
            lines.append(CHOICES.bullet.format(title=title))
        elif OWN_NUMBER.match(title):
            lines.append(title)
        else:
            lines.append(CHOICES.number.format(place=place, title=title))
    told = [line.strip() for line in text.split("\n")]

    def tells(line: str, title: str) -> bool:
        start = found[0] if (found := OWN_NUMBER.match(title)) else line
        return any(one.startswith(start.strip()) for one in told)

    if all(tells(line, title) for line, (_, title) in zip(lines, choices, strict=True)):
        return text
    return "\n".join([text, *lines] if text else lines)


def _cards(message: BotMessage) -> Sequence[Any]:
    match message.custom:
        case {"cards": [*cards]}:
            return cards
    return ()


def _shown(message: BotMessage, can: Capabilities) -> tuple[str, list[tuple[str, str]]]:
    """The text, and pictures with what stands below each."""
    text, pictures = message.text or "", []
    custom = message.custom or {}
    if text and custom.get("by") == "operator":
        text = WORDS.receipts.said_by_desk.format(text=text)
    if message.image:
        pictures.append((message.image, ""))
    match custom:
        case {"picture": str(name)} if PICTURE.fullmatch(name) and can.pictures and not can.tables:
            pictures.append((name, ""))
        case {"table": {"columns": [*columns], "rows": [*rows]}}:
            text = "\n".join([text, *(_row(row) for row in [columns, *rows])]).strip("\n")
    for card in _cards(message):
        title, more = str(card.get("title", "")), str(card.get("text", ""))
        if title and title not in text:
            text = f"{text}\n{title}\n{more}".strip("\n")
        if image := card.get("image"):
            pictures.append((str(image), title))
    if not can.pictures:
        text = "\n".join([text, *(where for where, _ in pictures if where.startswith("https://"))]).strip("\n")
        pictures = []
    return text, pictures


def _row(cells: Sequence[Any]) -> str:
    name, value = str(cells[0]) if cells else "", " / ".join(map(str, cells[1:]))
    return CHOICES.column.format(name=name, value=value) if name else value


def _bubbles(
    text: str, choices: Sequence[Choice], pictures: Sequence[tuple[str, str]], can: Capabilities
) -> list[Bubble]:
    """The text first, with the buttons below its end; in a card, the picture above it."""
    pieces = [Bubble(piece) for piece in split(text, can.text_most, can.text_unit)]
    fits = can.caption_most is None or size(text, can.text_unit) <= can.caption_most
    if can.cards and len(pictures) == 1 and len(pieces) <= 1 and fits:
        return [Bubble(text, choices, pictures[0][0])]
    if choices:
        pieces = [*pieces[:-1], replace(pieces[-1] if pieces else Bubble(), buttons=choices)]
    return [*pieces, *(Bubble(title, picture=picture) for picture, title in pictures)]


def _merged(bubbles: Sequence[Bubble], can: Capabilities) -> list[Bubble]:
    merged: list[Bubble] = []
    spare = len(bubbles) - can.bubbles_most if can.bubbles_most is not None else 0
    for bubble in bubbles:
        last = merged[-1] if merged else None
        if last and spare > 0 and not (last.picture or bubble.picture):
            text, buttons = f"{last.text}\n\n{bubble.text}".strip("\n"), [*last.buttons, *bubble.buttons]
            if len(buttons) <= can.buttons and size(text, can.text_unit) <= can.text_most:
                merged[-1], spare = Bubble(text, buttons), spare - 1
                continue
        merged.append(bubble)
    return merged


# ---- long texts ----


def size(text: str, unit: Literal["bytes", "characters"]) -> int:
    return len(text.encode()) if unit == "bytes" else len(text)


def split(text: str, most: int, unit: Literal["bytes", "characters"]) -> list[str]:
    """The text in pieces of at most so many bytes of UTF-8 or code points: cut where a sentence ends, or at least not
    within a web address or what is drawn as one character, unless that alone is too long."""
    pieces = []
    while size(text, unit) > most:
        room = most if unit == "characters" else len(text.encode()[:most].decode(errors="ignore"))
        cut = _cut(text, room)
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [piece for piece in [*pieces, text] if piece]


def _cut(text: str, room: int) -> int:
    whole = [found.span() for found in WEB_ADDRESS.finditer(text)]

    def apart(at: int) -> bool:
        return not any(start < at < end for start, end in whole) and not _belongs(text, at)

    for characters in WORDS.cuts:
        for at in range(room, room // 3, -1):
            if text[at - 1] in characters and apart(at):
                return at
    return next((at for at in range(room, 0, -1) if apart(at)), room)


def _belongs(text: str, at: int) -> bool:
    """Whether the character there is drawn together with the one before it."""
    before, after = text[at - 1], text[at]
    if unicodedata.category(after)[0] == "M" or after in JOINERS or before == "\u200d" or ord(after) in TONES:
        return True
    flags = 0
    while ord(after) in FLAGS and flags < at and ord(text[at - flags - 1]) in FLAGS:
        flags += 1
    return flags % 2 == 1
