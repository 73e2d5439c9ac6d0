"""Return, exchange and refund: the after-sales form and the ticket that it ends in."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.forms import Slots, finish
from bot.actions.malls import get_mall
from bot.actions.order_choice import Listed, OrderForm, chosen, problem
from bot.actions.tickets import goods_come_back
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, line_title, rule_text, word, yuan
from mall_adapter import (
    Decision,
    NotAllowed,
    Order,
    Reason,
    Ticket,
    TicketExists,
    TicketKind,
    TicketRequest,
    Wish,
)

BASICS = ("order_id", "phone_tail", "order_line", "ticket_kind", "reason")
"""What every request needs; the decision table may ask for more."""

FREE_TEXT = frozenset({"inform", "nlu_fallback", "complain", "report_problem", "out_of_scope", "chitchat"})
"""Messages that may be a reason in the customer's own words; any other clear intent is a digression."""

ALL_LINES = "all"
NOTE_CHARACTERS = 200
_KINDS = {
    TicketKind.RETURN.value: re.compile(r"退货|return", re.IGNORECASE),
    TicketKind.EXCHANGE.value: re.compile(r"换货|换一|换个|换新|exchange", re.IGNORECASE),
    TicketKind.REFUND.value: re.compile(r"退款|退钱|refund", re.IGNORECASE),
}
_ALL = re.compile(r"全部|都(要|退|换)|所有|整单|一起|[两俩]个?都|both|all of")


def request_of(slots: Slots) -> TicketRequest:
    """The request that the slots describe. Raises KeyError or ValueError when the basics are not all there."""
    line, opened = slots["order_line"], slots.get("opened")
    choices = slots.get("order_lines") or []
    return TicketRequest(
        order_id=slots["order_id"],
        kind=TicketKind(slots["ticket_kind"]),
        reason=Reason(slots["reason"]),
        line_ids=tuple(choice["id"] for choice in choices) if line == ALL_LINES else (line,),
        opened=None if opened is None else opened == "yes",
        note=slots.get("note") or "",
    )


def goods_in_request(slots: Slots) -> str:
    line, choices = slots.get("order_line"), slots.get("order_lines") or []
    return "、".join(choice["title"] for choice in choices if line in (ALL_LINES, choice["id"]))


class AfterSalesForm(OrderForm):
    """The missing ones of ``BASICS`` first, then what the mall's rules still have to know, then the confirmation."""

    form = "after_sales_form"
    submit = "action_create_return_ticket"
    starts = {  # noqa: RUF012
        "request_return": {"ticket_kind": TicketKind.RETURN.value},
        "request_exchange": {"ticket_kind": TicketKind.EXCHANGE.value},
        "request_refund": {"ticket_kind": TicketKind.REFUND.value},
        "report_problem": {},
    }
    wish = Wish.RETURN
    of_order = ("order_line", "order_lines", "opened", "decision")
    holds = (*OrderForm.holds, *of_order, "ticket_kind", "reason", "note")
    changeable = ("reason", "order_id", "ticket_kind", "order_line")

    def needs(self, slots: Slots) -> list[str]:
        decision = slots.get("decision") or {"allowed": True, "missing_facts": ()}
        if not decision["allowed"] and not decision["missing_facts"]:
            return list(BASICS)  # nothing more to ask: the action that follows says why
        return [*BASICS, *decision["missing_facts"], "confirm"]

    def mentions(self, turn: Turn, slots: Slots) -> Slots:
        found = super().mentions(turn, slots)
        for name in ("reason", "opened"):
            if value := turn.first(name):
                found[name] = value
        if turn.intent == "correct" and not found:  # "不对，我是要退款": another kind than before
            kinds = [kind for kind, words in _KINDS.items() if words.search(turn.text)]
            found.update({"ticket_kind": kinds[-1]} if kinds else {})
        known = slots.get("order_lines") or []
        if (line := turn.first("order_line")) in {ALL_LINES, *(choice["id"] for choice in known)}:
            found["order_line"] = line
        return found

    def answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        if asked == "order_line":
            return self._line(turn, slots)
        if asked == "reason":
            return self._reason(turn)
        if asked == "opened":
            if value := turn.first("opened"):
                return {"opened": value}
            return {} if turn.yes is None else {"opened": "yes" if turn.yes else "no"}
        return super().answer(asked, turn, slots)

    @staticmethod
    def _line(turn: Turn, slots: Slots) -> Slots:
        choices: Listed = slots.get("order_lines") or []
        if _ALL.search(turn.text.lower()):
            return {"order_line": ALL_LINES}
        named = turn.first("order_line") or chosen(turn, choices, "line")
        return {"order_line": named} if named in {ALL_LINES, *(choice["id"] for choice in choices)} else {}

    @staticmethod
    def _reason(turn: Turn) -> Slots:
        if (value := turn.first("reason")) in set(Reason):
            return {"reason": value}
        values = turn.entities.keys() - {"language", "product", "brand", "category", "mention"}
        own_words = turn.text.strip()[:NOTE_CHARACTERS]
        unclear = turn.intent in FREE_TEXT or not turn.clear
        if not values and unclear and len(own_words) > 1 and re.search(r"\w", own_words):
            return {"reason": Reason.OTHER.value, "note": own_words}
        return {}

    async def accept(self, order: Order, slots: Slots, tracker: Tracker) -> None:
        free = [line for line in order.lines if line.open_ticket_id is None]
        if not free:
            taken = problem("order_has_ticket", f"{order.id}|{order.lines[0].open_ticket_id}")
            slots.update(taken, order_id=None, phone_tail=None)
            return
        slots["order_lines"] = [{"kind": "line", "id": line.id, "title": line_title(line)} for line in free]
        if len(free) == 1:
            slots["order_line"] = free[0].id

    async def settle(self, found: Slots, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        if "reason" in found and found["reason"] not in set(Reason):
            del found["reason"]
        if found.get("reason") and "note" not in found:
            slots["note"] = None
        if found.keys() & {"order_line", "ticket_kind", "reason", "opened"}:
            slots["decision"] = None
        await super().settle(found, slots, turn, tracker)
        if slots.get("order_line") is None and slots.get("order_lines") and slots.get("phone_tail"):
            named = (
                chosen(turn, slots["order_lines"], "line") if turn.first("ordinal") or turn.first("product") else None
            )
            slots["order_line"] = named
        await self._decide(slots, tracker)

    async def _decide(self, slots: Slots, tracker: Tracker) -> None:
        """Asks the mall's rules as soon as the basics are known."""
        if slots.get("decision") or any(slots.get(name) is None for name in BASICS):
            return
        try:
            decision = await (await get_mall()).assess(tracker.sender_id, request_of(slots))
        except TicketExists as error:
            taken = problem("order_has_ticket", f"{error.ticket.order_id}|{error.ticket.id}")
            slots.update(dict.fromkeys(self.of_order), order_id=None, phone_tail=None, **taken)
            return
        slots["decision"] = decision_slot(decision)

    def reopen(self, changed: str, slots: Slots) -> None:
        super().reopen(changed, slots)
        slots.update(decision=None)
        if changed == "reason":
            slots["note"] = None


def decision_slot(decision: Decision) -> dict[str, Any]:
    return {
        "allowed": decision.allowed,
        "rule": decision.rule,
        "freight_payer": decision.freight_payer.value,
        "handling_days": decision.handling_days,
        "refund_cents": decision.refund_cents,
        "missing_facts": list(decision.missing_facts),
    }


class AskOrderLine(Action):
    def name(self) -> str:
        return "action_ask_order_line"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        everything = {"id": ALL_LINES, "title": word(tracker, domain, "whole_order")}
        choices = [*(tracker.get_slot("order_lines") or []), everything]
        buttons = [{"title": c["title"], "payload": f'/inform{{"order_line": "{c["id"]}"}}'} for c in choices]
        dispatcher.utter_message(response="utter_ask_order_line", buttons=buttons)
        return []


class AskConfirmTicket(Action):
    def name(self) -> str:
        return "action_ask_after_sales_form_confirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        decision, reason = tracker.slots["decision"], tracker.slots["reason"]
        cents = decision["refund_cents"]
        dispatcher.utter_message(
            response="utter_ask_confirm_ticket",
            kind=word(tracker, domain, tracker.slots["ticket_kind"]),
            goods=goods_in_request(tracker.slots),
            order_id=tracker.slots["order_id"],
            reason=tracker.get_slot("note") or word(tracker, domain, reason),
            money=word(tracker, domain, "refund_amount").format(amount=yuan(cents)) if cents else "",
            freight=word(tracker, domain, f"freight_{decision['freight_payer']}"),
            days=decision["handling_days"],
        )
        return []


class CreateReturnTicket(Action):
    """Writes the ticket that was confirmed, or says why there will be none."""

    def name(self) -> str:
        return "action_create_return_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        form = AfterSalesForm()
        if tracker.get_slot("confirm") is not True:
            await refuse(dispatcher, tracker, domain, tracker.slots["decision"]["rule"])
            return finish(form, dispatcher, tracker, domain)
        try:
            ticket = await (await get_mall()).create_ticket(
                tracker.sender_id, request_of(tracker.slots), idempotency_key=tracker.slots["request_key"]
            )
        except NotAllowed as error:  # the rules or the clock moved on between the summary and the yes
            await refuse(dispatcher, tracker, domain, error.decision.rule)
            return finish(form, dispatcher, tracker, domain)
        except TicketExists as error:
            dispatcher.utter_message(response="utter_ticket_exists", ticket_id=error.ticket.id)
            return [SlotSet("order_id", None), *finish(form, dispatcher, tracker, domain)]
        say_created(dispatcher, tracker, domain, ticket)
        return [
            SlotSet("order_id", None),
            SlotSet("last_ticket", ticket.id),
            *finish(form, dispatcher, tracker, domain),
        ]


async def refuse(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, rule: str) -> None:
    dispatcher.utter_message(
        response="utter_ticket_refused",
        goods=goods_in_request(tracker.slots),
        kind=word(tracker, domain, tracker.slots["ticket_kind"]),
        rule=await rule_text(tracker, domain, rule),
    )


def say_created(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket) -> None:
    step = f"{ticket.kind}{'' if goods_come_back(ticket) else '_at_once'}" if ticket.decision.auto_approve else "review"
    dispatcher.utter_message(
        response="utter_ticket_created",
        days=ticket.decision.handling_days,
        ticket_id=ticket.id,
        kind=word(tracker, domain, ticket.kind),
        due=day(tracker, ticket.due_on),
        next_step=word(tracker, domain, f"next_step_{step}"),
    )
