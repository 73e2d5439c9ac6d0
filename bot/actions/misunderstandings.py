"""What is said to a message that was not understood, or that holds nothing but values.

What is sure comes first: an answer, or what the values are good for; then what can be done; then a person.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.answers import cite, find_answers
from bot.actions.complaints import go_on_with_complaint, tell_order_of_complaint
from bot.actions.conversation import Conversation
from bot.actions.flow_files import intents_of
from bot.actions.focus import Focus, pointed_at
from bot.actions.graphs import get_answering
from bot.actions.handoff import note_misunderstood, say_waiting
from bot.actions.house import say_in_kind, say_lacking, say_of_shown, wish_of
from bot.actions.knowledge import (
    NO_RULE_FOR,
    OF_AN_ORDER,
    WAYS,
    order_talked_of,
    say_answer,
    say_problem,
    say_to_upset,
    say_with_order,
    ticket_at_hand,
    told_lately,
    way_buttons,
    ways,
)
from bot.actions.malls import get_mall
from bot.actions.order_choice import (
    SomebodyElses,
    order_buttons,
    order_by_words,
    order_title,
    orders_to_choose,
    own_order_meant,
    shown_order,
)
from bot.actions.order_record import FACT, facts_asked, say_record
from bot.actions.orders import say_order
from bot.actions.product_reference import goes_on
from bot.actions.product_talk import bought_before, seeking
from bot.actions.questions import (
    A_REMARK,
    A_STORY,
    answer_question,
    call_at_last,
    open_task,
    rule_out,
    say_heard,
    say_unknown,
    subject_before,
    unknown_lately,
    wishes_of,
)
from bot.actions.shop_product import shop_products
from bot.actions.tickets import CANCELLABLE, Button, button, say_ticket, wish_button
from bot.actions.turn import Turn
from bot.actions.weighing import STATED, Leaning
from bot.actions.wording import Domain, goods, has_response, language_of, minute, title, word
from bot.actions.worry_state import upset
from bot.spelling import plain
from knowledge_graph import Answer, Found
from mall_adapter.errors import NotFound, OrderLocked, OwnershipRequired, WrongPhoneTail
from mall_adapter.values import Order, OrderStatus, Reason

_SAID = patterns.load("help", "how")

LOST = 3
"""Messages in a row that were not understood, at the last of which a person is offered, whatever they were."""

CLEARLY = 0.7
"""Confidence from which somebody asks what the shop can do at all."""

WAYS_OFFERED = 2
"""What can be begun, beside a person."""

GUESSES = 2
"""Likely readings that are offered as buttons."""

LIKELY = 0.3
"""Confidence from which the likeliest reading is worth a button; fewer and none is better than any."""

LIKELIER = 0.4
"""The same where nothing else is: it is asked back alone."""

ALSO_LIKELY = 0.15
"""The same for the second."""

SHORT = 12
"""Characters of a message that may be a wish in a few words, which one reading is enough to ask back."""

NOTHING_ELSE = 2
"""Characters beside "说错了" that say nothing."""

REPROACHED_LATELY = 4
"""Turns after which who was misunderstood is asked again what is meant; before that a person had better read it."""

ANSWERED_LATELY = 2
"""Turns after an answer in which a number of an order is told for it."""

_QUESTIONS = frozenset({"ask_policy", "ask_promotion"})
"""Intents that a button cannot stand for: what is asked is in the words."""

_TASKS = (
    *("request_return", "request_exchange", "request_refund", "report_problem", "cancel_order", "change_address"),
    *("request_invoice", "urge_shipment", "ticket_status"),
)
"""Wishes that an order is named for."""

_ALWAYS = ("request_invoice", "ticket_status", "report_problem")
"""Those of them that any order may be named for."""

_OF_WHAT_WAS_BOUGHT = frozenset(
    {"return_exchange", "refund", "product_question", "feature_comparison", "complaint", "delivery", "order_change"}
)
"""Topics of answers about goods that came, or should have."""

_NO_GUESS = _QUESTIONS | {
    *("nlu_fallback", "inform", "affirm", "deny", "correct", "stop", "out_of_scope", "chitchat", "complain"),
    *("worry_delivery", "greet", "goodbye", "thank", "bot_challenge", "ask_help", "rate_service"),
}


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
        if open_task(tracker) and not turn.asks:  # what is told to a request asks for no rule
            return False
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
            if not await call_at_last(dispatcher, tracker, domain, focus, turn):
                human = wish_button(tracker, domain, "human_handoff")
                dispatcher.utter_message(response="utter_unknown_person", buttons=[human])
            return
        if open_task(tracker) and (turn.intent == "correct" or "correction" in turn.acts):
            dispatcher.utter_message(response="utter_correct")
            return
        aside = turn.asks and open_task(tracker)
        guesses = [] if aside or lost > 1 else _guesses(turn, tracker, domain)
        if not guesses and not turn.asks and lost == 1 and await _say_what_lacks(dispatcher, tracker, domain):
            return
        few = len(turn.text) <= SHORT
        if len(guesses) > 1 or (guesses and few and _guesses(turn, tracker, domain, LIKELIER)):
            none = button(word(tracker, domain, "none_of_these"), "inform", answer="none")
            response = "utter_did_you_mean" if len(guesses) > 1 else "utter_did_you_mean_one"
            dispatcher.utter_message(response=response, guess=guesses[0]["title"], buttons=[*guesses, none])
        elif turn.asks:
            await say_unknown(dispatcher, tracker, domain, focus, turn)
        elif not (_is_a_remark(turn) and await _go_on(dispatcher, tracker, domain, turn, lost)):
            await say_heard(dispatcher, tracker, domain, focus, turn, guesses)


def _choices(domain: Domain, tracker: Tracker, slot: str | None) -> list[Button]:
    """The buttons of the question for a slot, in the customer's language."""
    variants = domain["responses"].get(f"utter_ask_{slot}") or []
    english = language_of(tracker) == "en"
    fitting = (one["buttons"] for one in variants if bool(one.get("condition")) == english and one.get("buttons"))
    found: list[Button] = next(fitting, [])
    return [{**one, "payload": one["payload"].replace("{{", "{").replace("}}", "}")} for one in found]


async def _say_what_lacks(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> bool:
    """Of the open request, to which more was told than it can take; false where it lacks nothing that has a name."""
    task = open_task(tracker)
    slot = task.get("asked") if task else None
    if task is None or not has_response(domain, f"utter_word_slot_{slot}"):
        return False
    orders = await orders_to_choose(tracker, str(task["flow"])) if slot == "order_id" else []
    buttons = order_buttons(orders, "inform") or _choices(domain, tracker, slot)
    say_lacking(dispatcher, tracker, domain, task, slot, "utter_heard_lacking", buttons)
    return True


def _is_a_remark(turn: Turn) -> bool:
    """A few words that ask, wish and tell of nothing that went wrong."""
    return len(turn.rest) < A_REMARK and not turn.acts & {"request", "wish"} and not bought_before(turn)


async def _go_on(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, lost: int) -> bool:
    """What is at hand is gone on with; with nothing at hand, the second time, what is wanted is asked. False where a
    nod is enough: more may follow."""
    if open_task(tracker):
        return False
    told = await _told_lately(tracker, Focus(tracker))
    if told and "objection" in turn.acts:
        human = wish_button(tracker, domain, "human_handoff")
        dispatcher.utter_message(response="utter_answer_same", title=told.title, buttons=[human])
        return True
    if say_of_shown(dispatcher, tracker, turn) or await _say_what_can_be_done(dispatcher, tracker, domain, turn):
        return True
    if lost > 1:
        wishes = way_buttons(tracker, domain, ("order_status", "request_return", "human_handoff"))
        dispatcher.utter_message(response="utter_say_what", buttons=wishes)
    return lost > 1


class ReadAnew(Action):
    """ "你没看懂我说的": sorry, and what was said before is read otherwise; the next time a person is offered."""

    def name(self) -> str:
        return "action_read_anew"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if await say_waiting(dispatcher, tracker, domain, focus):
            return focus.events()
        reproached = focus.value.get("reproached") or {}
        focus.on("reproached", "yes")
        human = wish_button(tracker, domain, "human_handoff")
        if reproached and Conversation.of(tracker).turn - int(reproached["turn"]) <= REPROACHED_LATELY:
            if not await call_at_last(dispatcher, tracker, domain, focus, turn):
                dispatcher.utter_message(response="utter_sorry_person", buttons=[human])
        elif task := open_task(tracker):
            stop = button(word(tracker, domain, "give_up"), "stop")
            wish = wish_of(tracker, domain, task)
            dispatcher.utter_message(response="utter_sorry_task", wish=wish, buttons=[stop, human])
        elif not await self._answer_otherwise(dispatcher, tracker, domain, focus):
            buttons = [*self._other_readings(tracker, domain), human]
            dispatcher.utter_message(response="utter_sorry_say_what", buttons=buttons)
        return focus.events()

    @staticmethod
    async def _answer_otherwise(
        dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus
    ) -> bool:
        """With another rule than the one that was told; nothing is said where none is sure."""
        before = _said_before(tracker)
        if before is None or not told_lately(tracker):
            return False
        said = CollectingDispatcher()
        meant = replace(before, acts=before.acts | {"question", "restates"})
        if not (await answer_question(said, tracker, domain, meant, focus, leaning="none")).said:
            return False
        dispatcher.utter_message(response="utter_sorry_misread")
        dispatcher.messages.extend(said.messages)
        return True

    @staticmethod
    def _other_readings(tracker: Tracker, domain: Domain) -> list[Button]:
        """Of what was said before; where there are none, what most people want."""
        before = _said_before(tracker)
        if before is not None:
            others = {name: chance for name, chance in before.ranking.items() if name != before.intent}
            if found := _guesses(replace(before, ranking=others), tracker, domain, ALSO_LIKELY):
                return found
        return way_buttons(tracker, domain, ("order_status", "request_return"))


def _said_before(tracker: Tracker) -> Turn | None:
    """The last message that was no reproach."""
    earlier = (one for one in Turn.earlier(tracker) if not one.tapped and "reproaches" not in one.acts)
    return next(earlier, None)


def _guesses(turn: Turn, tracker: Tracker, domain: Domain, least: float = LIKELY) -> list[Button]:
    """Buttons for the likeliest readings, each title once."""
    task = open_task(tracker)
    ruled_out = _NO_GUESS | intents_of("not_here_yet") | (intents_of(str(task["flow"])) if task else frozenset())
    by_title: dict[str, Button] = {}
    for name, confidence in sorted(turn.ranking.items(), key=lambda guess: -guess[1]):
        if (
            confidence >= (ALSO_LIKELY if by_title else least)
            and name not in ruled_out
            and has_response(domain, f"utter_title_{name}")
        ):
            by_title.setdefault(title(tracker, domain, name), wish_button(tracker, domain, name))
    return list(by_title.values())[:GUESSES]


def _only_corrects(turn: Turn) -> bool:
    """ "说错了", and not what is right."""
    return (turn.intent == "correct" or "correction" in turn.acts) and len(turn.rest) <= NOTHING_ELSE


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


class OutOfScope(Action):
    """What is no business of the shop's, or sounds like it."""

    def name(self) -> str:
        return "action_out_of_scope"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if say_in_kind(dispatcher, tracker, turn) or say_of_shown(dispatcher, tracker, turn):  # "讲个笑话", "他不喝酒"
            return []
        sought = turn.names_goods and seeking(turn) == "clearly"  # "笔记本 写代码用 五千左右"
        about_goods = not open_task(tracker) and (sought or await goes_on(tracker, turn))
        leaning: Leaning = "goods" if about_goods else "none"
        outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning=leaning)
        if not outcome.said and turn.asks and turn.topic:  # it is the shop's business after all
            await say_unknown(dispatcher, tracker, domain, focus, turn)
        elif not outcome.said and not (
            await say_waiting(dispatcher, tracker, domain, focus)
            or await go_on_with_complaint(dispatcher, tracker, domain, turn, focus)
        ):
            if not turn.asks and upset(tracker, datetime.now(UTC)):
                await say_to_upset(dispatcher, tracker, domain, turn, focus)
            else:
                dispatcher.utter_message(response="utter_out_of_scope")
        return focus.events()


class Help(Action):
    """What the shop can do; to "那具体怎么弄" in the middle of a matter, what can be done about that."""

    def name(self) -> str:
        return "action_help"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        told = await _told_lately(tracker, focus)
        if turn.confidence >= CLEARLY and not _SAID["how"].search(plain(turn.text)):
            dispatcher.utter_message(response="utter_ask_help")
            return []
        human = wish_button(tracker, domain, "human_handoff")
        if await say_waiting(dispatcher, tracker, domain, focus):
            return focus.events()
        if not told and (subject := subject_before(tracker, domain)):  # "怎么用" below one's coupons
            asked = replace(turn, words=f"{subject} {turn.words}", question=f"{subject} {turn.question}")
            outcome = await answer_question(dispatcher, tracker, domain, asked, focus, leaning="none")
            if outcome.said:
                return [*outcome.events, *focus.events()]
        if unknown_lately(tracker, focus):  # "那到底怎么弄啊"
            dispatcher.utter_message(response="utter_unknown_person", buttons=[human])
        elif told:  # "怎么操作" after a rule: what it speaks of is begun for them, or a person does it
            begun = [intent for intent in wishes_of(told.topic) if intent in _TASKS][:WAYS_OFFERED]
            if turn.asks and not begun:  # "在哪" after "有没有门店"
                outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="none")
                if outcome.said:
                    return [*outcome.events, *focus.events()]
            response = "utter_help_answer" if begun else "utter_unknown_person"
            dispatcher.utter_message(response=response, buttons=[*way_buttons(tracker, domain, begun), human])
        elif not await _say_what_can_be_done(dispatcher, tracker, domain, turn):
            if turn.confidence >= CLEARLY:
                dispatcher.utter_message(response="utter_ask_help")
            else:
                await say_unknown(dispatcher, tracker, domain, focus, turn)
        return focus.events()


async def _told_lately(tracker: Tracker, focus: Focus) -> Answer | None:
    """The rule that was told a message or two ago."""
    answered = focus.value.get("answer") or {}
    lately = Conversation.of(tracker).turn - int(answered.get("turn") or 0) <= ANSWERED_LATELY
    return (await get_answering()).answer(answered["id"]) if answered and lately else None


# --- values without a wish -------------------------------------------------------------------------------------------


class Inform(Action):
    """A number, goods or a reason that no open question asked for."""

    def name(self) -> str:
        return "action_inform"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if await _tells_who_they_are(tracker, turn, focus):
            return [SlotSet("phone_told", True)]
        if turn.first("answer"):  # the button "none of these"
            rule_out(focus, [one["id"] for one in focus.listed("answer")])
            dispatcher.utter_message(response="utter_say_otherwise")
            return focus.events()
        on_goods = await goes_on(tracker, turn)
        if turn.intent in _QUESTIONS:  # "ORD… 介绍下保价规则": a rule that is sure comes before the number
            outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="none")
            if outcome.said:
                return [*outcome.events, *focus.events()]
        if not on_goods and await _say_values(dispatcher, tracker, domain, turn, focus):
            return focus.events()
        about_goods = turn.names_goods or on_goods
        outcome = await answer_question(
            dispatcher, tracker, domain, turn, focus, leaning="goods" if about_goods else "none"
        )
        if outcome.said:
            return [*outcome.events, *focus.events()]
        if turn.text.strip().isdecimal():
            dispatcher.utter_message(response="utter_inform_number", number=turn.text.strip())
        elif not await _say_what_can_be_done(dispatcher, tracker, domain, turn):
            general = ("request_return", "order_status")
            dispatcher.utter_message(response="utter_inform_what", buttons=way_buttons(tracker, domain, general))
        return [*outcome.events, *focus.events()]


async def _tells_who_they_are(tracker: Tracker, turn: Turn, focus: Focus) -> bool:
    """A whole phone, of somebody who is not bound and talks of no order that its last digits would prove."""
    of_order = turn.first("order_id") or focus.at_hand("order")
    return (
        bool(turn.first("phone")) and not of_order and await (await get_mall()).customer_of(tracker.sender_id) is None
    )


async def _say_values(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
) -> bool:
    """What the numbers and the reason of the message are good for; false when it holds none."""
    tail = turn.first("phone_tail") or (turn.first("four_digits") if not turn.rest else None)
    reason: str | None = turn.first("reason")
    order_id = turn.first("order_id") or _order_pointed_at(turn, focus)
    own = await own_order_meant(tracker, turn) if order_id is None else None
    if own is None and order_id is None and turn.first("goods_kind") and not turn.rest:  # "鞋", of those one has bought
        own = await order_by_words(tracker, turn)
    order_id = own.id if own else order_id
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
    elif reason and (rule := await _rule_of_no_goods(tracker, turn)):
        await say_answer(dispatcher, tracker, domain, rule, focus)
    elif reason and _is_a_problem(turn, focus.at_hand("order") is not None):
        order = await order_talked_of(tracker, turn)
        await say_problem(dispatcher, tracker, domain, reason, order, focus)
        if order:
            focus.on("order", order.id)
    else:
        return False
    return True


async def _rule_of_no_goods(tracker: Tracker, turn: Turn) -> Found | None:
    """ "券用不了", "超时没付尾款": what a rule about no goods surely answers, though it holds a word for a fault."""
    if turn.names_goods or Focus(tracker).at_hand("product"):
        return None
    found = (await find_answers(tracker, turn)).best
    sure = bool(found) and found[0].score >= STATED and found[0].answer.topic not in _OF_WHAT_WAS_BOUGHT
    return found[0] if sure else None


def _is_a_problem(turn: Turn, at_hand: bool) -> bool:
    """Whether a word for what may be wrong is what the message is about: not "太早了没看见短信，明天还送吗".
    ``at_hand``: an order is talked of."""
    if turn.first("reason") == Reason.OTHER and (turn.rest or not at_hand):
        return False  # "有其他联系方式吗"; "太贵了" of goods that nobody has bought
    return len(turn.rest) < A_STORY or sum(turn.ranking.get(intent, 0.0) for intent in _TASKS) >= LIKELY


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
    await say_ticket(dispatcher, tracker, domain, ticket, focus)
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
    tail = tail or focus.at_hand("tail")
    told = (focus.at_hand("fault") or "").partition(" ")  # of an order, before it was known to be the sender's
    reason = reason or (told[2] if told[0] == order_id else None)
    focus.on("order", order_id).on("fault", f"{order_id} {reason}" if reason else None)
    try:
        order = await shown_order(tracker, Turn.of(tracker), order_id, tail)
    except OwnershipRequired:
        bound = await (await get_mall()).customer_of(tracker.sender_id) is not None
        response = "utter_inform_needs_tail_bound" if bound else "utter_inform_needs_tail"
        dispatcher.utter_message(response=response, order_id=order_id)
    except SomebodyElses:
        focus.on("order", None)
        dispatcher.utter_message(response="utter_order_of_another", detail=order_id)
    except WrongPhoneTail as error:
        focus.on("tail", None)
        values = {"order_id": order_id, "tries": error.tries_left}
        dispatcher.utter_message(response="utter_inform_wrong_tail", **values)
    except OrderLocked as error:
        until = minute(tracker, error.until)
        dispatcher.utter_message(response="utter_inform_order_locked", order_id=order_id, until=until)
    else:
        focus.on("fault", None)
        if await tell_order_of_complaint(dispatcher, tracker, domain, focus, order):
            return
        if reason == Reason.LATE_DELIVERY and order.delivered_at is None:
            say_order(dispatcher, tracker, domain, order, "worry")
        elif reason:
            await say_problem(dispatcher, tracker, domain, reason, order, focus)
        else:
            await _say_state(dispatcher, tracker, domain, focus, order)


async def _say_state(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, order: Order
) -> None:
    """What can be done with it; right after a rule was told, what that says to this order."""
    if asked := facts_asked(tracker, Turn.of(tracker)):  # "跑鞋那个", named for what was asked of several orders
        await say_record(dispatcher, tracker, domain, order, asked)
        focus.on(FACT, None)
        return
    told = await _told_lately(tracker, focus)
    if told and told.context in OF_AN_ORDER and order.status not in NO_RULE_FOR:
        await say_with_order(dispatcher, tracker, domain, told, order)
        if told.context == "paid":
            focus.on("price", order.id)
        cite(dispatcher, Found(told, 1.0))
        return
    if order.status is OrderStatus.CANCELLED:
        say_order(dispatcher, tracker, domain, order)
        return
    shown = order_title(order, tracker, domain)
    wish = _wished_lately(tracker)
    live = next((line.open_ticket_id for line in order.lines if line.open_ticket_id), None)
    if wish == "ticket_status" and live:
        await _say_ticket(dispatcher, tracker, domain, live, focus)
        return
    if wish and wish in (*WAYS[order.status], *_ALWAYS) and WAYS[order.status]:
        first = wish_button(tracker, domain, wish, order_id=order.id)
        others = [one for one in ways(tracker, domain, order) if one["title"] != first["title"]]
        told_of = {"order": shown, "wish": first["title"]}
        dispatcher.utter_message(response="utter_inform_order_wish", buttons=[first, *others[:1]], **told_of)
        return
    if unknown_lately(tracker, focus):
        human = wish_button(tracker, domain, "human_handoff")
        dispatcher.utter_message(response="utter_inform_order_asked", order=shown, buttons=[human])
        return
    buttons = ways(tracker, domain, order, wishes_of(told.topic) if told else ())
    dispatcher.utter_message(response="utter_inform_order", order_id=order.id, order=shown, buttons=buttons)


def _wished_lately(tracker: Tracker) -> str | None:
    """What this message, or one of the two before it, may have wanted of an order, unless something was written since:
    the number is told for it."""
    since = Conversation.of(tracker).turn - int(Focus(tracker).written.get("turn", -ANSWERED_LATELY))
    for back, turn in enumerate((Turn.of(tracker), *islice(Turn.earlier(tracker), ANSWERED_LATELY))):
        if turn.tapped or back >= since:
            return None
        guesses = {intent: guess for intent, guess in turn.ranking.items() if intent != "nlu_fallback"}
        likeliest = max(guesses, key=lambda intent: guesses[intent], default="")
        if likeliest in _TASKS and guesses[likeliest] >= LIKELY:
            return likeliest
    return None
