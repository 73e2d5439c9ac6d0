"""One message as the actions read it: what was meant, how surely, and which values it holds.

Of a message with several requests, the one for which the action runs (slot ``dialogue``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from rasa_sdk import Tracker

from bot import patterns
from bot.patterns import cut
from bot.spelling import plain

T = TypeVar("T")

CLEAR, SURE = 0.4, 0.8
"""Confidence from which an intent is taken at its word, and from which nothing else is meant."""

_GOODS = frozenset({"product", "brand", "category"})
_NUMBERS = frozenset(
    {"account_code", "order_id", "phone_tail", "four_digits", "ticket_id", "phone", "tax_number", "email"}
)
_SAID = patterns.load("turn", "named", "says_nothing", "card", "bare", "and_that")


@dataclass(frozen=True, slots=True)
class Turn:
    text: str
    intent: str
    confidence: float
    ranking: dict[str, float]
    entities: dict[str, list[Any]]
    rest: str  # the words without the entities: empty when the message is nothing but values
    message_id: str
    acts: frozenset[str] = frozenset()  # bot/data/acts.yml
    topic: str | None = None
    question: str = ""  # the words without the names of goods: empty for a button
    words: str = ""  # the words without the numbers of orders, tickets and phones: empty for a button
    spans: tuple[dict[str, Any], ...] = field(default=())  # the entities as they stand in ``text``

    @classmethod
    def of(cls, tracker: Tracker) -> Turn:
        event: dict[str, Any] = next((event for event in reversed(tracker.events) if event["event"] == "user"), {})
        return cls._read({**tracker.latest_message, **part_of(tracker)}, event)

    @classmethod
    def whole(cls, tracker: Tracker) -> Turn:
        """The message with all of its requests: values belong to every one of them."""
        event: dict[str, Any] = next((event for event in reversed(tracker.events) if event["event"] == "user"), {})
        return cls._read(tracker.latest_message, event)

    @classmethod
    def that_began(cls, tracker: Tracker) -> Turn | None:
        """The request that began what is open now, in its own words: of this message, or of an earlier one in which it
        was noted for later."""
        state = tracker.get_slot("dialogue") or {}
        top: dict[str, Any] = (state.get("stack") or [{}])[-1]
        said = (event for event in reversed(tracker.events) if event["event"] == "user")
        key = str(top.get("key") or "")
        began = next((one for one in said if f"{key}.".startswith(f"{one.get('message_id')}.")), None)
        if began is None:
            return None
        message = {**began["parse_data"], "text": began["text"]}
        parts, number = message.get("parts") or [], int(top.get("part") or 0)
        return cls._read({**message, **parts[number]} if number < len(parts) else message, began)

    @classmethod
    def earlier(cls, tracker: Tracker) -> Iterator[Turn]:
        """The customer's messages before this one, the last first."""
        for event in [event for event in reversed(tracker.events) if event["event"] == "user"][1:]:
            yield cls._read({**event["parse_data"], "text": event["text"]}, event)

    @classmethod
    def _read(cls, message: dict[str, Any], event: dict[str, Any]) -> Turn:
        text: str = message.get("text") or ""
        intent = message.get("intent") or {}
        entities: dict[str, list[Any]] = {}
        tapped = text.startswith("/")
        rest = question = words = "" if tapped else text
        for entity in message.get("entities") or []:
            entities.setdefault(entity["entity"], []).append(entity["value"])
            if rest and entity["entity"] not in ("language", "complaint", "matter"):
                rest = _without(rest, entity)
            if question and entity["entity"] in _GOODS:
                question = _without(question, entity)
            if words and entity["entity"] in _NUMBERS:
                words = _without(words, _with_name(words, entity))
        return cls(
            text=text,
            intent=intent.get("name") or "nlu_fallback",
            confidence=float(intent.get("confidence") or 0.0),
            ranking={guess["name"]: guess["confidence"] for guess in message.get("intent_ranking") or []},
            entities=entities,
            rest=cut(_SAID["says_nothing"], cut(_SAID["card"], rest)),
            message_id=event.get("message_id") or "",
            acts=frozenset(message.get("acts") or ()),
            topic=message.get("topic"),
            question=cut(_SAID["card"], question),
            words=cut(_SAID["card"], words),
            spans=() if tapped else tuple(message.get("entities") or ()),
        )

    def first(self, entity: str) -> Any:
        return next(iter(self.entities.get(entity, ())), None)

    @property
    def tapped(self) -> bool:
        """Whether a button was tapped, instead of words written."""
        return self.text.startswith("/")

    @property
    def names_goods(self) -> bool:
        return not _GOODS.isdisjoint(self.entities)

    @property
    def clear(self) -> bool:
        return self.confidence >= CLEAR

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE

    @property
    def asks(self) -> bool:
        """Whether the message reads like a question, or asks to look something up."""
        return "question" in self.acts

    @property
    def leaves_out(self) -> bool:
        """Whether what is asked is left to the question before: "那质量问题呢"."""
        return bool(_SAID["and_that"].search(plain(self.text)))

    @property
    def bare(self) -> bool:
        """Whether it asks in small words alone, and so about what was talked of: "可以换吗"."""
        return self.asks and not self.tapped and bool(_SAID["bare"].search(plain(self.text)))

    @property
    def yes(self) -> bool | None:
        """A yes or a no where that is the answer."""
        if self.acts & {"yes", "yes_weak"} or self.intent == "affirm":
            return True
        return False if "no" in self.acts or self.intent == "deny" else None

    def cut_at(self, pattern: re.Pattern[str]) -> Iterator[Turn]:
        """The pieces of a typed message between what the pattern finds, each with the entities that stand in it."""
        at = 0
        for end, after in [*(found.span() for found in pattern.finditer(plain(self.text))), (len(self.text),) * 2]:
            yield self._only(self.text[at:end], at)
            at = after

    def outside(self, pattern: re.Pattern[str]) -> Turn:
        """A typed message without what the pattern finds, and without the entities that stand in it."""
        found = [] if self.tapped else [match.span() for match in pattern.finditer(plain(self.text))]
        if not found:
            return self
        text = self.text
        for start, end in found:
            text = text[:start] + " " * (end - start) + text[end:]
        kept = [one for one in self.spans if text[one["start"] : one["end"]].strip()]
        return replace(self, spans=tuple(kept))._only(text, 0)

    def _only(self, text: str, at: int) -> Turn:
        """With the words ``text``, which stand at this place, and the entities in them."""
        spans = tuple(
            {**one, "start": one["start"] - at, "end": one["end"] - at}
            for one in self.spans
            if at <= one["start"] and one["end"] <= at + len(text)
        )
        entities: dict[str, list[Any]] = {}
        for one in spans:
            entities.setdefault(one["entity"], []).append(one["value"])
        return replace(self, text=text, spans=spans, entities=entities)

    @property
    def declines(self) -> bool:
        """Whether it refuses what was offered: a no, or a stop ("不找人 我自己等")."""
        return self.yes is False or self.intent == "stop"

    def without(self, *kinds: str) -> str:
        """The words without the values of these entities, and without what names a number ("尾号")."""
        text = "" if self.tapped else self.text
        for entity in self.spans:
            if entity["entity"] in kinds:
                text = _without(text, _with_name(text, entity))
        return text


def address_of(tracker: Tracker) -> str | None:
    """Where the message comes from, as a keyed hash: None for a channel that knows no addresses."""
    event: dict[str, Any] = next((event for event in reversed(tracker.events) if event["event"] == "user"), {})
    address = (event.get("metadata") or {}).get("address")
    return address if isinstance(address, str) and address else None


def part_of(tracker: Tracker) -> dict[str, Any]:
    """The request of the message for which the action runs; empty when the message is one request."""
    state = tracker.get_slot("dialogue") or {}
    parts = tracker.latest_message.get("parts") or []
    top: dict[str, Any] = (state.get("stack") or [{}])[-1]
    number = int(top.get("part") or 0)
    return dict(parts[number]) if top.get("began") == state.get("turn") and number < len(parts) else {}


def _with_name(text: str, entity: dict[str, Any]) -> dict[str, Any]:
    """The entity together with the word for it that stands before a number."""
    named = _SAID["named"].search(plain(text), 0, int(entity["start"])) if entity["entity"] in _NUMBERS else None
    return {**entity, "start": named.start()} if named else entity


def _without(text: str, entity: dict[str, Any]) -> str:
    start, end = int(entity["start"]), int(entity["end"])
    return text[:start] + " " * (end - start) + text[end:]
