"""Where a conversation stands: the stack of flows, and what one message and the answer before it hold.

The state is folded from facts (messages, actions that ran); the slot ``dialogue`` only mirrors it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import takewhile
from typing import Any

from rasa.shared.core.events import BotUttered, Event, UserUttered
from rasa.shared.exceptions import InvalidConfigException

from bot.components.pinyin import sounds
from bot.components.text import normalize

OPEN, WAITING, NEXT, PARKED = "open", "waiting", "next", "parked"
"""A frame is being worked on; was interrupted and will be offered; is begun by itself when its turn comes; was left,
and only goes on when the customer does."""

_PAYLOAD = re.compile(r"/(?P<intent>[a-z_]+)(?P<entities>\{.*\})?", re.DOTALL)
_NO_VALUE = frozenset({"complaint", "matter"})
_PLACE = re.compile(r"(\d+)\. ")
_WORD = re.compile(r"[^\W\d_]")
_SPOKEN = re.compile(r"[a-z]+|\S")
_OF_ONE_THING = re.compile(r'"(?:order|ticket)_id"')


@dataclass
class Frame:
    """A flow on the stack. ``key`` names the message that began it: a part of the key of what it writes."""

    flow: str
    intent: str
    key: str
    began: int  # turn
    part: int = 0  # of the message that began it
    status: str = OPEN
    fresh: bool = True  # nothing that it heard has been validated yet
    touched: int = 0  # turn in which the customer last spoke to it
    asks: dict[str, int] = field(default_factory=dict)  # how often each slot was asked for
    asked: str | None = None  # the slot asked for last
    asked_in: int = 0  # turn
    offered_in: int = 0  # turn in which it was offered to go on with it
    aside: int = 0  # turn in which it was told something else than it had asked for
    known: int | None = None  # slots that were filled when a message came that did not answer its question
    reminded: int = 0  # reminders since it was touched
    unsure: bool = False  # begun by a likely reading alone, and nothing was told to it yet
    changing: bool = False  # the summary is wrong, but what of it?
    done: list[str] = field(default_factory=list)  # steps that ran
    heard: dict[str, Any] = field(default_factory=dict)  # what the customer told it, to be validated
    values: dict[str, Any] = field(default_factory=dict)  # of its slots, while another frame has them


@dataclass
class State:
    turn: int = 0
    stack: list[Frame] = field(default_factory=list)  # the last is on top
    say: list[str] = field(default_factory=list)  # actions that come before anything else
    quiet: bool = False  # nothing is asked in this turn
    lost: int = 0  # messages in a row that were not understood
    ended: dict[str, Any] = field(default_factory=dict)  # the task that was done or given up last
    commands: list[list[str]] = field(default_factory=list)  # of this turn, each with its reason

    @classmethod
    def load(cls, stored: Mapping[str, Any] | None) -> State:
        """From the slot. What an older version wrote and this one does not know is left out."""
        if not stored:
            return cls()
        known = {one.name for one in fields(cls)}
        frames = {one.name for one in fields(Frame)}
        stack = [
            Frame(**{name: _own(value) for name, value in frame.items() if name in frames})
            for frame in stored.get("stack") or []
        ]
        return cls(**{name: _own(value) for name, value in stored.items() if name in known} | {"stack": stack})

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def top(self) -> Frame | None:
        return self.stack[-1] if self.stack else None

    @property
    def open(self) -> Frame | None:
        """The frame that the conversation is in."""
        return self.stack[-1] if self.stack and self.stack[-1].status == OPEN else None


def _own(value: Any) -> Any:
    """A copy: slots belong to the tracker."""
    if isinstance(value, dict):
        return {name: _own(one) for name, one in value.items()}
    return [_own(one) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Message:
    """One message, or one request of it."""

    text: str
    intent: str
    confidence: float
    entities: tuple[Mapping[str, Any], ...] = ()
    acts: frozenset[str] = frozenset()
    ranking: Mapping[str, float] = field(default_factory=dict)
    id: str = ""
    parts: tuple[Message, ...] = ()
    tapped: bool = False  # or as certain as that (bot/components/lead_talk.py)
    topic: str | None = None  # of the shop, that it is about
    feeling: str = "neutral"  # by its words

    @classmethod
    def of(cls, parse: Mapping[str, Any], message_id: str = "") -> Message:
        intent = parse.get("intent") or {}
        text, worry = parse.get("text") or "", parse.get("worry")
        return cls(
            text,
            intent.get("name") or "nlu_fallback",
            float(intent.get("confidence") or 0.0),
            tuple(one for one in parse.get("entities") or () if one.get("entity") != "language"),
            frozenset(parse.get("acts") or ()),
            {guess["name"]: float(guess["confidence"]) for guess in parse.get("intent_ranking") or ()},
            message_id,
            tuple(cls.of(part, message_id) for part in parse.get("parts") or ()),
            text.startswith("/") or bool(parse.get("meant")),
            parse.get("topic"),
            worry["label"] if isinstance(worry, dict) else "neutral",  # older conversations have a number
        )

    def values(self, entity: str) -> list[Any]:
        return [one["value"] for one in self.entities if one["entity"] == entity]

    @property
    def rest(self) -> int:
        """Letters and characters of words that no entity covers; what is complained or spoken of is no value."""
        left = self.text
        for one in self.entities:
            if isinstance(one.get("start"), int) and one["end"] > one["start"] and one["entity"] not in _NO_VALUE:
                left = left[: one["start"]] + " " * (one["end"] - one["start"]) + left[one["end"] :]
        return len(_WORD.findall(left))

    def tap(self, payload: str) -> Message | None:
        """The message as if the button with this payload had been tapped."""
        match = _PAYLOAD.fullmatch(payload)
        if match is None:
            return None
        told = json.loads(match["entities"] or "{}")
        entities = tuple({"entity": name, "value": value} for name, value in told.items())
        return replace(
            self, intent=match["intent"], confidence=1.0, entities=entities, acts=frozenset(), parts=(), tapped=True
        )


@dataclass(frozen=True)
class Shown:
    """What the customer sees above the line in which they write."""

    buttons: Mapping[str, str] = field(default_factory=dict)  # title → payload
    offers: str | None = None  # the payload that a yes to it means, or CHOICE
    declines: str | None = None  # the payload that a no means, where that is more than leave

    def payload(self, text: str) -> str | None:
        """Of the button whose title was typed."""
        typed = normalize(text).text.strip(" .。!！")
        return next((p for title, p in self.buttons.items() if normalize(title).text == typed), None)

    def numbered(self, place: int) -> str | None:
        """Of the button that is called "2. …"; -1 is the last one."""
        found = {int(match[1]): p for title, p in self.buttons.items() if (match := _PLACE.match(title))}
        return found.get(max(found) if found and place == -1 else place)

    def naming(self, words: str) -> str | None:
        """Of the only button for an order or a request whose title holds the words, or is held by them, as they are
        written or as they sound: "毛衣", "加湿气" or "jiashiqi" for 加湿器."""
        found = {
            payload
            for title, payload in self._listed.items()
            if _names(words, normalize(_PLACE.sub("", title)).text.partition("(")[0])
        }
        return found.pop() if len(found) == 1 else None

    @property
    def _listed(self) -> Mapping[str, str]:
        """The buttons that are orders or requests; not those that say what can be done with the only one."""
        named = {title: payload for title, payload in self.buttons.items() if _OF_ONE_THING.search(payload)}
        wishes = {payload.partition("{")[0] for payload in named.values()}
        return named if len(wishes) == 1 and (len(named) > 1 or any(map(_PLACE.match, named))) else {}

    def of_order(self, number: str) -> str | None:
        """What is asked about every order that is listed, of this one, whether it is among them or not."""
        asked = {payload.partition("{")[0] for payload in self._listed.values() if '"order_id"' in payload}
        return f"{asked.pop()}{json.dumps({'order_id': number})}" if asked else None

    def counted(self, place: int) -> str | None:
        """Of the button that stands there, where none is called by a number ("2. …", "5 星") and none confirms."""
        confirms = any(payload.startswith(("/affirm", "/deny")) for payload in self.buttons.values())
        if confirms or any(character.isdigit() for title in self.buttons for character in title):
            return None
        return dict(enumerate(self.buttons.values(), 1)).get(place)


def _names(words: str, title: str) -> bool:
    if words in title or title in words:
        return True
    short, long = sorted((sounds(_SPOKEN.findall(words)), sounds(_SPOKEN.findall(title))), key=len)
    alike = (long[at : at + len(short)] == short for at in range(len(long) - len(short) + 1))
    return len(short) > 1 and any(alike)


FIRST_BUTTON = "first_button"
"""What a response offers whose buttons are made by an action: the first of them."""

CHOICE = "choice"
"""What a response offers that leaves two ways open: a yes to it is asked back."""


def shown(events: Sequence[Event]) -> Shown:
    """What the bot said since the last message among the ``events``."""
    buttons: dict[str, str] = {}
    offers = declines = None
    said = takewhile(lambda event: not isinstance(event, UserUttered), reversed(events))
    for event in reversed([event for event in said if isinstance(event, BotUttered)]):
        own = {b["title"]: b["payload"] for b in event.data.get("buttons") or [] if b.get("payload")}
        buttons.update(own)
        said_with = event.metadata.get("metadata") or {}
        offered = said_with.get("offers")
        if refused := said_with.get("declines"):
            declines = next((payload for payload in own.values() if payload.startswith(f"/{refused}{{")), f"/{refused}")
        elif offered:
            declines = None
        if offered == FIRST_BUTTON:
            offers = next(iter(own.values()), offers)
        elif offered == CHOICE:
            offers = CHOICE
        elif offered:
            offers = f"/{offered}"
    return Shown(buttons, offers, declines)


def check_offer(intent: str, known: set[str], response: str) -> None:
    """Raises InvalidConfigException when a response offers what begins no flow."""
    if intent not in known and intent not in (FIRST_BUTTON, CHOICE):
        raise InvalidConfigException(f"{response} offers {intent}, which begins no flow")
