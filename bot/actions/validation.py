"""What a message says to an open flow, checked: the base of every ``validate_<flow>``.

The flows decide which slots a message speaks to (slot ``heard``, slot → raw value); here each is looked at with the
mall and taken, or refused with a word on why. A raw value is a string, a yes or no, ``{"words": …}`` in the customer's
own words, or ``{"by": "ordinal" | "mention" | "product" | …, "value"}``, which points at something that was shown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.conversation import Conversation
from bot.actions.focus import Focus
from bot.actions.turn import Turn
from bot.actions.wording import Domain

Slots: TypeAlias = dict[str, Any]


class Request:
    """A flow in the middle of a message: its slots, which validations change, and what they look at."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.sender = tracker.sender_id
        self.slots: Slots = dict(tracker.slots)
        self.turn = Turn.whole(tracker)
        self.focus = Focus(tracker)
        self.heard: Slots = dict(self.slots.get("heard") or {})
        self.intent: str = Conversation.of(tracker).top.get("intent") or self.turn.intent

    def get(self, slot: str) -> Any:
        return self.slots.get(slot)

    def set(self, **values: Any) -> None:
        self.slots.update(values)

    def clear(self, *slots: str) -> None:
        self.slots.update(dict.fromkeys(slots))


class Validation(Action, ABC):
    """``validate_<flow>``. A subclass has a method ``validate_<slot>(value, request)`` for each slot that needs one."""

    @property
    @abstractmethod
    def flow(self) -> str:
        """The name of the flow."""

    order: ClassVar[tuple[str, ...]] = ()
    """Slots that are looked at before the others, in this order."""
    depends: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Slots that fall when the one before them changes."""

    def name(self) -> str:
        return f"validate_{self.flow}"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        request = Request(tracker)
        if changed := request.heard.pop("change", None):
            self.reopen(str(changed), request)
        slots = [*(s for s in self.order if s in request.heard), *(s for s in request.heard if s not in self.order)]
        for slot in slots:
            await self._take(slot, request.heard[slot], request)
        await self.complete(request)
        events: list[EventType] = [
            SlotSet(slot, value) for slot, value in request.slots.items() if value != tracker.slots.get(slot)
        ]
        if events and Conversation.of(tracker).top.get("changing"):
            events.append(SlotSet("change", "taken"))  # the message itself said what is right
        return [*events, *request.focus.events()]

    async def _take(self, slot: str, value: Any, request: Request) -> None:
        before = request.get(slot)
        if validate := getattr(self, f"validate_{slot}", None):
            await validate(value, request)
        elif not isinstance(value, dict):
            request.slots[slot] = value
        if request.get(slot) != before:
            request.clear(*self.depends.get(slot, ()))

    def reopen(self, slot: str, request: Request) -> None:
        """Makes the flow ask for ``slot`` again."""
        request.clear(slot, *self.depends.get(slot, ()))

    async def complete(self, request: Request) -> None:
        """What follows from the slots as they now are: proposals, obstacles, sums."""
