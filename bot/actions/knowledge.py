"""How an answer about the rules of the shop is said: in the light of the ticket, the request or the order it is about.
And what can be done with an order: the buttons that stand beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.answers import cite, say_text
from bot.actions.cancellations import say_money_after_cancelling
from bot.actions.conversation import Conversation
from bot.actions.flow_files import is_task
from bot.actions.focus import Focus
from bot.actions.graphs import get_answering
from bot.actions.handoff import offer_to_upset
from bot.actions.malls import get_mall
from bot.actions.order_choice import (
    NOT_SHOWN,
    cancelled_order_meant,
    missing,
    order_by_words,
    order_meant,
    shown_order,
    tail_told,
)
from bot.actions.order_words import describes_one
from bot.actions.orders import OUT_OF_HAND, cancelled_order, say_order, state_of
from bot.actions.prices import RULE as OF_PRICES
from bot.actions.prices import say_prices
from bot.actions.tickets import Button, say_ticket, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, goods, line_title, rule_text, word
from knowledge_graph import Answer, Found
from mall_adapter.errors import MallError, NotFound, TicketExists
from mall_adapter.values import Order, OrderLine, OrderStatus, Reason, Ticket, TicketKind, TicketRequest
from settings import SHANGHAI

OF_AN_ORDER = frozenset({"order", "paid", "delivered", "return"})
"""Contexts of answers that say more when an order is known."""

OF_A_TICKET = frozenset({"return_exchange", "refund"})
"""Topics of answers that, right after a ticket was made, are about that ticket."""

OF_CANCELLED = "cancelled_money_back"
"""The answer that tells when the money of a cancelled order is back: of an order that is known, its own."""

TOLD_LATELY = 2
"""Turns after which an answer may be told again."""

WAYS: dict[OrderStatus, tuple[str, ...]] = {
    OrderStatus.PENDING_PAYMENT: ("order_status", "cancel_order"),
    OrderStatus.PAID: ("urge_shipment", "change_address", "cancel_order"),
    OrderStatus.PRESALE: ("order_status", "change_address", "cancel_order"),
    OrderStatus.SHIPPED: ("track_parcel", "urge_shipment", "request_refund"),
    OrderStatus.DELIVERED: ("request_return", "request_exchange", "request_invoice"),
    OrderStatus.COMPLETED: ("request_return", "request_invoice"),
    OrderStatus.CANCELLED: (),
}
"""What one mostly wants of an order, by where it stands."""

NOT_SENT = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE})
NOT_SENT_YET = ("cancel_order", "change_address")
"""What may be done with goods that are not wanted and have not left the warehouse."""

REPAIRS: dict[bool, tuple[str, ...]] = {  # of goods that came too late, or of any other problem
    True: ("urge_shipment", "track_parcel", "request_refund"),
    False: ("request_return", "request_exchange", "request_refund"),
}


NO_RULE_FOR = frozenset({OrderStatus.CANCELLED, OrderStatus.PENDING_PAYMENT})
"""How an order stands to which no rule says more than to any other."""

PERSON_DECIDES = "needs_a_person"
"""The row of the decision table that leaves it to somebody."""

OF_TASTE = frozenset({Reason.CHANGED_MIND, Reason.DISLIKE, Reason.WRONG_SIZE})
"""Reasons for which nobody is to blame."""


async def say_answer(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    found: Found,
    focus: Focus,
    may_ask: bool = False,
    chosen: bool = False,
) -> list[EventType]:
    """The answer, and what it means for what the customer has ordered or asked for. Where ``may_ask``, a question about
    an order that is not known yet says nothing and returns what is missing. One that was ``chosen`` from a list is told
    though it was told a moment ago."""
    answer = found.answer
    focus.on("answer", answer.id)
    if await say_money_after_cancelling(dispatcher, tracker, domain, focus):
        return []
    request = tracker.get_slot("decision") if Conversation.of(tracker).open_flow("after_sales") else None
    ticket = await ticket_asked_about(tracker)
    if answer.context == "freight" and (request or ticket):
        payer = request["freight_payer"] if request else ticket.decision.freight_payer if ticket else ""
        dispatcher.utter_message(response=f"utter_freight_of_request_{payer}")
    elif answer.context == "freight" and (of_order := await _freight_of_order(tracker)):
        reason, payer = of_order
        dispatcher.utter_message(response=f"utter_freight_of_order_{payer}", reason=word(tracker, domain, reason))
    elif answer.context == "ticket" and ticket:
        await say_ticket(dispatcher, tracker, domain, ticket, focus)
    elif answer.id == OF_CANCELLED and (cancelled := await _cancelled_order(tracker)):
        say_order(dispatcher, tracker, domain, cancelled, told=focus.at_hand("told") == cancelled.id)
        focus.on("order", cancelled.id).on("told", cancelled.id)
    elif answer.context == "ticket" and (cancelled := await cancelled_order(tracker, focus.at_hand("order"))):
        say_order(dispatcher, tracker, domain, cancelled)
    elif answer.context in OF_AN_ORDER and not (chosen and answer.context == "order"):  # a rule was picked, no state
        return await _say_of_order(dispatcher, tracker, domain, found, focus, may_ask)
    elif ticket and answer.topic in OF_A_TICKET and focus.written.get("id") == ticket.id:
        about = {"ticket_id": ticket.id, "goods": ticket.summary, "answer": answer.text}
        dispatcher.utter_message(response="utter_answer_of_ticket", **about)
    elif not chosen and await say_sentence(dispatcher, tracker, focus, answer, about_it=True):
        return []
    elif not chosen and told_lately(tracker) == answer.id:  # it was no help then
        human = way_buttons(tracker, domain, ["human_handoff"])
        dispatcher.utter_message(response="utter_answer_same", title=answer.title, buttons=human)
    else:
        say_text(dispatcher, answer)
    cite(dispatcher, found)
    return []


async def _freight_of_order(tracker: Tracker) -> tuple[Reason, str] | None:
    """For which reason the order that is talked of would go back, and who pays for that ("customer" or "shop"): the
    reason is that of the message, else of the rule that was just told for this order. None where it is not known."""
    turn, key = Turn.of(tracker), told_lately(tracker)
    told = (await get_answering()).answer(key) if key else None
    known = str(turn.first("reason") or (told.reason if told else ""))
    order = await order_talked_of(tracker, turn) if known in set(Reason) else None
    if order is None:
        return None
    mall, reason, payers = await get_mall(), Reason(known), set[str]()
    for line in order.lines:
        try:
            request = TicketRequest(order.id, TicketKind.RETURN, reason, (line.id,))
            decision = await mall.assess(tracker.sender_id, request)
        except MallError:
            return None
        payers.add(decision.freight_payer if decision.allowed and not decision.missing_facts else "")
    return (reason, payers.pop()) if payers in ({"customer"}, {"shop"}) else None


async def _cancelled_order(tracker: Tracker) -> Order | None:
    """The one that is named, described, or talked of, of those that were cancelled."""
    turn = Turn.of(tracker)
    told = turn.first("order_id") or Focus(tracker).at_hand("order")
    return await cancelled_order(tracker, str(told) if told else None) or await cancelled_order_meant(tracker, turn)


def told_lately(tracker: Tracker) -> str | None:
    """The id of the answer that was told to one of the last messages."""
    told = Focus(tracker).value.get("answer") or {}
    since = Conversation.of(tracker).turn - int(told.get("turn") or 0)
    return told.get("id") if 0 < since <= TOLD_LATELY else None


async def say_sentence(
    dispatcher: CollectingDispatcher, tracker: Tracker, focus: Focus, answer: Answer, about_it: bool = False
) -> bool:
    """Of an answer that was just told, the sentence that this message asks about ("个人也能入驻？"); false where none
    says it, or where that has been said. What is told with an order or a request is told anew, not quoted, and so is
    what is asked of another order. ``about_it``: nothing likelier than this answer was found for the message."""
    turn = Turn.of(tracker)
    if told_lately(tracker) != answer.id or answer.context in ("order", "ticket", "freight") or turn.first("order_id"):
        return False
    answering = await get_answering()
    sentence = await asyncio.to_thread(answering.sentence, turn.words.strip(), answer, about_it)
    if sentence in (None, focus.at_hand("sentence"), answer.text):
        return False
    dispatcher.utter_message(response="utter_answer_sentence", sentence=sentence)
    cite(dispatcher, Found(answer, 1.0))
    focus.on("answer", answer.id).on("sentence", sentence)
    return True


async def ticket_asked_about(tracker: Tracker) -> Ticket | None:
    """The ticket at hand; none while something is to be written, which the question is about then."""
    busy = any(frame["status"] == "open" and is_task(frame["flow"]) for frame in Conversation.of(tracker).stack)
    return None if busy else await ticket_at_hand(tracker)


async def ticket_at_hand(tracker: Tracker) -> Ticket | None:
    """The ticket that has just been made, or that is talked of."""
    focus = Focus(tracker)
    written = focus.written.get("id") if focus.written.get("flow") == "after_sales" else None
    if not (ticket_id := focus.at_hand("ticket") or written):
        return None
    try:
        return await (await get_mall()).ticket(tracker.sender_id, ticket_id)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class Meant:
    """The order that a question is about."""

    order: Order | None = None
    order_id: str | None = None
    error: MallError | None = None
    named: bool = False  # or pointed at: the question is about this order, not about a rule


async def _order_in_question(tracker: Tracker) -> Meant:
    """The order that is named or pointed at, else the one talked of, else the only one there is."""
    turn, mall, sender = Turn.of(tracker), await get_mall(), tracker.sender_id
    told = turn.first("order_id") or tracker.get_slot("order_id")
    of_goods = bool(Focus(tracker).at_hand("product"))
    named = bool(told) or (turn.first("mention") is not None and not of_goods)
    if (order_id := order_meant(tracker, turn)) is None:
        if describes_one(turn) and (described := await order_by_words(tracker, turn)):
            return Meant(described, described.id, named=True)
        orders = await mall.orders_of(sender, limit=2)
        if len(orders) == 1:
            return Meant(orders[0], orders[0].id, named=named)
        bound = bool(orders) or await mall.customer_of(sender) is not None
        return Meant(named=named and not bound)
    try:
        order = await shown_order(tracker, turn, order_id, tail_told(tracker, turn))
        return Meant(order, order_id, named=True)
    except NOT_SHOWN as error:
        return Meant(None, order_id, error, named)


async def _say_of_order(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, found: Found, focus: Focus, may_ask: bool
) -> list[EventType]:
    meant = await _order_in_question(tracker)
    if meant.order is None and meant.named and may_ask:
        return missing(tracker, meant.error, meant.order_id)
    if meant.order and await _state_told(tracker, found.answer):  # "周末发不发" after how the order stands
        about_it = await asyncio.to_thread(
            (await get_answering()).sentence, Turn.of(tracker).words.strip(), found.answer, about_it=True
        )
        dispatcher.utter_message(response="utter_answer", answer=about_it or found.answer.text)
    else:
        await say_with_order(dispatcher, tracker, domain, found.answer, meant.order, meant.named)
    cite(dispatcher, found)
    if meant.order:
        focus.on("order", meant.order.id)
        if found.answer.context == "paid":  # "现在多少钱" goes on about what it costs by now
            focus.on("price", meant.order.id)
    return []


async def _state_told(tracker: Tracker, answer: Answer) -> bool:
    """Whether how the order stands was told to the last question, and is what this answer would tell again."""
    key = told_lately(tracker)
    told = (await get_answering()).answer(key) if key else None
    named = Turn.of(tracker).entities.keys() & {"order_id", "mention", "product", "category", "goods_kind", "day"}
    return answer.context == "order" and told is not None and told.context == "order" and not named


async def say_with_order(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    answer: Answer,
    order: Order | None,
    named: bool = True,
) -> None:
    """How the order stands, or what the rules say to its return; or, of a rule that holds for some days, whether they
    have passed for this order. Where no order is ``named`` the rule comes first."""
    if order is None or order.status in NO_RULE_FOR:
        say_text(dispatcher, answer)
        return
    if answer.id == OF_PRICES and named:
        await say_prices(dispatcher, tracker, domain, Turn.of(tracker), order)
        return
    if answer.reason:
        own = Turn.of(tracker).first("reason")
        reason = Reason(own if own in set(Reason) else answer.reason)
        verdicts = [await _verdict(tracker, domain, order, line, reason) for line in order.lines]
        response = "utter_answer_of_return" if named else "utter_answer_and_return"
        dispatcher.utter_message(response=response, verdicts="\n".join(verdicts), answer=answer.text)
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


# --- what can be done with an order ----------------------------------------------------------------------------------


async def order_talked_of(tracker: Tracker, turn: Turn) -> Order | None:
    """The sender's order that the message names or describes, else the one at hand; None where that cannot be told."""
    order_id = turn.first("order_id")
    if order_id is None and describes_one(turn) and (order := await order_by_words(tracker, turn)):
        return order
    order_id = order_id or Focus(tracker).at_hand("order")
    if order_id is None:
        return None
    try:
        return await (await get_mall()).order(tracker.sender_id, str(order_id))
    except MallError:
        return None


def ways(tracker: Tracker, domain: Domain, order: Order, wished: Collection[str] = ()) -> list[Button]:
    """Buttons for what can be done with the order now, those first that are ``wished``; of one that is late or lost the
    money back before all."""
    first = ("request_refund",) if state_of(order, datetime.now(UTC)) in OUT_OF_HAND else ()
    live = ("ticket_status",) if any(line.open_ticket_id for line in order.lines) else ()
    known = sorted((*live, *WAYS[order.status]), key=lambda intent: (intent not in first, intent not in wished))
    return way_buttons(tracker, domain, known[:3], order_id=order.id)


def way_buttons(tracker: Tracker, domain: Domain, intents: Sequence[str], **told: str | None) -> list[Button]:
    known = {name: value for name, value in told.items() if value}
    return [wish_button(tracker, domain, intent, **known) for intent in intents]


async def say_to_upset(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
) -> None:
    """To a remark of somebody who is upset, and that asks for nothing: that it is understood, and what can be done;
    where a person was offered for that, and is not declined, it goes on from there."""
    if focus.value.get("offered_upset") and not turn.declines:
        await offer_to_upset(dispatcher, tracker, domain, focus)
        return
    order = await order_talked_of(tracker, turn)
    buttons = ways(tracker, domain, order)[:2] if order else []
    buttons = [*buttons, *way_buttons(tracker, domain, ["human_handoff"])]
    dispatcher.utter_message(response="utter_chitchat_troubled", buttons=buttons)


async def say_problem(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    reason: str | None,
    order: Order | None,
    focus: Focus,
) -> None:
    """Sorry for what is wrong with the goods, and the ways to put it right; the ways alone where nothing is wrong.

    Of an order whose goods cannot go back any more the rule is told instead, and a person is offered."""
    repairs = REPAIRS[reason == Reason.LATE_DELIVERY]
    known = Reason(reason) if reason in set(Reason) else None
    if order and known and (rule := await _no_way_back(tracker, order, known)):
        human = way_buttons(tracker, domain, ["human_handoff"])
        told = {"goods": goods(order.lines), "rule": await rule_text(tracker, domain, rule)}
        late = rule.endswith("too_late")
        told |= {"delivered": day(tracker, order.delivered_at) or ""} if late else {}
        response = "utter_problem_too_late" if late else "utter_problem_excluded"
        dispatcher.utter_message(response=response, buttons=human, **told)
        names = " ".join(f"{line_title(line)} {line.category}" for line in order.lines).lower()
        focus.refused({"flow": "after_sales", "order_id": order.id, "reason": known, "goods": names, "rule": rule})
        return
    response = "utter_unwanted" if reason in OF_TASTE else "utter_problem"
    if order and order.status in NOT_SENT and reason in OF_TASTE:
        buttons = way_buttons(tracker, domain, NOT_SENT_YET, order_id=order.id)
        dispatcher.utter_message(response="utter_unwanted_not_sent", goods=goods(order.lines), buttons=buttons)
        return
    buttons = way_buttons(tracker, domain, repairs, order_id=order.id if order else None, reason=reason)
    if order:
        dispatcher.utter_message(response=f"{response}_of_order", goods=goods(order.lines), buttons=buttons)
    else:
        dispatcher.utter_message(response=response, buttons=buttons)


async def _no_way_back(tracker: Tracker, order: Order, reason: Reason) -> str | None:
    """The rule by which nothing of an order that has come can be returned or exchanged for this reason. None where
    something can, where a person decides, or where a ticket is open already."""
    if order.delivered_at is None:
        return None
    mall, rule = await get_mall(), None
    for kind in (TicketKind.RETURN, TicketKind.EXCHANGE):
        for line in order.lines:
            try:
                decision = await mall.assess(tracker.sender_id, TicketRequest(order.id, kind, reason, (line.id,)))
            except MallError:
                return None
            if decision.allowed or decision.missing_facts or decision.rule == PERSON_DECIDES:
                return None
            rule = rule or decision.rule
    return rule
