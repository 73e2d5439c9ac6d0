"""Why there is no ticket: what the rules say, or a request that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.handoff import say_waiting
from bot.actions.malls import get_desk, get_mall
from bot.actions.orders import cancelled_order, say_order
from bot.actions.request_values import (
    ALL_LINES,
    FAULTS,
    INTENTS,
    chosen_lines,
    goods_in_request,
    lines_of,
    request_of,
    sku_of_size,
)
from bot.actions.tickets import CANCELLABLE, Button, button, ticket_values, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, line_title, minute, rule_text, word
from mall_adapter.eligibility import open_to
from mall_adapter.errors import MallError
from mall_adapter.handoff import ComplaintKind
from mall_adapter.values import Order, OrderLine, Reason, Ticket, TicketKind, Wish


class RefuseAfterSales(Action):
    def name(self) -> str:
        return "action_refuse_after_sales"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: Mapping[str, str] = tracker.get_slot("refusal") or {}
        if ticket_id := refusal.get("ticket"):
            ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
            return say_has_ticket(dispatcher, tracker, domain, ticket)
        if cancelled := await cancelled_order(tracker, refusal.get("order")):
            say_order(dispatcher, tracker, domain, cancelled)
            return Focus(tracker).on("order", cancelled.id).events()
        return await say_refused(dispatcher, tracker, domain, str(refusal.get("rule")))


def say_has_ticket(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket
) -> list[EventType]:
    """Which ticket, where it stands, and what can be done. Another kind needs the ticket to be taken back first."""
    wanted = tracker.get_slot("ticket_kind")
    open_to_change = ticket.status in CANCELLABLE
    response = "order_has_ticket" if open_to_change else "order_ticket_done"
    if open_to_change and wanted and wanted != ticket.kind:
        response = "order_has_other_ticket"
    buttons = [button(word(tracker, domain, "see_progress"), "ticket_status", ticket_id=ticket.id)]
    if open_to_change:
        buttons.append(button(word(tracker, domain, "withdraw_it"), "cancel_ticket", ticket_id=ticket.id))
    dispatcher.utter_message(
        response=f"utter_{response}",
        wish=word(tracker, domain, wanted or "after_sales"),
        buttons=[*buttons, *_ways_out(tracker, domain)],
        **ticket_values(tracker, domain, ticket),
    )
    return Focus(tracker).on("ticket", ticket.id).on("order", ticket.order_id).events()


async def say_refused(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, rule: str) -> list[EventType]:
    """The reason of the rules, and the steps that they would allow. Where the same was said of the same goods a moment
    ago it is said what a person can do instead."""
    slots, focus = tracker.slots, Focus(tracker)
    order = await (await get_mall()).order(tracker.sender_id, slots["order_id"])
    kind, goods = slots.get("ticket_kind"), goods_in_request(slots)
    before = focus.refusal
    told = {name: slots.get(name) for name in ("order_id", "order_line", "ticket_kind", "reason", "opened")}
    focus.on("order", order.id).refused({"flow": "after_sales", **told, "goods": _names(slots), "rule": rule})
    if (before.get("order_id"), before.get("goods"), before.get("rule")) == (order.id, _names(slots), rule):
        steps = await _allowed_steps(tracker, domain)
        await _say_contested(dispatcher, tracker, domain, order, rule, goods, steps)
        return focus.events()
    delivered = minute(tracker, order.delivered_at) if order.delivered_at else ""
    if rule == "not_shipped_exchange" and (stock := await stock_wished(tracker, domain, order)):
        buttons = [*await _allowed_steps(tracker, domain), *_ways_out(tracker, domain)]
        dispatcher.utter_message(response="utter_exchange_not_sent", goods=goods, stock=stock, buttons=buttons)
        return focus.events()
    dispatcher.utter_message(
        response="utter_ticket_refused",
        goods=goods,
        kind=word(tracker, domain, kind or "after_sales"),
        rule=await rule_text(tracker, domain, rule),
        delivered=word(tracker, domain, "was_delivered").format(time=delivered) if delivered else "",
        buttons=[*await _allowed_steps(tracker, domain), *_ways_out(tracker, domain)],
    )
    return focus.events()


async def stock_wished(tracker: Tracker, domain: Domain, order: Order) -> str:
    """Whether the other size or kind that is wished is there, or what is; empty where that cannot be told."""
    chosen = [line for line in order.lines if line.id in lines_of(tracker.slots)]
    if len(chosen) != 1:
        return ""
    try:
        product = await (await get_mall()).product(chosen[0].product_id)
    except MallError:
        return ""
    own, sizes = chosen[0].spec, [str(size) for size in tracker.get_slot("size") or []]
    wished = next((sku for size in reversed(sizes) if (sku := sku_of_size(product.skus, own, size))), None)
    if wished:
        return word(tracker, domain, "spec_there" if wished.available else "spec_gone").format(spec=wished.spec)
    there = "、".join(sku.spec for sku in product.skus if sku.available and sku.spec != own)
    return word(tracker, domain, "specs_there").format(specs=there) if there else ""


def _names(slots: Mapping[str, Any]) -> str:
    """What the goods of the request may be called by."""
    return " ".join(f"{line['title']} {line['category']}" for line in chosen_lines(slots)).lower()


async def _say_contested(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    order: Order,
    rule: str,
    goods: str,
    steps: Sequence[Button] = (),
) -> None:
    """What is disputed, that nothing here goes around it, and who can look at it again."""
    late = rule.endswith("too_late") and order.delivered_at is not None
    delivered = minute(tracker, order.delivered_at) if order.delivered_at else ""
    dispatcher.utter_message(
        response="utter_refusal_contested_late" if late else "utter_refusal_contested",
        goods=goods,
        rule=await rule_text(tracker, domain, rule),
        delivered=delivered,
        buttons=[*steps, wish_button(tracker, domain, "human_handoff")],
    )


class ContestedRefusal(Action):
    """An objection, a plea, or a doubt about the fact that a refusal stands on: it is noted for a colleague."""

    def name(self) -> str:
        return "action_contested"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        refused = focus.refusal
        try:
            order = await (await get_mall()).order(tracker.sender_id, str(refused.get("order_id")))
        except MallError:  # the account is another's now
            return []
        words = "" if turn.tapped else turn.text
        desk = await get_desk()
        await desk.note_complaint(tracker.sender_id, ComplaintKind.OTHER, words, turn.message_id, order_id=order.id)
        focus.on("order", order.id).refused(refused)
        if not await say_waiting(dispatcher, tracker, domain, focus):
            goods = "、".join(line_title(line) for line in order.lines if _is_meant(line, refused))
            await _say_contested(dispatcher, tracker, domain, order, str(refused["rule"]), goods)
        return focus.events()


def _is_meant(line: OrderLine, refused: Mapping[str, Any]) -> bool:
    meant = refused.get("order_line")
    return meant is None or meant == ALL_LINES or line.id in (meant if isinstance(meant, list) else [meant])


async def _allowed_steps(tracker: Tracker, domain: Domain) -> list[Button]:
    """What can be had for these goods instead: the order cancelled, another kind, or this one for a fault."""
    mall, slots = await get_mall(), tracker.slots
    order = await mall.order(tracker.sender_id, slots["order_id"])
    same: dict[str, str] = {"order_id": order.id}
    if open_to(order, Wish.CANCEL):
        return [wish_button(tracker, domain, "cancel_order", **same)]
    if isinstance(line := slots.get("order_line"), str):
        same["order_line"] = line
    kind, reason = slots.get("ticket_kind"), slots.get("reason")

    async def allowed(other_kind: str, other_reason: str) -> bool:
        try:
            decision = await mall.assess(tracker.sender_id, request_of(slots, other_kind, other_reason))
        except MallError:
            return False
        return decision.allowed or bool(decision.missing_facts)

    steps: list[Button] = []
    told = {"reason": reason} if reason else {}
    for other, intent in INTENTS.items():
        if other != kind and await allowed(other, reason or Reason.CHANGED_MIND):
            steps.append(wish_button(tracker, domain, intent, **same, **told))
    if reason not in FAULTS and await allowed(kind or TicketKind.RETURN, Reason.QUALITY):
        name, fault = word(tracker, domain, "has_a_fault"), {"reason": Reason.QUALITY.value}
        steps.append(button(name, "report_problem", **fault, **same, **({"ticket_kind": kind} if kind else {})))
    return steps


def _ways_out(tracker: Tracker, domain: Domain) -> list[Button]:
    """Another order of the same wish, and a person. The order stays at hand: "还是换货" is about it."""
    intent = INTENTS.get(tracker.get_slot("ticket_kind"), INTENTS[TicketKind.RETURN])
    return [
        button(word(tracker, domain, "change_order_id"), intent, change="order_id"),
        wish_button(tracker, domain, "human_handoff"),
    ]
