"""Return, exchange and refund: the after-sales form and the ticket that it ends in."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.order_choice import OrderChoiceForm, Slots, forget_request, problem
from bot.actions.tickets import goods_come_back
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
)

BASICS = ("order_id", "phone_tail", "order_line", "ticket_kind", "reason")
"""What every request needs; the decision table may ask for more."""

FREE_TEXT_INTENTS = frozenset({"inform", "nlu_fallback", "complain", "report_problem", "out_of_scope", "chitchat"})
"""Messages that may be a reason in the customer's own words; any other clear intent is a digression."""

KINDS = {
    "request_return": TicketKind.RETURN,
    "request_exchange": TicketKind.EXCHANGE,
    "request_refund": TicketKind.REFUND,
}
CLEAR = 0.4
"""Confidence from which an intent is taken at its word while another answer is expected."""

ALL_LINES = "all"
NOTE_CHARACTERS = 200
ORDINALS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5}


def choose_line(text: str, choices: list[dict[str, str]]) -> str | None:
    """The line that is meant by ``全部``, ``第二个``, ``2`` or a part of its name; None when that is not clear."""
    if re.search(r"全部|都(要|退|换)|所有|整单|一起|[两俩]个?都", text):
        return ALL_LINES
    ordinal = re.fullmatch(r"\s*(?:第)?([1-9一二两三四五])(?:个|件|样|款)?\s*(?:吧|的|商品)?\s*", text)
    if ordinal:
        place = ORDINALS.get(ordinal[1]) or int(ordinal[1])
        return choices[place - 1]["id"] if place <= len(choices) else None
    # the choice that shares most pairs of characters with what was said, if it is alone in that
    pairs = {text[i : i + 2] for i in range(len(text) - 1)}
    scores = sorted(
        ((sum(pair in choice["title"] for pair in pairs), choice["id"]) for choice in choices), reverse=True
    )
    if not scores or scores[0][0] == 0 or (len(scores) > 1 and scores[0][0] == scores[1][0]):
        return None
    return scores[0][1]


def request_of(tracker: Tracker) -> TicketRequest:
    """The request that the slots describe. Raises KeyError or ValueError when the basics are not all there."""
    line, opened = tracker.slots["order_line"], tracker.get_slot("opened")
    choices = tracker.get_slot("order_lines") or []
    return TicketRequest(
        order_id=tracker.slots["order_id"],
        kind=TicketKind(tracker.slots["ticket_kind"]),
        reason=Reason(tracker.slots["reason"]),
        line_ids=tuple(choice["id"] for choice in choices) if line == ALL_LINES else (line,),
        opened=None if opened is None else opened == "yes",
        note=tracker.get_slot("note") or "",
    )


def own_words(tracker: Tracker) -> str:
    text: str = tracker.latest_message.get("text") or ""
    return text.strip()[:NOTE_CHARACTERS]


def goods_in_request(tracker: Tracker) -> str:
    line, choices = tracker.get_slot("order_line"), tracker.get_slot("order_lines") or []
    return "、".join(choice["title"] for choice in choices if line in (ALL_LINES, choice["id"]))


class ValidateAfterSalesForm(OrderChoiceForm):
    """``after_sales_form``: the missing ones of ``BASICS`` first, then what the mall's rules still have to know."""

    order_dependent: ClassVar[Slots] = {
        "order_line": None,
        "order_lines": None,
        "opened": None,
        "decision": None,
        "confirm": None,
        "change": None,
    }
    undecided: ClassVar[Slots] = {"decision": None, "confirm": None, "change": None}

    def name(self) -> str:
        return "validate_after_sales_form"

    async def required_slots(
        self, domain_slots: list[str], dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> list[str]:
        decision = tracker.get_slot("decision")
        if not decision:
            return list(BASICS)
        if decision["missing_facts"]:
            return [*BASICS, *decision["missing_facts"]]
        if not decision["allowed"]:
            return list(BASICS)  # nothing more to ask: the action that follows says why
        return [*BASICS, "change" if tracker.get_slot("confirm") is False else "confirm"]

    async def accept(self, order: Order, tracker: Tracker) -> Slots:
        free = [line for line in order.lines if line.open_ticket_id is None]
        if not free:
            taken = problem("order_has_ticket", f"{order.id}|{order.lines[0].open_ticket_id}")
            return {"order_id": None, "phone_tail": None, **taken}
        return {
            **await super().accept(order, tracker),
            "order_lines": [{"id": line.id, "title": line_title(line)} for line in free],
            "order_line": free[0].id if len(free) == 1 else None,
        }

    async def extract_order_line(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> Slots:
        if tracker.get_slot("requested_slot") != "order_line" or tracker.get_slot("order_line"):
            return {}
        chosen = choose_line(tracker.latest_message.get("text") or "", tracker.get_slot("order_lines") or [])
        return {"order_line": chosen} if chosen else {}

    async def extract_ticket_kind(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> Slots:
        """Another kind than before must be said clearly: a short answer to a question is easily taken for it."""
        kind = KINDS.get(tracker.get_intent_of_latest_message(skip_fallback_intent=False))
        known = tracker.get_slot("ticket_kind")
        if kind is None:
            return {}
        clear = known is None or tracker.latest_message["intent"]["confidence"] >= CLEAR
        return {"ticket_kind": kind.value if clear else known}

    async def extract_reason(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> Slots:
        if tracker.get_slot("requested_slot") != "reason" or tracker.get_slot("reason"):
            return {}
        intent = tracker.latest_message["intent"]
        unclear = intent["name"] in FREE_TEXT_INTENTS or intent["confidence"] < CLEAR
        if not unclear or tracker.latest_message.get("entities"):
            return {}
        return {"reason": Reason.OTHER.value} if len(own_words(tracker)) > 1 else {}

    async def validate_order_line(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        known = {ALL_LINES, *(choice["id"] for choice in tracker.get_slot("order_lines") or [])}
        return {"order_line": value if value in known else None, **self.undecided}

    async def validate_ticket_kind(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        return {"ticket_kind": value if value in set(TicketKind) else None, **self.undecided}

    async def validate_reason(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        named = next(tracker.get_latest_entity_values("reason"), None)
        note = own_words(tracker) if value == Reason.OTHER and named is None else None
        return {"reason": value if value in set(Reason) else None, "note": note, **self.undecided}

    async def validate_opened(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        return {"opened": value if value in ("yes", "no") else None, **self.undecided}

    async def validate_confirm(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        return {"confirm": value if isinstance(value, bool) else None}

    async def validate_change(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> Slots:
        if value == "order_id":
            return {"order_id": None, "phone_tail": None, **self.order_dependent}
        if value in ("reason", "ticket_kind"):
            return {value: None, "note": None, **self.undecided}
        return {"change": None}

    async def extra_slots(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> Slots:
        """Asks the mall's rules as soon as the basics are known."""
        if any(tracker.get_slot(name) is None for name in BASICS):
            return {"decision": None} if tracker.get_slot("decision") else {}
        if tracker.get_slot("decision"):
            return {}
        try:
            decision = await (await get_mall()).assess(tracker.sender_id, request_of(tracker))
        except TicketExists as error:
            taken = problem("order_has_ticket", f"{error.ticket.order_id}|{error.ticket.id}")
            return {**self.order_dependent, "order_id": None, "phone_tail": None, **taken}
        return {"decision": decision_slot(decision)}


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
        choices = [*(tracker.get_slot("order_lines") or []), {"id": ALL_LINES, "title": word(domain, "whole_order")}]
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
            kind=word(domain, tracker.slots["ticket_kind"]),
            goods=goods_in_request(tracker),
            order_id=tracker.slots["order_id"],
            reason=tracker.get_slot("note") or word(domain, reason),
            money=word(domain, "refund_amount").format(amount=yuan(cents)) if cents else "",
            freight=word(domain, f"freight_{decision['freight_payer']}"),
            days=decision["handling_days"],
        )
        return []


class CreateReturnTicket(Action):
    """Writes the ticket that was confirmed, or says why there will be none."""

    def name(self) -> str:
        return "action_create_return_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if tracker.get_slot("confirm") is not True:
            await self._refuse(dispatcher, tracker, domain, tracker.slots["decision"]["rule"])
            return forget_request()
        try:
            ticket = await (await get_mall()).create_ticket(
                tracker.sender_id, request_of(tracker), idempotency_key=tracker.slots["request_key"]
            )
        except NotAllowed as error:  # the rules or the clock moved on between the summary and the yes
            await self._refuse(dispatcher, tracker, domain, error.decision.rule)
            return forget_request()
        except TicketExists as error:
            dispatcher.utter_message(response="utter_ticket_exists", ticket_id=error.ticket.id)
            return forget_request("order_id")
        self._tell(dispatcher, domain, ticket)
        return forget_request("order_id")

    @staticmethod
    async def _refuse(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, rule: str) -> None:
        dispatcher.utter_message(
            response="utter_ticket_refused",
            goods=goods_in_request(tracker),
            kind=word(domain, tracker.slots["ticket_kind"]),
            rule=await rule_text(domain, rule),
        )

    @staticmethod
    def _tell(dispatcher: CollectingDispatcher, domain: Domain, ticket: Ticket) -> None:
        step = (
            f"{ticket.kind}{'' if goods_come_back(ticket) else '_at_once'}"
            if ticket.decision.auto_approve
            else "review"
        )
        dispatcher.utter_message(
            response="utter_ticket_created",
            days=ticket.decision.handling_days,
            ticket_id=ticket.id,
            kind=word(domain, ticket.kind),
            due=day(ticket.due_on),
            next_step=word(domain, f"next_step_{step}"),
        )
