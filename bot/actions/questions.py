"""Goods or rules: what a question is about is decided here, and nowhere else, with both scores side by side.

The evidence: how sure an answer of the graph is, how clearly goods are named, pointed at or gone on about, the order or
the ticket at hand (bot/actions/knowledge.py), and the intent, which is a hint among others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.answers import button, find_answers, note_gap
from bot.actions.conversation import Conversation
from bot.actions.flow_files import is_task
from bot.actions.focus import Focus, pointed_at
from bot.actions.graphs import get_answering
from bot.actions.handoff import say_waiting
from bot.actions.knowledge import order_talked_of, say_answer, say_problem
from bot.actions.product_answers import Reading, Speaker, read_comparison, read_goods, source
from bot.actions.product_compared import to_compare
from bot.actions.product_reference import (
    SPOKEN_OF,
    WHICH_ONE,
    Sign,
    before,
    carried_on,
    last_said_of_goods,
    talked_of,
)
from bot.actions.turn import Turn
from bot.actions.wording import Domain, has_response, title, word
from knowledge_graph import Answer, Answering, Found, close, sure
from mall_adapter import Reason

Leaning = Literal["rule", "goods", "recommendation", "comparison", "none", "complaint"]
"""What the intent speaks for."""

Kind = Literal["answer", "goods", "problem", "which", "missing", "unknown", "nothing"]

GOODS: dict[Sign, float] = {
    Sign.NONE: 0.0,
    Sign.IN_HAND: 0.3,
    Sign.WORDS: 0.4,
    Sign.SHELF: 0.65,
    Sign.AGAIN: 0.8,
    Sign.NAMED: 0.95,
    Sign.CHOSEN: 1.5,
}
"""How likely the goods that a message is about by such a sign are what it asks for; answers have a probability of their
own."""

PAGE_IS_SILENT = 0.7
"""No more than this when the page of the goods does not say what is asked."""

LEANS = 0.2
"""What the intent adds to its side."""

WANTS_SOMETHING = 0.4
"""The same of a wish to be recommended something: no rule answers that."""

ENOUGH = 0.5
"""Goods are spoken of from here on."""

OF_GOODS = frozenset({"product_question", "feature_comparison"})
"""Topics of answers that speak of goods in general."""

OFFERED = 1 / 3
"""Of the likeliest answer's probability: what an answer must have to be offered beside it."""

LIKELIEST = 0.35
"""Probability from which the likeliest answer is said when one has just asked which is meant."""

NEARBY = 0.05
"""Probability from which an answer is worth naming where nothing else is known."""

WEAK = 0.6
"""Confidence below which a question about goods that names none may as well be about something else."""

SURE_OF_TOPIC = 0.95
"""Confidence of the intent from which the topic is named that nothing is known of."""

A_TASK = 0.3
"""Probability of a wish about an order from which goods that are named are not for sale."""

NONE_OF_THESE = '/ask_policy{"answer": "none"}'

FAULTS = frozenset({Reason.QUALITY, Reason.DAMAGED, Reason.WRONG_ITEM, Reason.MISSING_ITEM, Reason.NOT_AS_DESCRIBED})
"""Reasons for which the shop has to make good."""

_AFTER_SALES = ("request_return", "request_exchange", "request_refund", "report_problem")
_GOODS_LEANINGS = frozenset({"goods", "recommendation", "comparison"})
_POINTERS = frozenset({"ordinal", "mention", "product", "brand", "category"})


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: Kind
    events: list[EventType] = field(default_factory=list)  # what is missing; the focus is the caller's to return

    @property
    def said(self) -> bool:
        return self.kind not in ("nothing", "missing")


async def answer_question(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus, *, leaning: Leaning
) -> Outcome:
    """Says what the message asks for. Leaning to ``none`` or a ``complaint`` it says only what is sure."""
    if leaning == "goods":
        turn = carried_on(tracker, turn)
    speaker = Speaker(dispatcher, tracker, domain, turn, focus)
    answering, found, reading = await asyncio.gather(
        get_answering(), _answers(tracker, turn, focus), _goods(speaker, leaning)
    )
    rule, goods = _weight_of_rule(found, leaning, reading), _weight_of_goods(reading, leaning)
    if reading and goods >= ENOUGH and goods > rule:
        await reading.say()
        focus.on("goods", SPOKEN_OF)
        return Outcome("goods")
    if sure(found):
        of_people = found[0].answer.topic == "contact_human"  # "还要等多久" of somebody who waits: their own place
        if of_people and await say_waiting(dispatcher, tracker, domain, focus, asked=True):
            return Outcome("answer")
        missing = await say_answer(dispatcher, tracker, domain, found[0], focus, may_ask=leaning == "rule")
        return Outcome("missing" if missing else "answer", missing)
    if leaning in ("none", "complaint"):
        return Outcome("nothing")
    if _blames(turn) and leaning != "rule":
        say_problem(dispatcher, tracker, domain, turn.first("reason"), await order_talked_of(tracker, turn))
        return Outcome("problem")
    if leaning == "rule" and not answering.ready:
        dispatcher.utter_message(response="utter_answer_away")
        return Outcome("unknown")
    if close(found) and (leaning == "rule" or found[0].score >= LIKELIEST):
        return await _which(dispatcher, tracker, domain, turn, focus, found)
    if leaning == "rule":
        await say_unknown(dispatcher, tracker, domain, focus, turn, found)
        return Outcome("unknown")
    if leaning == "goods" and turn.confidence < WEAK and not turn.names_goods:
        await say_unknown(dispatcher, tracker, domain, focus, turn, found)
        return Outcome("unknown")
    await _which_goods(speaker, leaning)
    return Outcome("which")


# --- the two sides ---------------------------------------------------------------------------------------------------


async def _answers(tracker: Tracker, turn: Turn, focus: Focus) -> list[Found]:
    """Those that fit the words, or the one that "第二个" means of those that were offered."""
    if _offered_lately(tracker, focus) and (pointed := pointed_at(turn, focus.listed("answer"))):
        chosen = (await get_answering()).answer(pointed[0]["id"])
        return [Found(chosen, 1.0)] if chosen else []
    return await find_answers(tracker, turn)


async def _goods(speaker: Speaker, leaning: Leaning) -> Reading | None:
    """What the message says of goods; None where that is not looked for: goods that are complained of are not for
    sale, and words of a rule are not taken for those of a shelf."""
    turn, tracker = speaker.turn, speaker.tracker
    complains = turn.intent in ("complain", "report_problem") and not _weakly_of_goods(turn)
    if leaning == "complaint" or complains:
        return None
    if leaning == "comparison":
        return await read_comparison(speaker)
    if leaning not in _GOODS_LEANINGS:
        pointed = turn.entities.keys() & _POINTERS
        talked = last_said_of_goods(tracker) or Focus(tracker).at_hand("product")
        if not (pointed or talked) or (leaning == "none" and turn.rest and not turn.asks):
            return None
    if leaning in ("none", "goods") and not turn.tapped and _wants_after_sales(turn):
        return None
    reading = await read_goods(speaker, leaning == "recommendation")
    meant = leaning in _GOODS_LEANINGS
    listless = _blames(turn) or "objection" in turn.acts or (open_task(tracker) and not meant)
    if reading and listless and not (reading.single and (reading.sign is Sign.NAMED or meant)):
        return None
    return reading


def open_task(tracker: Tracker) -> bool:
    """Whether a request is being worked on: goods that are named are then those of the request."""
    return any(is_task(frame["flow"]) and frame["status"] == "open" for frame in Conversation.of(tracker).stack)


def _wants_after_sales(turn: Turn) -> bool:
    """Whether the message may as well be about goods that were bought."""
    return any(turn.ranking.get(intent, 0.0) >= A_TASK for intent in _AFTER_SALES)


def _weakly_of_goods(turn: Turn) -> bool:
    """ "65W以上的充电器", which is taken for a complaint, but not surely, and names no fault."""
    return turn.confidence < WEAK and turn.names_goods and turn.first("reason") is None


def _blames(turn: Turn) -> bool:
    """Whether something is wrong with the goods that it names."""
    return turn.first("reason") in FAULTS


def _weight_of_rule(found: Sequence[Found], leaning: Leaning, reading: Reading | None) -> float:
    if not sure(found):
        return 0.0
    # "有加湿器吗", "多大容量" of what is in hand: the goods themselves say more than how to choose some
    of_goods = reading is not None and reading.sign >= Sign.IN_HAND and leaning in _GOODS_LEANINGS
    if of_goods and found[0].answer.topic in OF_GOODS:
        return 0.0
    return found[0].score + (LEANS if leaning == "rule" else 0.0)


def _weight_of_goods(reading: Reading | None, leaning: Leaning) -> float:
    if reading is None:
        return 0.0
    known = GOODS[reading.sign] if reading.answers else min(GOODS[reading.sign], PAGE_IS_SILENT)
    if leaning == "recommendation":
        return known + WANTS_SOMETHING
    return known + (LEANS if leaning in _GOODS_LEANINGS else 0.0)


# --- asking back, and not knowing ------------------------------------------------------------------------------------


def _offered_lately(tracker: Tracker, focus: Focus) -> bool:
    """Whether the answer to the message before this one was "which of these answers?"."""
    shown = focus.value.get("listed") or {}
    return bool(focus.listed("answer")) and Conversation.of(tracker).turn - int(shown.get("turn") or 0) == 1


async def _which(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    turn: Turn,
    focus: Focus,
    found: Sequence[Found],
) -> Outcome:
    """Which answer is meant, at most once in a row; then the likeliest is said, or that none is known."""
    if _offered_lately(tracker, focus):
        if found[0].score < LIKELIEST:
            await say_unknown(dispatcher, tracker, domain, focus, turn, found)
            return Outcome("unknown")
        missing = await say_answer(dispatcher, tracker, domain, found[0], focus, may_ask=True)
        return Outcome("missing" if missing else "answer", missing)
    likely = [one.answer for one in found if one.score >= found[0].score * OFFERED]
    none = {"title": word(tracker, domain, "none_of_these"), "payload": NONE_OF_THESE}
    dispatcher.utter_message(response="utter_answer_which", buttons=[*map(button, likely), none])
    focus.on_list([_choice(answer) for answer in likely])
    return Outcome("which")


def _choice(answer: Answer) -> dict[str, str]:
    return {"kind": "answer", "id": answer.id, "title": answer.title}


async def _which_goods(speaker: Speaker, leaning: Leaning) -> None:
    """Nothing that the shop has is meant: which goods, or what kind of them?"""
    dispatcher, tracker, turn = speaker.dispatcher, speaker.tracker, speaker.turn
    if leaning == "recommendation":
        dispatcher.utter_message(response="utter_recommend_what")
    elif leaning == "comparison":
        if products := await to_compare(tracker, turn):
            custom = {"source": source(products[0])}
            dispatcher.utter_message(response="utter_compare_with", json_message=custom, name=products[0].name)
            talked_of(speaker.focus, products)
        else:
            dispatcher.utter_message(response="utter_compare_what")
    elif turn.intent == "ask_product" and len(await before(tracker)) > 1:
        dispatcher.utter_message(response="utter_products_attribute_unknown")
    else:
        dispatcher.utter_message(response="utter_product_unknown")
    speaker.focus.on("goods", WHICH_ONE)


def _has_word(domain: Domain, asked: Turn) -> bool:
    return has_response(domain, f"utter_word_topic_{asked.topic}")


async def say_unknown(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    focus: Focus,
    asked: Turn | None,
    found: Sequence[Found] = (),
) -> None:
    """Nothing fits what was asked: it is counted. First it is said honestly, the second time a person is offered, the
    third time what is known nearby is named."""
    if asked:
        await note_gap(asked)
    if await say_waiting(dispatcher, tracker, domain, focus):
        return
    times = int(focus.at_hand("unknown") or 0) % 3 + 1
    focus.on("unknown", str(times))
    human = {"title": title(tracker, domain, "human_handoff"), "payload": "/human_handoff"}
    near = [one.answer for one in found if one.score >= NEARBY]
    if times == 3 and near:
        dispatcher.utter_message(response="utter_unknown_nearby", buttons=[*map(button, near), human])
        focus.on_list([_choice(answer) for answer in near])
    elif times > 1:
        dispatcher.utter_message(response="utter_unknown_person", buttons=[human])
    elif asked and asked.intent == "ask_policy" and asked.confidence >= SURE_OF_TOPIC and _has_word(domain, asked):
        topic = word(tracker, domain, f"topic_{asked.topic}")
        dispatcher.utter_message(response="utter_policy_unknown_about", topic=topic, buttons=[human])
    else:
        dispatcher.utter_message(response="utter_policy_unknown", buttons=[human])


# --- the actions of questions about rules ----------------------------------------------------------------------------


class AnswerFromGraph(Action):
    def name(self) -> str:
        return "action_answer_from_graph"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus, answering = Turn.of(tracker), Focus(tracker), await get_answering()
        events: list[EventType] = []
        if key := turn.first("answer"):
            if chosen := answering.answer(key):
                told = Found(chosen, 1.0)
                events = await say_answer(dispatcher, tracker, domain, told, focus, may_ask=True)
            else:
                await say_unknown(dispatcher, tracker, domain, focus, next(Turn.earlier(tracker), None))
        elif asked := _asked_before(tracker, focus, answering):
            events = await say_answer(dispatcher, tracker, domain, Found(asked, 1.0), focus, may_ask=True)
        else:
            events = (await answer_question(dispatcher, tracker, domain, turn, focus, leaning="rule")).events
        if events:  # an order is wanted for it
            focus.on("awaited", focus.at_hand("answer"))
        return [*events, *focus.events()]


def _asked_before(tracker: Tracker, focus: Focus, answering: Answering) -> Answer | None:
    """The answer for which an order has been asked for, and which this message, an order number, is now told for."""
    conversation = Conversation.of(tracker)
    known = focus.at_hand("awaited")
    waited = conversation.top.get("flow") == "ask_policy" and conversation.top.get("began", 0) < conversation.turn
    return answering.answer(known) if known and waited else None


class NotHereYet(Action):
    """A wish that the shop cannot fulfil yet; a question about it may have an answer."""

    def name(self) -> str:
        return "action_not_here_yet"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        dispatcher.utter_message(response="utter_not_here_yet")
        found = await find_answers(tracker, turn)
        if sure(found) and found[0].answer.topic == turn.topic:
            await say_answer(dispatcher, tracker, domain, found[0], focus)
        return focus.events()
