"""How far a return, an exchange or a refund is; and the money of an order that was cancelled, which needs no ticket.

"有进展了吗", which names nothing, is about the matter that was talked of last, whatever it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.cancellations import say_money_after_cancelling
from bot.actions.conversation import Conversation
from bot.actions.flow_files import is_task
from bot.actions.focus import Focus, pointed_at
from bot.actions.handoff import say_waiting
from bot.actions.invoices import invoice_values
from bot.actions.malls import get_mall
from bot.actions.order_choice import (
    NOT_SHOWN,
    SEARCHED,
    cancelled_order_meant,
    missing,
    not_shown,
    order_buttons,
    shown_order,
    tail_told,
)
from bot.actions.order_words import meant_by_words
from bot.actions.orders import cancelled_order, say_order
from bot.actions.tickets import (
    SHOWN_AT_ONCE,
    of_goods,
    say_tickets,
    sent_back,
    ticket_meant,
    tickets_in_question,
    wish_button,
)
from bot.actions.turn import Turn
from bot.actions.wording import Domain, word
from mall_adapter.errors import MallError, NotFound
from mall_adapter.values import Ticket, TicketKind

PLAINLY, AS_WELL = 0.7, 0.25
"""Confidence below which a question about tickets may be one about orders, and what must speak for that."""

JUST_TOLD = 2
"""Turns in which a question about the money or the progress goes on about the request that was told."""

_NAMES = frozenset({"order_id", "ticket_id", "ticket_kind", "ordinal", "product", "category", "brand", "goods_kind"})
"""Entities of a message that says itself what it is about."""

_OF_ORDERS = ("order_status", "track_parcel", "urge_shipment")


def last_matter(focus: Focus) -> str | None:
    """What was talked of last: an ``invoice`` that was asked for, a ``ticket``, a ``complaint``, an ``order``, or
    several orders that were ``listed``."""
    turns = {kind: int((focus.value.get(kind) or {}).get("turn", -1)) for kind in ("ticket", "complaint", "order")}
    written = focus.written
    turns["invoice"] = int(written["turn"]) if written.get("flow") == "request_invoice" else -1
    several = len(focus.listed("order", lately=True)) > 1
    turns["listed"] = int(focus.value["listed"]["turn"]) if several else -1
    kinds = ("invoice", "ticket", "complaint", "order", "listed")  # of two of one turn the first
    known = [kind for kind in kinds if turns[kind] >= 0 and (kind not in ("ticket", "order") or focus.at_hand(kind))]
    return max(known, key=lambda kind: turns[kind], default=None)


def _of_anything(turn: Turn) -> bool:
    """ "好了吗", "查到了没": how far something is, which may as well be an order."""
    if sent_back(turn):
        return False
    of_orders = sum(turn.ranking.get(intent, 0.0) for intent in _OF_ORDERS)
    named = turn.first("ticket_kind") or turn.first("ticket_id")
    return turn.confidence < PLAINLY and (of_orders >= AS_WELL or not named)


async def _of_goods(tracker: Tracker, turn: Turn, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
    """Those of the goods that are named, by their names or by their shelf; all where none are named."""
    if fitting := of_goods(turn, tickets):
        return fitting
    orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
    ids = {order.id for order in meant_by_words(turn, orders)}
    return [ticket for ticket in tickets if ticket.order_id in ids]


class TicketStatusAction(Action):
    def name(self) -> str:
        return "action_ticket_status"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, turn, focus = await get_mall(), Turn.of(tracker), Focus(tracker)
        bare = "progress" in turn.acts and not turn.tapped and turn.entities.keys().isdisjoint(_NAMES)
        if bare and await self._say_last_matter(dispatcher, tracker, domain, focus):
            return focus.events()
        if await say_money_after_cancelling(dispatcher, tracker, domain, focus):
            return focus.events()
        order_id = self._order(tracker, turn, focus)
        named = turn.first("ticket_id") or (None if order_id else ticket_meant(turn, focus))
        lately = None if order_id or named else await self._just_told(tracker, turn, focus)
        if not (order_id or named or lately) and _of_anything(turn):
            intents = ("ticket_status", "order_status", "human_handoff")
            buttons = [wish_button(tracker, domain, intent) for intent in intents]
            dispatcher.utter_message(response="utter_progress_which", buttons=buttons)
            return []
        if lately:
            return await say_tickets(dispatcher, tracker, domain, [lately])
        unknown = False
        if named:
            try:
                return await say_tickets(
                    dispatcher, tracker, domain, [await mall.ticket(tracker.sender_id, str(named))]
                )
            except NotFound:
                unknown = turn.first("ticket_id") is not None
        try:
            if order_id:
                await shown_order(tracker, turn, order_id, tail_told(tracker, turn))
            tickets = await tickets_in_question(tracker.sender_id, order_id)
        except NOT_SHOWN as error:
            return not_shown(dispatcher, tracker, error, str(order_id))
        if unknown and tickets:
            dispatcher.utter_message(response="utter_ticket_not_found", detail=str(named))
        talked_of = not tickets or focus.written.get("flow") == "cancel_order"
        elsewhere = named or turn.names_goods or turn.first("ticket_kind") in (TicketKind.RETURN, TicketKind.EXCHANGE)
        about = order_id or (focus.at_hand("order") if talked_of and not elsewhere else None)
        cancelled = await cancelled_order(tracker, about)
        if not (order_id or named):
            cancelled = await cancelled_order_meant(tracker, turn) or cancelled
        if cancelled and not any(ticket.order_id == cancelled.id for ticket in tickets):
            say_order(dispatcher, tracker, domain, cancelled)  # its money needs no ticket
            return focus.on("order", cancelled.id).events()
        kind = turn.first("ticket_kind")
        if tickets and kind == TicketKind.EXCHANGE and not any(ticket.kind == kind for ticket in tickets):
            begin = [wish_button(tracker, domain, "request_exchange")]
            dispatcher.utter_message(
                response="utter_no_ticket_of_kind", kind=word(tracker, domain, kind), buttons=begin
            )
        if tickets and (fitting := await _of_goods(tracker, turn, tickets)):
            return await say_tickets(dispatcher, tracker, domain, fitting[:SHOWN_AT_ONCE])
        if tickets:
            name = str(turn.first("product") or turn.first("category") or turn.first("brand"))
            buttons = [wish_button(tracker, domain, intent) for intent in ("order_status", "human_handoff")]
            dispatcher.utter_message(response="utter_no_ticket_of_goods", name=name, buttons=buttons)
            return []
        if order_id is None and await mall.customer_of(tracker.sender_id):
            dispatcher.utter_message(response="utter_no_tickets")
            return []
        order_id = order_id or focus.at_hand("order")
        if order_id is None:
            return missing(tracker, None, None)
        dispatcher.utter_message(response="utter_no_ticket", order_id=order_id)
        return focus.on("order", order_id).events()

    @staticmethod
    async def _just_told(tracker: Tracker, turn: Turn, focus: Focus) -> Ticket | None:
        """The refund that was told a moment ago, or the request that was told just now and whose order is still talked
        of, where the message names no other thing: it goes on about that."""
        told, names = focus.at_hand("ticket"), _NAMES - {"ticket_kind"}
        since = Conversation.of(tracker).turn - int((focus.value.get("ticket") or {}).get("turn") or 0)
        lately = since <= JUST_TOLD and last_matter(focus) in ("ticket", "order")
        if told is None or "all" in turn.acts or names & turn.entities.keys():
            return None
        if told != focus.at_hand("settled") and not lately:
            return None
        try:
            ticket = await (await get_mall()).ticket(tracker.sender_id, told)
        except NotFound:
            return None
        elsewhere = focus.at_hand("order") not in (None, ticket.order_id)
        return ticket if not elsewhere and turn.first("ticket_kind") in (None, ticket.kind) else None

    @staticmethod
    async def _say_last_matter(
        dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus
    ) -> bool:
        """False where it is a ticket or an order that is known by more than its number: these are told below."""
        matter = last_matter(focus)
        if await say_waiting(dispatcher, tracker, domain, focus, asked=True):
            return True
        if any(is_task(frame["flow"]) and frame["status"] == "open" for frame in Conversation.of(tracker).stack):
            dispatcher.utter_message(response="utter_progress_unsent")  # what it still lacks is asked behind it
            return True
        human = wish_button(tracker, domain, "human_handoff")
        if matter == "listed":
            known = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
            ids = [thing["id"] for thing in focus.listed("order")]
            orders = sorted((order for order in known if order.id in ids), key=lambda order: ids.index(order.id))
            buttons = order_buttons(orders, "track_parcel")
            dispatcher.utter_message(response="utter_which_order", buttons=buttons)
            return True
        if matter == "complaint":
            dispatcher.utter_message(response="utter_progress_complaint", buttons=[human])
            return True
        try:
            order_id = str(focus.written.get("order") if matter == "invoice" else focus.at_hand("order"))
            mall = await get_mall()
            if matter == "invoice" and (invoice := await mall.invoice_of(tracker.sender_id, order_id)):
                shown = invoice_values(tracker, domain, invoice)
                dispatcher.utter_message(response="utter_invoice_progress", buttons=[human], **shown)
                focus.on("order", order_id).on("invoice", order_id)
                return True
            if matter == "order":
                order = await mall.order(tracker.sender_id, order_id)
                say_order(dispatcher, tracker, domain, order, told=focus.at_hand("told") == order.id)
                focus.on("order", order.id).on("told", order.id)
                return True
        except MallError:
            matter = None
        if matter is None:
            intents = ("ticket_status", "order_status", "human_handoff")
            buttons = [wish_button(tracker, domain, intent) for intent in intents]
            dispatcher.utter_message(response="utter_progress_which", buttons=buttons)
        return matter is None

    @staticmethod
    def _order(tracker: Tracker, turn: Turn, focus: Focus) -> str | None:
        """Only an order that is named or pointed at: the tickets of a customer are few, and most of them have one."""
        told = tracker.get_slot("order_id")
        if named := turn.first("order_id"):
            return str(named)
        if isinstance(told, str) and told:
            return told
        if pointed := pointed_at(turn, focus.listed("order")):
            return pointed[0]["id"]
        return focus.at_hand("order") if turn.first("mention") and not focus.at_hand("ticket") else None
