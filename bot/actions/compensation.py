"""What a worried customer is offered below the facts of an order, and what they say to it.

Whether there is an offer, and which, the mall says (``mall_adapter/offers``): once for each order and reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.conversation import Conversation
from bot.actions.focus import Focus
from bot.actions.malls import get_mall, get_offers
from bot.actions.turn import Turn
from bot.actions.wording import Domain, minute, word, yuan
from bot.actions.worry_state import angry_again, worried
from mall_adapter.errors import InvalidTransition, MallError, NotFound
from mall_adapter.handoff import ComplaintKind
from mall_adapter.values import Feeling, Offer, OfferKind, OfferState, Order

GRAVE = frozenset({ComplaintKind.HARMED, ComplaintKind.FAKE, ComplaintKind.COURIER, ComplaintKind.THREAT})
"""Complaints to which something of money is no answer: a person is."""


class OfferCompensation(Action):
    """Silent unless the customer worries about the one order whose facts were just told, and the mall offers some.
    Whoever is angry once more is offered a person instead."""

    def name(self) -> str:
        return "action_offer_compensation"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order_id = _just_told(tracker)
        if order_id is None or settings.mall_url() or tracker.get_slot("queued"):
            return []  # a foreign mall makes its own; who waits for a person is not put off
        try:
            order = await (await get_mall()).order(tracker.sender_id, order_id)
        except MallError:
            return []
        turn = Turn.of(tracker)
        if not GRAVE.isdisjoint(turn.entities.get("complaint", ())) or _is_asked_something(tracker):
            return []
        now = datetime.now(UTC)
        if angry_again(tracker, now) or (feeling := _feeling(tracker, turn, order, now)) is None:
            return []
        offers, key = await get_offers(), f"{turn.message_id} offer"
        if offer := await offers.propose(tracker.sender_id, order_id, feeling, key, demands=_demands(tracker)):
            dispatcher.utter_message(response=f"utter_offer_{offer.kind}", **_told(tracker, domain, offer))
        return []


def _demands(tracker: Tracker) -> bool:
    """Whether money was asked for in so many words, in this conversation."""
    said = (Turn.whole(tracker), *Turn.earlier(tracker))
    return any(ComplaintKind.COMPENSATION in turn.entities.get("complaint", ()) for turn in said)


def _is_asked_something(tracker: Tracker) -> bool:
    """Whether a request beneath waits for an answer: a yes shall mean one thing."""
    return any(flow["status"] == "open" for flow in Conversation.of(tracker).stack[:-1])


def _just_told(tracker: Tracker) -> str | None:
    """The order that was told in this turn, if it was one."""
    told = Focus(tracker).value.get("order") or {}
    return told.get("id") if told.get("turn") == Conversation.of(tracker).turn else None


def _feeling(tracker: Tracker, turn: Turn, order: Order, now: datetime) -> Feeling | None:
    """None for a calm question."""
    label = worried(tracker, order, now).label
    if label == "neutral":
        return Feeling.WORRY if turn.intent == "worry_delivery" else None
    return Feeling(label)


class AcceptOffer(Action):
    def name(self) -> str:
        return "action_accept_offer"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        offers = await get_offers()
        if (offer_id := await _meant(tracker)) is None:
            dispatcher.utter_message(response="utter_offer_none")
            return []
        try:
            offer = await offers.accept(tracker.sender_id, offer_id)
        except (InvalidTransition, NotFound):
            dispatcher.utter_message(response="utter_offer_over")
            return []
        response = f"utter_offer_accepted_{offer.kind}"
        dispatcher.utter_message(response=response, **_told(tracker, domain, offer))
        return Focus(tracker).on("order", offer.order_id).events()


class DeclineOffer(Action):
    def name(self) -> str:
        return "action_decline_offer"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if (offer_id := await _meant(tracker)) is None:
            dispatcher.utter_message(response="utter_offer_none")
            return []
        try:
            offer = await (await get_offers()).decline(tracker.sender_id, offer_id)
        except NotFound:
            dispatcher.utter_message(response="utter_offer_over")
            return []
        if offer.state is OfferState.ACCEPTED:  # an old button: what was taken stays
            response = f"utter_offer_accepted_{offer.kind}"
            dispatcher.utter_message(response=response, **_told(tracker, domain, offer))
        else:
            dispatcher.utter_message(response="utter_offer_declined")
        return []


async def _meant(tracker: Tracker) -> str | None:
    """The offer of the button, else the newest that is open."""
    if told := Turn.of(tracker).first("offer_id"):
        return str(told)
    offer = await (await get_offers()).open_offer(tracker.sender_id)
    return offer.id if offer else None


def _told(tracker: Tracker, domain: Domain, offer: Offer) -> dict[str, Any]:
    values: dict[str, Any] = {
        "offer_id": offer.id,
        "order_id": offer.order_id,
        "until": minute(tracker, offer.good_until),
    }
    if offer.kind is OfferKind.COUPON:
        terms = word(tracker, domain, "offer_terms" if offer.min_spend_cents else "offer_any")
        least, days = yuan(offer.min_spend_cents), offer.valid_days
        values |= {"yuan": yuan(offer.value_cents), "terms": terms.format(least=least, days=days)}
    elif offer.kind is OfferKind.POINTS:
        values |= {"points": offer.points, "days": offer.valid_days}
    return values
