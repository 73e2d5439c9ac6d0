"""What the house does in every flow (bot/data/flows/patterns.yml): stops, comes back, notes, reminds, repeats; and what
it says to a message that it has not understood or that holds nothing but values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActionExecuted, ConversationPaused, EventType, SessionStarted, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.answers import note_gap
from bot.actions.complaints import go_on_with_complaint, tell_order_of_complaint
from bot.actions.conversation import Conversation, ask
from bot.actions.flow_files import flow_files, intents_of, is_task, slots_of
from bot.actions.focus import Focus, pointed_at
from bot.actions.handoff import note_misunderstood, say_waiting, stop_waiting, waits_for_person
from bot.actions.knowledge import order_talked_of, say_problem, ticket_at_hand, way_buttons, ways
from bot.actions.malls import get_mall
from bot.actions.order_choice import order_buttons, order_title, orders_to_choose, own_order_meant
from bot.actions.product_reference import goes_on
from bot.actions.questions import answer_question, open_task, say_unknown
from bot.actions.shop_product import shop_products
from bot.actions.tickets import CANCELLABLE, Button, button, say_ticket, wish_button
from bot.actions.turn import Turn
from bot.actions.weighing import Leaning
from bot.actions.wording import Domain, goods, has_response, minute, title, word
from mall_adapter import (
    MallError,
    NotFound,
    Order,
    OrderLocked,
    OrderNotFound,
    OwnershipRequired,
    Ticket,
    WrongPhoneTail,
)

LOST = 3
"""Messages in a row that were not understood, after which a person is offered."""

GUESSES = 2
"""Likely readings that are offered as buttons."""

LIKELY = 0.3
"""Confidence from which the likeliest reading is worth a button; fewer and none is better than any."""

ALSO_LIKELY = 0.15
"""The same for the second."""

A_WORD = 2
"""Characters that a bare "算了" has at most, apart from particles."""

JUST_MADE = timedelta(minutes=10)
"""Age of a ticket that may have been made by the very request that is now given up."""

_QUESTIONS = frozenset({"ask_policy", "ask_promotion"})
"""Intents that a button cannot stand for: what is asked is in the words."""

_NO_GUESS = _QUESTIONS | {
    *("nlu_fallback", "inform", "affirm", "deny", "correct", "stop", "out_of_scope", "chitchat", "complain"),
    *("worry_delivery", "greet", "goodbye", "thank", "bot_challenge", "ask_help", "rate_service"),
}

_CONTROL = ("problem", "missing", "refusal", "summary", "confirmed", "proposal", "change", "heard")
"""Slots that mean nothing after a day."""


# --- not understood --------------------------------------------------------------------------------------------------


class NotUnderstood(Action):
    """What is sure comes first, then likely readings, then other words with what can be done, then a person."""

    def name(self) -> str:
        return "action_not_understood"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        lost = int((tracker.get_slot("dialogue") or {}).get("lost") or 0)
        if lost:  # else it is a question at a summary, which was understood as far as it goes
            await note_misunderstood(tracker, turn)
        if _only_corrects(turn):
            dispatcher.utter_message(response="utter_correct")
            return focus.events()
        # what is asked comes before what is told beside it; values alone say what they are good for
        say = (self._say_answer, self._say_values) if turn.asks else (self._say_values, self._say_answer)
        if not (
            await say[0](dispatcher, tracker, domain, turn, focus)
            or await say[1](dispatcher, tracker, domain, turn, focus)
        ):
            await self._ask_otherwise(dispatcher, tracker, domain, turn, focus, lost)
        return focus.events()

    @staticmethod
    async def _say_answer(
        dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
    ) -> bool:
        about_goods = not open_task(tracker) and (turn.names_goods or await goes_on(tracker, turn))
        leaning: Leaning = "goods" if about_goods else "none"
        return (await answer_question(dispatcher, tracker, domain, turn, focus, leaning=leaning)).said

    @staticmethod
    async def _say_values(
        dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
    ) -> bool:
        return not open_task(tracker) and await _say_values(dispatcher, tracker, domain, turn, focus)

    @staticmethod
    async def _ask_otherwise(
        dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus, lost: int
    ) -> None:
        if await say_waiting(dispatcher, tracker, domain, focus):
            return
        if lost < LOST and await go_on_with_complaint(dispatcher, tracker, domain, turn, focus):
            return
        if lost >= LOST:
            dispatcher.utter_message(
                response="utter_offer_human", buttons=[wish_button(tracker, domain, "human_handoff")]
            )
            return
        likeliest = max(turn.ranking, key=lambda name: turn.ranking[name], default="")
        if turn.asks and (open_task(tracker) or likeliest in _QUESTIONS):
            await say_unknown(dispatcher, tracker, domain, focus, turn)
            return
        if turn.asks:
            await note_gap(turn)
        if turn.intent == "correct" or "correction" in turn.acts:
            dispatcher.utter_message(response="utter_correct")
        elif lost <= 1 and (guesses := _guesses(turn, tracker, domain)):
            none = button(word(tracker, domain, "none_of_these"), "inform", answer="none")
            response = "utter_did_you_mean" if len(guesses) > 1 else "utter_did_you_mean_one"
            dispatcher.utter_message(response=response, guess=guesses[0]["title"], buttons=[*guesses, none])
        elif lost <= 1 and not turn.asks:
            dispatcher.utter_message(response="utter_go_on")
        elif not await _say_what_can_be_done(dispatcher, tracker, domain, turn):
            general = ("request_return", "order_status", "human_handoff")
            response = "utter_not_understood_again" if lost > 1 else "utter_default"
            dispatcher.utter_message(response=response, buttons=way_buttons(tracker, domain, general))


def _guesses(turn: Turn, tracker: Tracker, domain: Domain) -> list[Button]:
    """Buttons for the likeliest readings, each title once."""
    ruled_out = _NO_GUESS | intents_of("not_here_yet")
    by_title: dict[str, Button] = {}
    for name, confidence in sorted(turn.ranking.items(), key=lambda guess: -guess[1]):
        if (
            confidence >= (ALSO_LIKELY if by_title else LIKELY)
            and name not in ruled_out
            and has_response(domain, f"utter_title_{name}")
        ):
            by_title.setdefault(title(tracker, domain, name), wish_button(tracker, domain, name))
    return list(by_title.values())[:GUESSES]


def _only_corrects(turn: Turn) -> bool:
    """ "说错了", and not what is right."""
    return (turn.intent == "correct" or "correction" in turn.acts) and len(turn.rest) <= A_WORD


async def _say_what_can_be_done(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn) -> bool:
    """With the ticket, the order or the goods at hand; false when there is nothing at hand."""
    human = wish_button(tracker, domain, "human_handoff")
    if (ticket := await ticket_at_hand(tracker)) and ticket.status in CANCELLABLE:
        take_back = wish_button(tracker, domain, "cancel_ticket", ticket_id=ticket.id)
        buttons = [wish_button(tracker, domain, "ticket_status"), take_back, human]
        told = {"ticket_id": ticket.id, "goods": ticket.summary}
        dispatcher.utter_message(response="utter_not_understood_ticket", buttons=buttons, **told)
    elif order := await order_talked_of(tracker, turn):
        buttons = [*ways(tracker, domain, order)[:2], human]
        dispatcher.utter_message(response="utter_not_understood_order", goods=goods(order.lines), buttons=buttons)
    elif (product_id := Focus(tracker).at_hand("product")) and (found := await shop_products([product_id])):
        dispatcher.utter_message(response="utter_not_understood_goods", name=found[0].name, buttons=[human])
    else:
        return False
    return True


# --- values without a wish -------------------------------------------------------------------------------------------


class Inform(Action):
    """A number, goods or a reason that no open question asked for."""

    def name(self) -> str:
        return "action_inform"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if turn.first("answer"):  # the button "none of these"
            dispatcher.utter_message(response="utter_say_otherwise")
            return []
        on_goods = await goes_on(tracker, turn)
        if not on_goods and await _say_values(dispatcher, tracker, domain, turn, focus):
            return focus.events()
        about_goods = turn.names_goods or on_goods
        outcome = await answer_question(
            dispatcher, tracker, domain, turn, focus, leaning="goods" if about_goods else "none"
        )
        if not outcome.said and not await _say_what_can_be_done(dispatcher, tracker, domain, turn):
            general = ("request_return", "order_status")
            dispatcher.utter_message(response="utter_inform_what", buttons=way_buttons(tracker, domain, general))
        return [*outcome.events, *focus.events()]


async def _say_values(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
) -> bool:
    """What the numbers and the reason of the message are good for; false when it holds none."""
    tail = turn.first("phone_tail") or (turn.first("four_digits") if not turn.rest else None)
    reason: str | None = turn.first("reason")
    order_id = turn.first("order_id") or _order_pointed_at(turn, focus)
    if order_id is None and (own := await own_order_meant(tracker, turn)):
        order_id = own.id
    ticket_id = turn.first("ticket_id") or next((one["id"] for one in pointed_at(turn, focus.listed("ticket"))), None)
    if ticket_id and not order_id:
        await _say_ticket(dispatcher, tracker, domain, str(ticket_id), focus)
    elif order_id:
        await _say_order(dispatcher, tracker, domain, str(order_id), tail, reason, focus)
    elif tail and (at_hand := focus.at_hand("order")):
        await _say_order(dispatcher, tracker, domain, at_hand, tail, reason, focus)
    elif tail:
        bound = await (await get_mall()).customer_of(tracker.sender_id) is not None
        dispatcher.utter_message(response="utter_inform_tail_bound" if bound else "utter_inform_tail")
        focus.on("tail", str(tail))  # the number of the order may follow
    elif reason:
        order = await order_talked_of(tracker, turn)
        say_problem(dispatcher, tracker, domain, reason, order)
        if order:
            focus.on("order", order.id)
    else:
        return False
    return True


def _order_pointed_at(turn: Turn, focus: Focus) -> str | None:
    """By its place in the list, or "这单" where no goods are talked of."""
    if pointed := pointed_at(turn, focus.listed("order")):
        return pointed[0]["id"]
    of_goods = turn.names_goods or focus.at_hand("product")
    return focus.at_hand("order") if turn.first("mention") and not of_goods else None


async def _say_ticket(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket_id: str, focus: Focus
) -> None:
    try:
        ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
    except NotFound:
        dispatcher.utter_message(response="utter_inform_ticket_not_found", ticket_id=ticket_id)
        return
    say_ticket(dispatcher, tracker, domain, ticket)
    focus.on("ticket", ticket.id).on("order", ticket.order_id)


async def _say_order(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    order_id: str,
    tail: object,
    reason: str | None,
    focus: Focus,
) -> None:
    """Where it stands and what can be done with it; the tail of its phone is asked for where it is not yet known to be
    the sender's."""
    mall, sender = await get_mall(), tracker.sender_id
    tail = tail or focus.at_hand("tail")
    focus.on("order", order_id)
    try:
        try:
            order = await mall.order(sender, order_id)
        except OwnershipRequired:
            if not tail:
                dispatcher.utter_message(response="utter_inform_needs_tail", order_id=order_id)
                return
            order = await mall.prove_ownership(sender, order_id, str(tail))
    except OrderNotFound:
        focus.on("order", None)
        dispatcher.utter_message(response="utter_inform_order_not_found", order_id=order_id)
    except WrongPhoneTail as error:
        focus.on("tail", None)
        values = {"order_id": order_id, "tries": error.tries_left}
        dispatcher.utter_message(response="utter_inform_wrong_tail", **values)
    except OrderLocked as error:
        until = minute(tracker, error.until)
        dispatcher.utter_message(response="utter_inform_order_locked", order_id=order_id, until=until)
    else:
        if await tell_order_of_complaint(dispatcher, tracker, domain, focus, order):
            return
        if reason:
            say_problem(dispatcher, tracker, domain, reason, order)
        else:
            _say_state(dispatcher, tracker, domain, order)


def _say_state(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order: Order) -> None:
    buttons = ways(tracker, domain, order)
    response = "utter_inform_order" if buttons else "utter_inform_order_over"
    shown = order_title(order, tracker, domain)
    dispatcher.utter_message(response=response, order_id=order.id, order=shown, buttons=buttons)


# --- talk ------------------------------------------------------------------------------------------------------------


class Greet(Action):
    """Also "人呢", "怎么不说话": whoever waits for something hears of it, instead of that somebody is there."""

    def name(self) -> str:
        return "action_greet"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if not await _say_what_is_open(dispatcher, tracker, domain, focus, reminded=True):
            again = turn.asks and Conversation.of(tracker).turn > 1  # "人呢" in the middle is no hello
            dispatcher.utter_message(response="utter_greet_again" if again else "utter_greet")
        return focus.events()


class Acknowledge(Action):
    """The customer has heard; what is open is named, and nothing is asked."""

    def name(self) -> str:
        return "action_acknowledge"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        focus = Focus(tracker)
        if not await _say_what_is_open(dispatcher, tracker, domain, focus):
            dispatcher.utter_message(response="utter_acknowledge")
        return focus.events()


async def _say_what_is_open(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, *, reminded: bool = False
) -> bool:
    """In half a sentence: the person that is waited for, the request that lacks something, the complaint that is noted.
    ``reminded``: the request only where the flows do not remind of it by themselves."""
    if await say_waiting(dispatcher, tracker, domain, focus):
        return True
    beneath = next((one for one in reversed(Conversation.of(tracker).stack[:-1]) if one["status"] == "open"), None)
    if beneath:
        if not reminded or beneath.get("reminded"):
            _say_lacking(dispatcher, tracker, domain, beneath, beneath.get("asked"), "utter_open")
            return True
    elif Turn.of(tracker).asks and focus.at_hand("complaint"):
        human = wish_button(tracker, domain, "human_handoff")
        dispatcher.utter_message(response="utter_here_complaint", buttons=[human])
        return True
    return False


class Chitchat(Action):
    """Talk for its own sake; where it asks something that the shop knows, that is said."""

    def name(self) -> str:
        return "action_chitchat"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if not turn.asks:
            if not await say_waiting(dispatcher, tracker, domain, focus):
                dispatcher.utter_message(response="utter_chitchat")
        elif not (await answer_question(dispatcher, tracker, domain, turn, focus, leaning="none")).said:
            dispatcher.utter_message(response="utter_chitchat_asked")
        return focus.events()


class OutOfScope(Action):
    """What is no business of the shop's, or sounds like it."""

    def name(self) -> str:
        return "action_out_of_scope"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="none")
        if not outcome.said and turn.asks and turn.topic:  # it is the shop's business after all
            await say_unknown(dispatcher, tracker, domain, focus, turn)
        elif not outcome.said and not (
            await say_waiting(dispatcher, tracker, domain, focus)
            or await go_on_with_complaint(dispatcher, tracker, domain, turn, focus)
        ):
            dispatcher.utter_message(response="utter_out_of_scope")
        return focus.events()


class Repeat(Action):
    """Says again what was said last, because the customer asks for it."""

    def name(self) -> str:
        return "action_repeat"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        said = _said_last(tracker)
        repeated = next((event["metadata"]["said"] for event in said if event["metadata"].get("said")), None)
        text = repeated or "\n".join(event["text"] for event in said if event.get("text"))
        if not text:
            dispatcher.utter_message(response="utter_acknowledge")
            return []
        data = [event.get("data") or {} for event in said]
        dispatcher.utter_message(
            response="utter_repeat_again" if repeated else "utter_repeat",
            said=text,
            buttons=[one for each in data for one in each.get("buttons") or []],
            json_message=next((each["custom"] for each in data if each.get("custom")), {}),
        )
        return []


class AskWhich(Action):
    """A yes to two ways that were offered at once: which of them, with their buttons."""

    def name(self) -> str:
        return "action_ask_which"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        buttons = [one for event in _said_last(tracker) for one in (event.get("data") or {}).get("buttons") or []]
        dispatcher.utter_message(response="utter_ask_which", buttons=buttons)
        return []


class SummaryGone(Action):
    """The button of a summary that was left or is done: what became of it, and how to begin again."""

    def name(self) -> str:
        return "action_summary_gone"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        ended: Mapping[str, Any] = (tracker.get_slot("dialogue") or {}).get("ended") or {}
        if Focus(tracker).written.get("turn", -1) >= ended.get("turn", 0):
            dispatcher.utter_message(response="utter_summary_done")
            return []
        intent = str(ended.get("intent"))
        known = has_response(domain, f"utter_title_{intent}")
        buttons = [wish_button(tracker, domain, intent)] if known else []
        dispatcher.utter_message(response="utter_summary_gone", buttons=buttons)
        return []


def _said_last(tracker: Tracker) -> list[dict[str, Any]]:
    """The bot's utterances before the customer's last message."""
    said: list[dict[str, Any]] = []
    messages = 0
    for event in reversed(tracker.events):
        messages += event["event"] == "user"
        if messages == 2:
            break
        if messages == 1 and event["event"] == "bot":
            said.insert(0, {**event, "metadata": event.get("metadata") or {}})
    return said


# --- one request and the next ----------------------------------------------------------------------------------------


def _wish(tracker: Tracker, domain: Domain, frame: Mapping[str, Any]) -> str:
    """What the customer calls what a frame is for."""
    intent = str(frame.get("intent"))
    return title(tracker, domain, intent if has_response(domain, f"utter_title_{intent}") else "ask_policy")


def _with_status(tracker: Tracker, *statuses: str) -> list[Mapping[str, Any]]:
    return [frame for frame in Conversation.of(tracker).stack if frame["status"] in statuses]


class AskResume(Action):
    def name(self) -> str:
        return "action_ask_resume"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        wish = _wish(tracker, domain, Conversation.of(tracker).top)
        dispatcher.utter_message(response="utter_ask_resume", wish=wish)
        return []


class BeginNext(Action):
    def name(self) -> str:
        return "action_begin_next"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        wish = _wish(tracker, domain, Conversation.of(tracker).top)
        if order_id := tracker.get_slot("order_id"):  # the flow's own, now that it is on top
            dispatcher.utter_message(response="utter_begin_next_order", wish=wish, order_id=order_id)
        else:
            dispatcher.utter_message(response="utter_begin_next", wish=wish)
        return []


class Interrupt(Action):
    """Another request is begun; the one before it is kept."""

    def name(self) -> str:
        return "action_interrupt"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        begun = [frame for frame in _with_status(tracker, "open") if is_task(frame["flow"])]
        left = _with_status(tracker, "waiting")
        if begun and left:
            names = {"wish": _wish(tracker, domain, begun[-1]), "other": _wish(tracker, domain, left[-1])}
            dispatcher.utter_message(response="utter_interrupt", **names)
        return []


class Noted(Action):
    """Names what comes next: another wish, or the other order."""

    def name(self) -> str:
        return "action_noted"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        noted = [_with_order(tracker, domain, frame) for frame in reversed(_with_status(tracker, "next"))]
        if noted:
            between = word(tracker, domain, "between_wishes")
            dispatcher.utter_message(response="utter_noted", wishes=between.join(dict.fromkeys(noted)))
        return []


def _with_order(tracker: Tracker, domain: Domain, frame: Mapping[str, Any]) -> str:
    wish, order_id = _wish(tracker, domain, frame), (frame.get("values") or {}).get("order_id")
    if not isinstance(order_id, str):
        return word(tracker, domain, "wish").format(wish=wish)
    return word(tracker, domain, "wish_of_order").format(wish=wish, order_id=order_id)


class Remind(Action):
    """The open question after a digression, or after something else was told: what it lacks, in one line."""

    def name(self) -> str:
        return "action_remind"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        frame = Conversation.of(tracker).top
        slot = tracker.get_slot("missing") or frame.get("asked")
        told = frame.get("aside") == Conversation.of(tracker).turn
        if not told and await waits_for_person(tracker.sender_id):
            return []  # whoever waits for a person is asked nothing
        orders = await orders_to_choose(tracker, str(frame.get("flow"))) if slot == "order_id" else []
        response = "utter_remind_noted" if told else "utter_remind"
        _say_lacking(dispatcher, tracker, domain, frame, slot, response, order_buttons(orders, "inform"))
        return []


def _say_lacking(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    frame: Mapping[str, Any],
    slot: str | None,
    response: str = "utter_remind",
    buttons: Sequence[Button] = (),
) -> None:
    """What the request is for and what it lacks, in one line."""
    wish = _wish(tracker, domain, frame)
    if has_response(domain, f"utter_word_slot_{slot}"):
        lacks = word(tracker, domain, f"slot_{slot}")
        dispatcher.utter_message(response=response, wish=wish, slot=lacks, buttons=list(buttons))
    else:
        dispatcher.utter_message(response=f"{response.removesuffix('_noted')}_any", wish=wish)


class AskChange(Action):
    """The summary is not right: which part?"""

    def name(self) -> str:
        return "action_ask_change"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        changeable = (flow_files().get(str(Conversation.of(tracker).top.get("flow"))) or {}).get("changeable") or ()
        buttons = [
            button(word(tracker, domain, f"change_{slot}"), "inform", change=slot)
            for slot in changeable
            if tracker.get_slot(slot) is not None
        ]
        give_up = button(word(tracker, domain, "give_up"), "stop")
        ask(dispatcher, tracker, domain, "change", buttons=[*buttons, give_up])
        return []


# --- stopping --------------------------------------------------------------------------------------------------------


class Cancelled(Action):
    """An open request is given up: nothing of it was sent. What was written before, and stands, is named."""

    def name(self) -> str:
        return "action_cancelled"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        meant = len(Turn.of(tracker).rest) > A_WORD  # "算了" is about what is open, "不退了" may be about a ticket
        if ticket := (await _standing(tracker) if meant else None) or await _just_made(tracker):
            _say_standing(dispatcher, tracker, domain, "utter_cancelled_but_ticket", ticket)
            return Focus(tracker).on("ticket", ticket.id).events()
        written = Focus(tracker).written  # what was done before stays done
        dispatcher.utter_message(response="utter_cancelled_this" if written else "utter_cancelled")
        return []


class NothingToCancel(Action):
    """A stop with nothing open: it may mean the person that is waited for, or what was written last."""

    def name(self) -> str:
        return "action_nothing_to_cancel"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        focus = Focus(tracker)
        if await stop_waiting(dispatcher, tracker):
            return [SlotSet("queued", None)]
        if ticket := await _standing(tracker):
            _say_standing(dispatcher, tracker, domain, "utter_ticket_stands", ticket)
            return focus.on("ticket", ticket.id).events()
        if focus.written.get("flow") == "cancel_order":
            order_id = focus.written.get("order") or focus.written.get("id")
            dispatcher.utter_message(response="utter_order_stays_cancelled", order_id=order_id)
        else:
            dispatcher.utter_message(response="utter_nothing_to_cancel")
        return []


async def _standing(tracker: Tracker) -> Ticket | None:
    """The ticket that was made lately in this conversation, while it can still be taken back."""
    written = Focus(tracker).written
    if written.get("flow") != "after_sales" or not written.get("id"):
        return None
    try:
        ticket = await (await get_mall()).ticket(tracker.sender_id, written["id"])
    except NotFound:
        return None
    return ticket if ticket.status in CANCELLABLE else None


async def _just_made(tracker: Tracker) -> Ticket | None:
    """A ticket whose turn was cut off after the mall wrote it: "nothing was sent" would be a lie."""
    focus, mall = Focus(tracker), await get_mall()
    if (order_id := focus.at_hand("order")) is None:
        return None
    try:
        order = await mall.order(tracker.sender_id, order_id)
        ids = dict.fromkeys(line.open_ticket_id for line in order.lines if line.open_ticket_id)
        tickets = [await mall.ticket(tracker.sender_id, one) for one in ids]
    except MallError:
        return None
    known = (focus.written.get("id"), focus.at_hand("ticket"))
    young = (one for one in tickets if one.id not in known and datetime.now(UTC) - one.created_at < JUST_MADE)
    return next(young, None)


def _say_standing(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, response: str, ticket: Ticket
) -> None:
    told = {"ticket_id": ticket.id, "goods": ticket.summary}
    take_back = wish_button(tracker, domain, "cancel_ticket", ticket_id=ticket.id)
    dispatcher.utter_message(response=response, buttons=[take_back], **told)


# --- the next day ----------------------------------------------------------------------------------------------------


class SessionStart(Action):
    """A conversation that was left for a day starts afresh; a request that was left undone waits to be taken up."""

    def name(self) -> str:
        return "action_session_start"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        kept: dict[str, Any] = {name: tracker.get_slot(name) for name in ("language", "focus", "queued")}
        if state := tracker.get_slot("dialogue"):
            kept |= _left(tracker, state)
        events: list[EventType] = [SessionStarted()]
        events += [SlotSet(name, value) for name, value in kept.items() if value]
        if tracker.is_paused():  # an operator talks, however long that takes
            events.append(ConversationPaused())
        return [*events, ActionExecuted("action_listen")]


def _left(tracker: Tracker, state: Mapping[str, Any]) -> dict[str, Any]:
    """The slots of the dialogue with nothing but what was left undone, each of which waits. The values of the topmost
    flow that has a slot stand in that slot, those of the flows beneath in their frames."""
    stack: Sequence[Mapping[str, Any]] = state.get("stack") or ()
    tasks = [frame for frame in stack if is_task(frame["flow"])]
    values = [dict(frame.get("values") or {}) for frame in tasks]
    kept: dict[str, Any] = {}
    for slot in sorted({slot for frame in tasks for slot in slots_of(frame["flow"])}):
        owner = max(place for place, frame in enumerate(tasks) if slot in slots_of(frame["flow"]))
        before = next(frame for frame in reversed(stack) if slot in slots_of(frame["flow"]))
        own = values[owner].pop(slot, None)
        kept[slot] = tracker.get_slot(slot) if before is tasks[owner] else own
    afresh = {"status": "waiting", "fresh": True, "changing": False, "asks": {}, "reminded": 0, "offered_in": 0}
    waiting = [
        {
            **frame,
            **afresh,
            "values": {slot: value for slot, value in own.items() if slot not in _CONTROL},
        }
        for frame, own in zip(tasks, values, strict=True)
    ]
    kept["dialogue"] = {**state, "stack": waiting, "say": [], "quiet": False, "lost": 0, "commands": []}
    return kept
