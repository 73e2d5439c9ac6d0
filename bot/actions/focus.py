"""What is at hand: the order, ticket and goods talked of, what was listed, what was written, each with its turn.

"第二个", "那个退货", "它", "这单", "刚提交的" are resolved here, for every capability.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import EventType, SlotSet

from bot.actions.conversation import Conversation
from bot.actions.turn import Turn
from mall_adapter.values import Order

Listed = list[dict[str, str]]
"""What was last shown to choose from: ``{"kind": "order" | "line" | "product" | "ticket", "id", "title"}``."""

AT_HAND = 8
"""Turns for which what was talked of is still meant without being named."""

ON_SCREEN = 4
"""Turns for which a list need not be shown again."""


REFUSED_LATELY = 3
"""Turns for which what was refused need not be told again."""


class Focus:
    """Of one conversation. Changes are collected; ``event()`` is what an action returns."""

    def __init__(self, tracker: Tracker) -> None:
        self._turn = Conversation.of(tracker).turn
        self._things: dict[str, Any] = dict(tracker.get_slot("focus") or {})
        self._changed = False
        self._queued = False

    def at_hand(self, kind: str) -> str | None:
        """The id of the ``order``, ``ticket``, ``product`` or ``answer`` talked of lately."""
        thing = self._things.get(kind) or {}
        return thing.get("id") if self._turn - thing.get("turn", 0) <= AT_HAND else None

    def later(self, kind: str, other: str) -> bool:
        """Whether a ``kind`` was talked of after any ``other``."""
        first, second = (int((self._things.get(one) or {}).get("turn", -1)) for one in (kind, other))
        return first > second

    @property
    def written(self) -> dict[str, Any]:
        """What was written last, ``{"flow", "id", "order", "turn"}``, of an exchange ``wanted`` too; empty when that is
        long ago."""
        written: dict[str, Any] = self._things.get("written") or {}
        return written if self._turn - written.get("turn", 0) <= AT_HAND else {}

    @property
    def refusal(self) -> dict[str, Any]:
        """What the rules refused lately, ``{"flow", "order_id", "order_line", "ticket_kind", "reason", "opened",
        "goods", "rule", "turn"}``; empty when that is some turns ago."""
        refused: dict[str, Any] = self._things.get("refused") or {}
        return refused if self._turn - refused.get("turn", 0) <= REFUSED_LATELY else {}

    def listed(self, kind: str | None = None, lately: bool = False) -> Listed:
        """What was listed last; with ``lately``, only while it may still be on the screen."""
        last = self._things.get("listed") or {}
        shown: Listed = last.get("things") or []
        if lately and self._turn - last.get("turn", 0) > ON_SCREEN:
            return []
        return [thing for thing in shown if kind in (None, thing["kind"])]

    def shows(self, orders: Sequence[Order]) -> bool:
        """Whether the list on the screen is one of these orders, in their places: then it need not be told again."""
        shown = [thing["id"] for thing in self.listed("order", lately=True)]
        return len(shown) > 1 and shown == [order.id for order in orders]

    @property
    def wish(self) -> dict[str, Any] | None:
        """What the goods that were listed last were chosen for (``product_search.Wish``)."""
        wish: dict[str, Any] | None = (self._things.get("listed") or {}).get("wish")
        return wish

    def on(self, kind: str, thing: str | None) -> Focus:
        """Turns to ``thing``; None lets go of what was at hand."""
        self._things = {**self._things, kind: None if thing is None else {"id": thing, "turn": self._turn}}
        self._changed = True
        return self

    def on_list(self, things: Sequence[dict[str, str]], wish: dict[str, Any] | None = None) -> Focus:
        listed = {"things": list(things), "turn": self._turn} | ({"wish": wish} if wish else {})
        self._things = {**self._things, "listed": listed}
        self._changed = True
        return self

    def wrote(self, flow: str, what: str | None, order: str | None = None, wanted: str = "") -> Focus:
        """Remembers what was written: follow-ups are about it. ``wanted`` is what an exchange is for, in words."""
        written = {"flow": flow, "id": what, "order": order, "turn": self._turn}
        self._things = {**self._things, "written": written | ({"wanted": wanted} if wanted else {})}
        self._changed = True
        return self

    def refused(self, request: dict[str, Any]) -> Focus:
        """Remembers a request that the rules refuse, with the ``rule``: what is said to it next goes on from there."""
        self._things = {**self._things, "refused": {**request, "turn": self._turn}}
        self._changed = True
        return self

    def on_person(self, place: str) -> Focus:
        """A person is waited for from now on."""
        self._queued = True
        return self.on("waiting", place)

    def events(self) -> list[EventType]:
        queued = [SlotSet("queued", True)] if self._queued else []
        return [*queued, SlotSet("focus", self._things)] if self._changed else []

    @property
    def value(self) -> dict[str, Any]:
        return self._things


def pointed_at(turn: Turn, listed: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Those of what was listed that "第二个", "2", "最后一个" mean, in the order of the words."""
    digits = turn.text.strip()
    places = [int(place) for place in turn.entities.get("ordinal", ())]
    if not places and digits.isdecimal() and len(digits) == 1:
        places = [int(digits)]
    places = [len(listed) if place == -1 else place for place in places]
    return [listed[place - 1] for place in places if 0 < place <= len(listed)]


def chosen(turn: Turn, listed: Sequence[dict[str, str]], kind: str) -> str | None:
    """The id that a place in the list or a part of a title means; None when that is not clear."""
    choices = [choice for choice in listed if choice["kind"] == kind]
    if turn.first("ordinal") or (turn.text.strip().isdecimal() and len(turn.text.strip()) == 1):
        return next((choice["id"] for choice in pointed_at(turn, choices)), None)
    best = like(turn.without("order_id", "phone_tail"), choices)
    return best[0]["id"] if len(best) == 1 else None


def like(text: str, choices: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The choices whose titles share most with the words; none when nothing is shared."""
    pairs = {a + b for a, b in pairwise(text.lower()) if a.isalnum() and b.isalnum()}
    scores = [(sum(pair in choice["title"].lower() for pair in pairs), choice) for choice in choices]
    most = max((score for score, _ in scores), default=0)
    return [choice for score, choice in scores if score == most] if most else []
