"""Complaints: heard first, each kind in words of its own, and noted for the operators; then come the facts and what can
be done.

Whoever complains again about the same thing is offered a person, and then gets one. Which order it is about is asked
once at most, and never of mere anger: there the orders are told in which the shop itself sees something wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.answers import find_answers
from bot.actions.conversation import Conversation
from bot.actions.focus import Focus, pointed_at
from bot.actions.handoff import offer_to_upset, say_waiting, waits_for_person
from bot.actions.knowledge import order_talked_of, say_answer, ticket_at_hand, way_buttons, ways
from bot.actions.malls import get_desk, get_mall
from bot.actions.order_choice import CHOICES, SEARCHED, as_choices, order_buttons
from bot.actions.order_questions import order_line
from bot.actions.orders import OUT_OF_HAND, facts, pressure, say_order, state_of, ticket_instead
from bot.actions.questions import answer_question, open_task
from bot.actions.tickets import Button, button, say_ticket
from bot.actions.turn import Turn
from bot.actions.wording import Domain, word
from bot.actions.worry_state import ANGER, felt
from knowledge_graph import sure
from mall_adapter.errors import MallError
from mall_adapter.handoff import ComplaintKind
from mall_adapter.values import Order, OrderStatus, Reason, Ticket

RUNNING = 3
"""Turns within which the next complaint goes on about the same thing."""

ARRIVED = (OrderStatus.DELIVERED, OrderStatus.COMPLETED)

_K = ComplaintKind
OF_ORDERS: dict[ComplaintKind, tuple[OrderStatus, ...]] = {
    _K.HARMED: ARRIVED,
    _K.FAKE: ARRIVED,
    _K.COURIER: (OrderStatus.SHIPPED, OrderStatus.DELIVERED),
    _K.NOT_RECEIVED: (OrderStatus.SHIPPED, OrderStatus.DELIVERED),
}
"""Kinds that are about one order, which may be asked for, and where such an order stands."""

OF_GOODS = {_K.HARMED: Reason.QUALITY, _K.FAKE: Reason.NOT_AS_DESCRIBED}
"""Kinds for which the goods may go back, and why."""

OF_NOTHING_NAMED = (_K.OTHER, _K.PROMISE, _K.COMPENSATION)
"""Kinds that may be about whatever went wrong: where no order is named, those that did are looked up."""

OF_COURIERS = (_K.COURIER, _K.NOT_RECEIVED)
"""Kinds in which the courier can be asked."""

FALSE_CALL = "scam_call"
"""Id of the answer to whoever was promised money by somebody who claims to be the shop: that is no demand."""


class Complain(Action):
    def name(self) -> str:
        return "action_complain"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if order_id := turn.first("enquiry") or tracker.get_slot("enquiry"):  # a tap, or a yes to the offer
            await _enquire(dispatcher, tracker, domain, turn, focus, str(order_id))
            return focus.events()
        before, again = _complained_before(tracker, focus, turn)
        kind = ComplaintKind(turn.first("complaint") or before or _K.OTHER)
        if kind is _K.COMPENSATION and not turn.tapped:
            found = (await find_answers(tracker, turn)).best
            if sure(found) and found[0].answer.id == FALSE_CALL:
                await say_answer(dispatcher, tracker, domain, found[0], focus)
                return focus.events()
        order = await _order_in_question(tracker, turn, focus, kind)
        names_one = turn.first("order_id") or turn.names_goods or pointed_at(turn, focus.listed("order"))
        told = bool(order and names_one and (turn.tapped or focus.at_hand("complained")))  # it was asked for
        await _note(tracker, turn, kind, order.id if order else None, words="" if told else None)
        focus.on("complaint", kind)
        if told:
            focus.on("complained", None)
            await _say_what_can_be_done(dispatcher, tracker, domain, turn, focus, kind, order)
        elif again:
            await _say_again(dispatcher, tracker, domain, turn, focus, order)
        else:
            await _hear(dispatcher, tracker, domain, turn, focus, kind, order)
        return focus.events()


async def tell_order_of_complaint(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, order: Order
) -> bool:
    """An order number that a complaint was waiting for; false when none was."""
    if (waiting := focus.at_hand("complained")) is None:
        return False
    turn, kind = Turn.of(tracker), ComplaintKind(waiting)
    focus.on("complained", None)
    await _note(tracker, turn, kind, order.id, words="")
    await _say_what_can_be_done(dispatcher, tracker, domain, turn, focus, kind, order)
    return True


async def go_on_with_complaint(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
) -> bool:
    """What follows a complaint and means nothing by itself ("那怎么办啊", "家里都问过了"): it is noted beside it, and
    what can be done is told. False where nothing was complained of lately."""
    before, _ = _complained_before(tracker, focus, turn)
    if before is None or open_task(tracker):
        return False
    kind = ComplaintKind(before)
    order = await order_talked_of(tracker, turn)
    await _note(tracker, turn, kind, order.id if order else None)
    if felt(tracker) == ANGER and not turn.asks:
        await _say_again(dispatcher, tracker, domain, turn, focus, order)
    elif turn.asks and (order or kind not in (*OF_COURIERS, _K.OTHER)):
        focus.on("complaint_order_asked", "yes")
        await _say_what_can_be_done(dispatcher, tracker, domain, turn, focus, kind, order)
    else:
        buttons = [*_ways_out(tracker, domain, kind, order, None), *way_buttons(tracker, domain, ["human_handoff"])]
        dispatcher.utter_message(response="utter_complain_more", buttons=buttons)
    return True


def _complained_before(tracker: Tracker, focus: Focus, turn: Turn) -> tuple[str | None, bool]:
    """What was complained of lately, and whether this message says nothing new beside it."""
    heard = focus.value.get("complaint") or {}
    since = Conversation.of(tracker).turn - int(heard.get("turn") or 0)
    if not heard or not 0 <= since <= RUNNING:
        return None, False
    return heard["id"], since > 0 and turn.first("complaint") in (None, heard["id"])


async def _note(
    tracker: Tracker, turn: Turn, kind: ComplaintKind, order_id: str | None, words: str | None = None
) -> None:
    said = ("" if turn.tapped else turn.text) if words is None else words
    await (await get_desk()).note_complaint(tracker.sender_id, kind, said, turn.message_id, order_id=order_id)


# --- which order -----------------------------------------------------------------------------------------------------


async def _order_in_question(tracker: Tracker, turn: Turn, focus: Focus, kind: ComplaintKind) -> Order | None:
    """The order that is pointed at, named, described or talked of, that of the open request, or the only one it can be
    about."""
    pointed = pointed_at(turn, focus.listed("order"))
    if not pointed and (order := await order_talked_of(tracker, turn)):
        return order
    frames = reversed(Conversation.of(tracker).stack)
    asked = next((one["values"]["order_id"] for one in frames if (one.get("values") or {}).get("order_id")), None)
    if isinstance(told := pointed[0]["id"] if pointed else asked, str):
        try:
            return await (await get_mall()).order(tracker.sender_id, told)
        except MallError:
            return None
    candidates = await _candidates(tracker, kind)
    return candidates[0] if len(candidates) == 1 else None


async def _candidates(tracker: Tracker, kind: ComplaintKind) -> Sequence[Order]:
    """The sender's orders that a complaint of this kind can be about, the newest first."""
    orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED) if kind in OF_ORDERS else []
    return [order for order in orders if order.status in OF_ORDERS[kind]][:CHOICES]


# --- what is said ----------------------------------------------------------------------------------------------------


async def _hear(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    turn: Turn,
    focus: Focus,
    kind: ComplaintKind,
    order: Order | None,
) -> None:
    """The first time: a sentence of its own, an answer where something is asked, the facts, what can be done."""
    busy = open_task(tracker)  # then the open request is what can be done
    if busy and kind is _K.COMPENSATION:
        dispatcher.utter_message(response="utter_compensation_decides")
        return
    instead = await ticket_instead(tracker, order) if order and order.delivered_at is None else None
    if kind is _K.NOT_RECEIVED and order and order.status is OrderStatus.SHIPPED and not busy:
        dispatcher.utter_message(response="utter_complain_not_arrived")  # nobody says that it was signed for
        if instead:
            await say_ticket(dispatcher, tracker, domain, instead, focus)
        else:
            say_order(dispatcher, tracker, domain, order, "parcel")
        focus.on("told", order.id).on("order", order.id)
        return
    heard = "utter_complain" if kind is _K.OTHER else f"utter_complain_{kind}"
    dispatcher.utter_message(response=heard, buttons=way_buttons(tracker, domain, ["human_handoff"]) if busy else [])
    if busy:
        return
    answered = looked_up = False
    if turn.asks and kind not in OF_ORDERS:
        answered = (await answer_question(dispatcher, tracker, domain, turn, focus, leaning="complaint")).said
    ticket = None if answered or kind in OF_ORDERS else instead or await ticket_at_hand(tracker)
    if ticket:
        await say_ticket(dispatcher, tracker, domain, ticket, focus)
    elif order and not answered and kind not in OF_ORDERS and kind is not _K.THREAT:
        say_order(dispatcher, tracker, domain, order)
        focus.on("told", order.id)
    elif order is None and not answered and kind in OF_NOTHING_NAMED:
        troubled = await _troubled(tracker)
        shown = {one["id"] for one in focus.listed("order", lately=True)}
        if troubled and not shown >= {one.id for one in troubled}:
            _say_troubled(dispatcher, tracker, domain, focus, troubled)
            order, looked_up = troubled[0] if len(troubled) == 1 else None, True
    waits = await waits_for_person(tracker.sender_id)
    done = looked_up and kind is _K.OTHER  # what was told has its buttons
    if not done and (not waits or kind in OF_ORDERS):  # for anything else the person is waited for
        await _say_what_can_be_done(dispatcher, tracker, domain, turn, focus, kind, order, ticket)
    if waits:
        await say_waiting(dispatcher, tracker, domain, focus)


async def _say_again(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus, order: Order | None
) -> None:
    """The second time: what has not been said yet, and a person."""
    if turn.asks:
        await answer_question(dispatcher, tracker, domain, turn, focus, leaning="complaint")
    if await waits_for_person(tracker.sender_id):
        await say_waiting(dispatcher, tracker, domain, focus)
        return
    if order and not open_task(tracker) and focus.at_hand("told") != order.id:
        say_order(dispatcher, tracker, domain, order, "parcel")
        focus.on("told", order.id).on("order", order.id)
    await offer_to_upset(dispatcher, tracker, domain, focus)


async def _troubled(tracker: Tracker) -> list[Order]:
    """The sender's orders in which the shop itself sees something wrong, the worst first, but for those that a ticket
    has taken up."""
    now = datetime.now(UTC)
    orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
    wrong = [order for order in orders if state_of(order, now) in OUT_OF_HAND]
    found = [order for order in wrong if await ticket_instead(tracker, order) is None]
    return sorted(found, key=lambda order: pressure(state_of(order, now)))[:CHOICES]


def _say_troubled(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, orders: Sequence[Order]
) -> None:
    """The only one in full, several in a list."""
    if len(orders) == 1:
        say_order(dispatcher, tracker, domain, orders[0], "worry")
        focus.on("told", orders[0].id)
        return
    now, human = datetime.now(UTC), way_buttons(tracker, domain, ["human_handoff"])
    lines = [order_line(tracker, domain, order, place, now) for place, order in enumerate(orders, 1)]
    buttons = [*order_buttons(orders, "track_parcel"), *human]
    dispatcher.utter_message(response="utter_complain_troubled", orders="\n".join(lines), buttons=buttons)
    focus.on("order", None).on_list(as_choices(orders, tracker, domain))


async def _say_what_can_be_done(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    turn: Turn,
    focus: Focus,
    kind: ComplaintKind,
    order: Order | None,
    ticket: Ticket | None = None,
) -> None:
    if order:
        focus.on("order", order.id)
    elif kind in OF_ORDERS and not focus.at_hand("complaint_order_asked"):
        await _ask_which(dispatcher, tracker, domain, focus, kind)
        return
    shown = _titles(dispatcher, domain)
    buttons = [*_ways_out(tracker, domain, kind, order, ticket), *way_buttons(tracker, domain, ["human_handoff"])]
    buttons = [one for one in buttons if not any(one["title"] in title for title in shown)]  # "退款" is "申请退款"
    if kind is not _K.OTHER and (order or kind not in OF_COURIERS):
        told = word(tracker, domain, "last_scan" if kind in OF_COURIERS else "of_goods") if order else ""
        about = told.format_map(facts(tracker, domain, order)) if order else ""
        dispatcher.utter_message(response=f"utter_complain_ways_{kind}", about=about, buttons=buttons)
    elif buttons:
        dispatcher.utter_message(response="utter_complain_ways", buttons=buttons)


async def _ask_which(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, kind: ComplaintKind
) -> None:
    """Once. Until it is told the complaint waits, and nothing is insisted on."""
    focus.on("complained", kind).on("complaint_order_asked", "yes")
    human = way_buttons(tracker, domain, ["human_handoff"])
    orders = await _candidates(tracker, kind)
    if choices := as_choices(orders, tracker, domain):
        focus.on_list(choices)
        told = order_buttons(orders, "complain")
        listed = "\n".join(f"{place}. {one['title']}" for place, one in enumerate(choices, 1))
        dispatcher.utter_message(response="utter_complain_which", orders=listed, buttons=[*told, *human])
    else:
        bound = await (await get_mall()).customer_of(tracker.sender_id)
        bind = [] if bound else way_buttons(tracker, domain, ["bind_account"])
        dispatcher.utter_message(response="utter_complain_number", buttons=[*bind, *human])


def _ways_out(
    tracker: Tracker, domain: Domain, kind: ComplaintKind, order: Order | None, ticket: Ticket | None
) -> list[Button]:
    """What the customer can have done at once; without an order, what is mostly behind a complaint."""
    if ticket:
        return way_buttons(tracker, domain, ["ticket_status"])
    if kind in OF_COURIERS:
        return [button(word(tracker, domain, "enquiry"), "complain", enquiry=order.id)] if order else []
    if order is None:
        return way_buttons(tracker, domain, ["report_problem", "track_parcel"]) if kind is _K.OTHER else []
    if order.status in ARRIVED and not any(line.open_ticket_id for line in order.lines):
        told = {"order_id": order.id, "reason": OF_GOODS.get(kind, Reason.QUALITY)}
        return way_buttons(tracker, domain, ["request_return", "request_exchange"], **told)
    return ways(tracker, domain, order)[:2]


def _titles(dispatcher: CollectingDispatcher, domain: Domain) -> set[str]:
    """Of the buttons that stand below what has been said already."""
    said = dispatcher.messages
    own = [one for message in said for one in message.get("buttons") or ()]
    of_domain = [variant for message in said for variant in domain["responses"][message["response"]]]
    return {one["title"] for one in (*own, *(one for variant in of_domain for one in variant.get("buttons") or ()))}


# --- asking the courier ----------------------------------------------------------------------------------------------


async def _enquire(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus, order_id: str
) -> None:
    """Noted for the operators, who ask: nothing here reaches a courier by itself."""
    kind = ComplaintKind(focus.at_hand("complaint") or _K.COURIER)
    try:
        order = await (await get_mall()).order(tracker.sender_id, order_id)
    except MallError:  # the button is an old one, of an account that is no longer bound
        dispatcher.utter_message(response="utter_complain_number")
        focus.on("complained", kind)
        return
    desk = await get_desk()
    await desk.note_complaint(tracker.sender_id, kind, "", turn.message_id, order_id=order.id, enquiry=True)
    focus.on("complaint", kind).on("order", order.id)
    human = way_buttons(tracker, domain, ["human_handoff"])
    dispatcher.utter_message(response="utter_enquiry_noted", buttons=human, **facts(tracker, domain, order))
