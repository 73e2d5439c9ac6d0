"""What waits while a conversation is busy with something else, and what follows when that ends.

An item of the slot ``agenda`` is ``{"form", "intent", "slots", "asked"}``: the form that does it, the intent that asked
for it, what is known already, and whether the customer asked for it to come next (else they are asked first).
"""

from __future__ import annotations

from typing import Any, TypeAlias

from rasa_sdk import Tracker
from rasa_sdk.events import EventType, FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.turn import messages_so_far
from bot.actions.wording import Domain, title

Item: TypeAlias = dict[str, Any]

OFFER_LASTS = 2
"""Messages for which a yes still means the offer."""


def item(form: str, intent: str, slots: dict[str, Any], *, asked: bool) -> Item:
    known = {name: value for name, value in slots.items() if value is not None}
    return {"form": form, "intent": intent, "slots": known, "asked": asked}


def waiting(tracker: Tracker) -> list[Item]:
    return list(tracker.get_slot("agenda") or [])


def note(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, wish: Item) -> list[EventType]:
    """Keeps a wish for later and says so; a wish of the same kind is replaced."""
    others = [known for known in waiting(tracker) if known["intent"] != wish["intent"]]
    dispatcher.utter_message(response="utter_noted_next", wish=title(tracker, domain, wish["intent"]))
    return [SlotSet("agenda", [*others, wish])]


def start(wish: Item) -> list[EventType]:
    """Events that open the form of ``wish`` with what is known."""
    return [SlotSet("starting", wish), SlotSet("offer", None), FollowupAction(wish["form"])]


def next_wish(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
    """Events that turn to what waits: what was asked for is begun, what was interrupted is offered."""
    if not (wishes := waiting(tracker)):
        return [FollowupAction("action_listen")]
    wish, *rest = wishes
    name = title(tracker, domain, wish["intent"])
    if wish["asked"]:
        dispatcher.utter_message(response="utter_now_next", wish=name)
        return [SlotSet("agenda", rest), *start(wish)]
    dispatcher.utter_message(response="utter_offer_resume", wish=name)
    return [SlotSet("agenda", rest), offer(wish, messages_so_far(tracker)), FollowupAction("action_listen")]


def offer(wish: Item, messages: int) -> EventType:
    """The event that remembers the offer, made after so many messages of the customer."""
    return SlotSet("offer", {**wish, "messages": messages})


def offered(tracker: Tracker) -> Item | None:
    """What a yes would take up now."""
    wish: Item | None = tracker.get_slot("offer")
    return wish if wish and messages_so_far(tracker) - wish["messages"] <= OFFER_LASTS else None
