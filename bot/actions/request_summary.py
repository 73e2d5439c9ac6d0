"""The summary of a request for after-sales, before its yes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.conversation import digest
from bot.actions.malls import get_mall
from bot.actions.request_values import (
    chosen_lines,
    counted_within,
    goods_in_request,
    pieces_wanted,
    size_beside,
    values_of,
)
from bot.actions.tickets import ask_to_confirm, button, wish_button
from bot.actions.wording import Domain, word, yuan
from mall_adapter.values import FreightPayer, Order, Reason, TicketKind


class AskConfirmTicket(Action):
    def name(self) -> str:
        return "action_ask_confirm_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        slots = tracker.slots
        if (values := values_of(slots)) is None:
            return []
        decision, part = slots["decision"], pieces_wanted(slots)
        order = await (await get_mall()).order(tracker.sender_id, values["order_id"])
        freight = "freight" if order.delivered_at or not order.shipments else "interception"
        cents, size = decision["refund_cents"], size_beside(tracker, domain, values)
        reason = word(tracker, domain, values["reason"])
        buttons = [
            button(word(tracker, domain, "submit"), "affirm", summary=digest(values)),
            button(word(tracker, domain, "change"), "deny"),
            button(word(tracker, domain, "give_up"), "stop"),
        ]
        if counted_within(slots):
            buttons.append(wish_button(tracker, domain, "human_handoff"))
        return ask_to_confirm(
            dispatcher,
            tracker,
            domain,
            "utter_ask_confirm_ticket",
            values,
            kind=word(tracker, domain, values["kind"]),
            goods=goods_in_request(slots),
            order_id=values["order_id"],
            size=word(tracker, domain, "beside").format(text=size) if size else "",
            reason=_reason_words(tracker, domain, values["note"], values["reason"], reason),
            money=word(tracker, domain, "refund_amount").format(amount=yuan(cents)) if cents else "",
            amount=word(tracker, domain, "refund_beside").format(amount=yuan(cents)) if cents else "",
            freight=word(tracker, domain, f"{freight}_{decision['freight_payer']}"),
            hints="".join(f"{hint}\n" for hint in _hints(tracker, domain, values, part, order)),
            days=decision["handling_days"],
            buttons=buttons,
        )


def _reason_words(tracker: Tracker, domain: Domain, note: str, reason: str, named: str) -> str:
    if not note or reason == Reason.OTHER:
        return note or named
    return named + word(tracker, domain, "beside").format(text=note)


def _hints(
    tracker: Tracker, domain: Domain, values: dict[str, Any], part: tuple[int, int] | None, order: Order
) -> Iterator[str]:
    """What must be said before a yes: how many go back, and how many stay; that the size wanted is not known."""
    slots = tracker.slots
    chosen = chosen_lines(slots)
    if part:
        yield word(tracker, domain, "part_of_line").format(wanted=part[0], pieces=part[1])
    elif counted_within(slots):
        yield word(tracker, domain, "whole_pack")
    elif slots.get("quantity") is None and len(chosen) == 1 and int(chosen[0]["pieces"]) > 1:
        kind = word(tracker, domain, values["kind"])
        yield word(tracker, domain, "all_of_line").format(pieces=chosen[0]["pieces"], kind=kind)
    on_its_way = bool(order.shipments) and order.delivered_at is None
    if on_its_way and slots["decision"]["freight_payer"] != FreightPayer.NOBODY and len(chosen) < len(order.lines):
        yield word(tracker, domain, "parcel_whole")
    if values["kind"] == TicketKind.EXCHANGE and values["reason"] == Reason.WRONG_SIZE and not values["size"]:
        yield word(tracker, domain, "size_unknown")
