"""Questions about the rules of the shop: answered from the graph, in the light of the customer's order or request."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.answers import button, cite, find_answers, note_gap, topic_of
from bot.actions.forms import finish
from bot.actions.graphs import get_answering
from bot.actions.malls import get_mall
from bot.actions.order_lookup import OrderLookupForm, OrderQuestion
from bot.actions.orders import say_order
from bot.actions.product_search import ASKS_CHEAPER
from bot.actions.tickets import say_ticket
from bot.actions.turn import Turn
from bot.actions.wording import SHANGHAI, Domain, day, goods, line_title, rule_text, word
from knowledge_graph import Answer, Found, close, sure
from mall_adapter import (
    NotFound,
    Order,
    OrderLine,
    OrderLocked,
    OrderNotFound,
    OrderStatus,
    OwnershipRequired,
    Reason,
    Ticket,
    TicketExists,
    TicketKind,
    TicketRequest,
)

OFFERED = 1 / 3
"""Of the likeliest answer's probability: what an answer must have to be offered beside it."""

NONE_OF_THESE = '/ask_policy{"answer": "none"}'

_MINE = re.compile(
    r"[我这那]的?(?:个|一|张)?(?:订单|单子?)|我[^,，。想要]{0,6}(?:买|拍|下)的"
    r"|(?:my|this|the) (?:order|parcel|package)",
    re.IGNORECASE,
)


class AnswerFromGraph(OrderQuestion):
    @property
    def task(self) -> str:
        return "ask_policy"

    def name(self) -> str:
        return "action_answer_from_graph"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        answering = await get_answering()
        if not answering.ready:
            dispatcher.utter_message(response="utter_answer_away")
            return []
        if key := turn.first("answer"):
            if chosen := answering.answer(key):
                return await self.say(dispatcher, tracker, domain, Found(chosen, 1.0))
            return await self.unknown(dispatcher, tracker, next(Turn.earlier(tracker), None))
        found = await find_answers(tracker, turn)
        if sure(found):
            return await self.say(dispatcher, tracker, domain, found[0])
        if _about_goods(tracker, turn):
            from bot.actions.shopping import ProductInfo  # which itself turns here for rules

            return await ProductInfo().run(dispatcher, tracker, domain)
        if close(found):
            likely = [button(one.answer) for one in found if one.score >= found[0].score * OFFERED]
            none = {"title": word(tracker, domain, "none_of_these"), "payload": NONE_OF_THESE}
            dispatcher.utter_message(response="utter_answer_which", buttons=[*likely, none])
            return []
        return await self.unknown(dispatcher, tracker, turn)

    @staticmethod
    async def unknown(dispatcher: CollectingDispatcher, tracker: Tracker, asked: Turn | None) -> list[EventType]:
        """Nothing fits what was asked: it is counted, and a person is offered."""
        if asked:
            await note_gap(tracker, asked)
        dispatcher.utter_message(response="utter_policy_unknown")
        return []

    async def say(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, found: Found
    ) -> list[EventType]:
        """The answer, and what it means for what the customer has ordered or asked for."""
        answer = found.answer
        decision = tracker.get_slot("decision") if tracker.active_loop_name == "after_sales_form" else None
        ticket = await self._last_ticket(tracker)
        if answer.context == "freight" and (decision or ticket):
            payer = decision["freight_payer"] if decision else ticket.decision.freight_payer if ticket else ""
            dispatcher.utter_message(response=f"utter_freight_of_request_{payer}")
        elif answer.context == "ticket" and ticket and not decision:
            say_ticket(dispatcher, tracker, domain, ticket)
        elif answer.context in ("order", "paid", "delivered", "return"):
            return await self._say_of_order(dispatcher, tracker, domain, found)
        else:
            dispatcher.utter_message(response="utter_answer", answer=answer.text)
        cite(dispatcher, found)
        return []

    async def _say_of_order(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, found: Found
    ) -> list[EventType]:
        turn, order_id = Turn.of(tracker), self.order_in_question(tracker)
        mine = bool(turn.first("order_id") or _MINE.search(turn.text))
        if order_id is None and mine:
            orders = await (await get_mall()).orders_of(tracker.sender_id, limit=2)
            order_id = orders[0].id if len(orders) == 1 else None
        try:
            order = await (await get_mall()).order(tracker.sender_id, order_id) if order_id else None
        except (OrderNotFound, OwnershipRequired, OrderLocked) as why:
            if mine:
                more = {"order_answer": found.answer.id}
                return self.ask_which_order(dispatcher, tracker, domain, order_id, why, more)
            order = None
        if order is None and mine:
            return self.ask_which_order(dispatcher, tracker, domain, None, None, {"order_answer": found.answer.id})
        await say_with_order(dispatcher, tracker, domain, found.answer, order)
        cite(dispatcher, found)
        if order is None or tracker.active_loop_name not in (None, OrderLookupForm.form):
            return []  # an open request keeps its own order
        talked_of = [SlotSet("order_id", order.id)]
        if tracker.get_slot("order_task") != self.task:
            return talked_of
        ended = [ActiveLoop(None), SlotSet("requested_slot", None)]  # the form asked for what has just been named
        return [*ended, *talked_of, *finish(OrderLookupForm(), dispatcher, tracker, domain)]

    async def tell(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order_id: str | None
    ) -> list[EventType] | None:
        """What was asked before ``order_form`` found the order."""
        answer = (await get_answering()).answer(str(tracker.get_slot("order_answer")))
        if answer is None or order_id is None:
            dispatcher.utter_message(response="utter_answer_away")
            return []
        order = await (await get_mall()).order(tracker.sender_id, order_id)
        await say_with_order(dispatcher, tracker, domain, answer, order)
        cite(dispatcher, Found(answer, 1.0))
        return []

    @staticmethod
    async def _last_ticket(tracker: Tracker) -> Ticket | None:
        """The ticket that the conversation was about last."""
        if not (ticket_id := tracker.get_slot("last_ticket")):
            return None
        try:
            return await (await get_mall()).ticket(tracker.sender_id, ticket_id)
        except NotFound:
            return None


def _about_goods(tracker: Tracker, turn: Turn) -> bool:
    """ "空气炸锅" alone, and "再便宜点的" while goods are talked of: no rule, whatever the intent."""
    shown = any(thing["kind"] == "product" for thing in tracker.get_slot("listed") or [])
    talked_of = bool(tracker.get_slot("product_id")) or shown
    named = turn.names_goods and not turn.rest
    return named or (talked_of and bool(ASKS_CHEAPER.search(turn.text)))


class NotHereYet(Action):
    """A wish that the shop cannot fulfil yet; a question about it may have an answer."""

    def name(self) -> str:
        return "action_not_here_yet"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        dispatcher.utter_message(response="utter_not_here_yet")
        found = await find_answers(tracker, Turn.of(tracker))
        if sure(found) and found[0].answer.topic == topic_of(tracker):
            return await AnswerFromGraph().say(dispatcher, tracker, domain, found[0])
        return []


async def answer_if_sure(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType] | None:
    """For messages of which nothing else was understood; None when no answer is sure to be right."""
    found = await find_answers(tracker, Turn.of(tracker))
    return await AnswerFromGraph().say(dispatcher, tracker, domain, found[0]) if sure(found) else None


async def say_with_order(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, answer: Answer, order: Order | None
) -> None:
    """How the order stands, or what the rules say to its return; or, of a rule that holds for some days, whether they
    have passed for this order."""
    if order is None or order.status in (OrderStatus.CANCELLED, OrderStatus.PENDING_PAYMENT):
        dispatcher.utter_message(response="utter_answer", answer=answer.text)
        return
    if answer.reason:
        own = Turn.of(tracker).first("reason")
        reason = Reason(own if own in set(Reason) else answer.reason)
        verdicts = [await _verdict(tracker, domain, order, line, reason) for line in order.lines]
        dispatcher.utter_message(response="utter_answer_of_return", verdicts="\n".join(verdicts))
        return
    if answer.context == "order":
        say_order(dispatcher, tracker, domain, order)
        return
    began = order.placed_at if answer.context == "paid" else order.delivered_at
    values: dict[str, Any] = {"goods": goods(order.lines), "answer": answer.text}
    if began is None or answer.days is None:
        dispatcher.utter_message(response="utter_answer_not_delivered", **values)
        return
    since = began.astimezone(SHANGHAI).date()
    until = since + timedelta(days=answer.days)
    held = "in_time" if datetime.now(SHANGHAI).date() <= until else "too_late"
    dispatcher.utter_message(
        response=f"utter_answer_{held}_{answer.context}",
        since=day(tracker, since),
        until=day(tracker, until),
        **values,
    )


async def _verdict(tracker: Tracker, domain: Domain, order: Order, line: OrderLine, reason: Reason) -> str:
    """What the mall's rules say to returning this line."""
    request = TicketRequest(order.id, TicketKind.RETURN, reason, (line.id,))
    values: dict[str, Any] = {"goods": line_title(line), "reason": word(tracker, domain, reason)}
    try:
        decision = await (await get_mall()).assess(tracker.sender_id, request)
    except TicketExists as error:
        name, values["ticket_id"] = "return_exists", error.ticket.id
    else:
        values["freight"] = word(tracker, domain, f"freight_{decision.freight_payer}")
        if decision.missing_facts:
            name = "return_depends"
        elif decision.allowed:
            name = "may_return" if decision.auto_approve else "may_ask_to_return"
        else:
            name, values["rule"] = "no_return", await rule_text(tracker, domain, decision.rule)
    return word(tracker, domain, name).format_map(values)
