"""Goods or rules: the evidence for both is gathered here, weighed in bot/actions/weighing.py, and the likelier said.

The evidence: how sure an answer of the graph is, how clearly goods are named, pointed at or gone on about, the order or
the ticket at hand (bot/actions/knowledge.py), and the intent, which is a hint among others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, Literal

import yaml
from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.answers import Asked, button, find_answers, note_gap, say_plainly, subject_of
from bot.actions.conversation import Conversation
from bot.actions.flow_files import is_task
from bot.actions.focus import Focus, pointed_at
from bot.actions.graphs import get_answering
from bot.actions.handoff import call_person, say_waiting
from bot.actions.knowledge import (
    order_talked_of,
    say_answer,
    say_problem,
    say_sentence,
    say_to_upset,
    told_lately,
    way_buttons,
)
from bot.actions.order_choice import OF_AN_ORDER, SHOPPING, names_listed, own_order_meant
from bot.actions.orders import say_order
from bot.actions.product_answers import (
    Reading,
    Speaker,
    keep_wish,
    read_comparison,
    read_goods,
    say_what_to_recommend,
    source,
)
from bot.actions.product_compared import to_compare
from bot.actions.product_reference import (
    SPOKEN_OF,
    SURE_OF_GOODS,
    WHICH_ONE,
    Sign,
    before,
    carried_on,
    last_said_of_goods,
    on_its_shelf,
    shown_now,
    talked_of,
)
from bot.actions.product_talk import (
    Talk,
    asks_for_some,
    asks_shop,
    bought_before,
    for_sale,
    has_bought,
    hear,
    moves_on,
    names_some,
    seeking,
    uses,
)
from bot.actions.product_words import HOW_TO_ASK, SAID
from bot.actions.tickets import Button
from bot.actions.turn import Turn
from bot.actions.weighing import GOODS_LEANINGS, LIKELIEST, WEAK, Evidence, Leaning, decide
from bot.actions.wording import Domain, has_response, title, word
from bot.actions.worry_state import ANGER, felt, upset
from bot.spelling import plain
from knowledge_graph import Answer, Answering, Found, sure
from mall_adapter.handoff import ComplaintKind
from mall_adapter.values import Reason

Kind = Literal["answer", "goods", "problem", "which", "missing", "unknown", "heard", "nothing"]

OF_GOODS_TOPIC = "product_question"
OF_PRICES = "price_promo"
OF_GOODS = frozenset({OF_GOODS_TOPIC, "feature_comparison"})
"""Topics of answers that speak of goods in general."""

OFFERED = 1 / 3
"""Of the likeliest answer's probability: what an answer must have to be offered beside it."""

WORTH_A_BUTTON = 0.15
"""Probability from which an answer is worth naming beside another, or where nothing else is known."""

QUITE_SURE = 0.75
"""Probability from which an answer stands alone."""

ANOTHER = 0.98
"""Probability from which a question is about another answer than the one that was just told."""

UNKNOWN_LATELY = 2
"""Turns within which it is not said twice that something is not known."""

OFFERED_AT_MOST = 2
"""Offers of a person, one soon after the other, after which one is called."""

OPTIONS = 2
"""So many answers that are near, and so many wishes, are offered where nothing is known."""

SHORT = 12
"""Characters of a question that may go on from the one before."""

A_BARE_QUESTION = 4
"""Characters of a question about goods that says nothing else."""

CLEAR_WISH = 0.7
"""Confidence below which a wish for goods may be a question about those in hand."""

A_TASK = 0.3
"""Probability of a wish about an order from which goods that are named are not for sale."""

A_REMARK = 6
"""Characters of words from which "go on" alone would be no answer to what was told."""

A_STORY = 16
"""Characters of words from which a statement tells of something that a person had better see."""

NONE_OF_THESE = '/ask_policy{"answer": "none"}'

FAULTS = frozenset({Reason.QUALITY, Reason.DAMAGED, Reason.WRONG_ITEM, Reason.MISSING_ITEM, Reason.NOT_AS_DESCRIBED})
"""Reasons for which the shop has to make good."""

_OF_RULES = frozenset({"answer", "which", "unknown", "nothing"})
"""Decisions that a sentence of what was just told may stand for."""

_UPSET = ("complain", "worry_delivery", "report_problem")
"""Intents of somebody for whom something has gone wrong."""

_ASK_ANYTHING = SHOPPING | {"ask_policy", "ask_promotion"}
"""Intents of questions whose subject is in their words, not in what they are called."""

_AFTER_SALES = ("request_return", "request_exchange", "request_refund", "report_problem")
_OF_GOODS = ("ask_price", "ask_stock")
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
    if leaning == "recommendation" and turn.confidence < CLEAR_WISH and focus.at_hand("product"):
        leaning = "goods"  # "50g的呢" of what is in hand
    if leaning == "rule" and turn.confidence < WEAK and turn.names_goods and seeking(turn) == "clearly":
        leaning = "goods"  # "你们有防晒霜吗" that may as well have been taken for that
    if leaning == "rule" and last_said_of_goods(tracker) == SPOKEN_OF and moves_on(turn):
        leaning = "goods"  # "便宜点的有没" of what was just shown
    if leaning == "goods":
        turn = on_its_shelf(tracker, carried_on(tracker, turn))
    if order_id := turn.first("order_id"):
        focus.on("order", str(order_id))
    if leaning == "goods" and not turn.names_goods:
        await _goods_of_order(tracker, turn, focus)
    speaker = Speaker(dispatcher, tracker, domain, turn, focus)
    answering, asked, reading = await asyncio.gather(
        get_answering(), _answers(tracker, domain, turn, focus, leaning), _goods(speaker, leaning)
    )
    found = asked.best
    decision = decide(_evidence(tracker, turn, focus, leaning, found, reading, answering.ready))
    told = _maybe_meant(tracker, focus, answering, found) if decision in _OF_RULES and turn.asks else None
    if told and await say_sentence(dispatcher, tracker, focus, told):
        return Outcome("answer")
    of_order = (
        decision == "goods"
        and (leaning != "recommendation" or not turn.rest)
        and (turn.topic in OF_AN_ORDER or names_listed(tracker, turn) or not turn.rest)
        and turn.intent not in _OF_GOODS
    )
    if of_order and (own := await own_order_meant(tracker, turn)):
        say_order(dispatcher, tracker, domain, own, "parcel")  # "空气炸锅什么时候发" of somebody who has bought one
        focus.on("order", own.id)
        return Outcome("answer")
    if decision == "goods" and reading:
        await reading.say()
        focus.on("goods", SPOKEN_OF)
        return Outcome("goods")
    if decision == "answer":
        of_people = found[0].answer.topic == "contact_human"  # "还要等多久" of somebody who waits: their own place
        if of_people and await say_waiting(dispatcher, tracker, domain, focus, asked=True):
            return Outcome("answer")
        missing = await say_answer(
            dispatcher, tracker, domain, found[0], focus, may_ask=leaning == "rule", chosen=asked.chosen
        )
        if asked.beside and leaning == "rule" and not missing:
            say_plainly(dispatcher, asked.beside)
        elif not missing:
            _say_others(dispatcher, found)
        if reading and reading.moves and found[0].answer.topic == OF_PRICES and not missing:
            await reading.say()  # "太贵了 有没有活动": both halves
            focus.on("goods", SPOKEN_OF)
        elif turn.first("category") and seeking(turn) == "clearly":
            keep_wish(focus, turn)  # "要五十盒月饼" was told the rule: what follows is about these
        return Outcome("missing" if missing else "answer", missing)
    match decision:
        case "problem":
            order = await order_talked_of(tracker, turn)
            await say_problem(dispatcher, tracker, domain, turn.first("reason"), order, focus)
            return Outcome("problem")
        case "away":
            dispatcher.utter_message(response="utter_answer_away")
            return Outcome("unknown")
        case "which":
            _which(dispatcher, tracker, domain, focus, found)
            return Outcome("which")
        case "unknown":
            await say_unknown(dispatcher, tracker, domain, focus, turn, found)
            return Outcome("unknown")
        case "heard":
            await say_heard(dispatcher, tracker, domain, focus, turn)
            return Outcome("heard")
        case "which goods":
            await _which_goods(speaker, leaning)
            return Outcome("which")
        case "use":
            await _say_use(speaker, reading)
            return Outcome("unknown")
    return Outcome("nothing")


async def _goods_of_order(tracker: Tracker, turn: Turn, focus: Focus) -> None:
    """ "L 码有货吗" of whoever talks of an order: its goods, where they are of one kind, are what is asked about."""
    if not (turn.intent in _OF_GOODS or turn.first("size")) or (
        focus.at_hand("product") and not focus.later("order", "product")
    ):
        return
    order = await order_talked_of(tracker, turn)
    products = {line.product_id for line in order.lines} if order else set()
    if len(products) == 1:
        focus.on("product", products.pop())


def _evidence(
    tracker: Tracker,
    turn: Turn,
    focus: Focus,
    leaning: Leaning,
    found: Sequence[Found],
    reading: Reading | None,
    ready: bool,
) -> Evidence:
    return Evidence(
        leaning,
        tuple(one.score for one in found),
        of_goods=bool(found) and found[0].answer.topic in OF_GOODS,
        goes_on=bool(found) and found[0].answer.id == told_lately(tracker),
        apart=bool(found)
        and found[0].answer.topic != OF_GOODS_TOPIC
        and not (leaning == "rule" and turn.confidence >= CLEAR_WISH),
        sign=_sign(turn, reading) if reading else None,
        page=reading is not None and reading.answers,
        offers=reading is not None and reading.offers,
        lists=reading is not None and (reading.offers or not reading.single),
        tells=reading is not None and reading.tells,
        seeks=seeking(turn),
        uses=uses(turn),
        elsewhere=not for_sale(turn) or has_bought(turn),
        confidence=turn.confidence,
        # "邮费店里包我才退" wants to know, and so does "昨天买的今天便宜了五十"
        asks=turn.asks or "condition" in turn.acts or turn.first("matter") is not None,
        blames=_blames(turn),
        names_goods=turn.names_goods,
        bare=turn.names_goods and not turn.rest,
        astray=reading is None and not turn.names_goods and (_points_at_nothing(turn, focus) or _asks_of_goods(turn)),
        asked_back=_offered_lately(tracker, focus),
        how_to_ask=bool(found)
        and found[0].answer.id in HOW_TO_ASK
        and last_said_of_goods(tracker) == SPOKEN_OF
        and bool(focus.listed("product") or focus.at_hand("product")),
        of_shown=last_said_of_goods(tracker) == SPOKEN_OF
        and turn.intent == "ask_product"
        and turn.confidence >= SURE_OF_GOODS
        and not turn.names_goods,
        narrows=last_said_of_goods(tracker) == SPOKEN_OF and hear(turn, Talk()).narrows,
        asks_for_some=reading is None and not turn.names_goods and asks_for_some(turn),
        ready=ready,
    )


def _sign(turn: Turn, reading: Reading) -> Sign:
    """A size is asked of the goods in hand, and of no rule."""
    return Sign.AGAIN if reading.sign is Sign.IN_HAND and turn.first("size") else reading.sign


# --- the two sides ---------------------------------------------------------------------------------------------------


async def _answers(tracker: Tracker, domain: Domain, turn: Turn, focus: Focus, leaning: Leaning) -> Asked:
    """Those that fit the words, or the one that "第二个" means of those that were offered."""
    if _offered_lately(tracker, focus):
        offered = focus.listed("answer")
        only = offered if turn.yes and len(offered) == 1 else []  # "对" to "您问的是…吗？"
        named = [one for one in offered if one["title"] == turn.text.strip()]
        if pointed := pointed_at(turn, offered) or named or only:
            chosen = (await get_answering()).answer(pointed[0]["id"])
            return Asked([Found(chosen, 1.0)] if chosen else [], chosen=True)
    goes_on = "follow_up" in turn.acts
    told = told_lately(tracker)
    answer = (await get_answering()).answer(told) if told and not focus.later("product", "answer") else None
    before = list[str]()
    short = len(turn.words.strip()) <= SHORT and not (leaning in GOODS_LEANINGS and turn.sure)  # 能机洗不
    if (turn.bare and answer) or (turn.asks and (goes_on or short)):
        asked = _answered_before(tracker) or subject_before(tracker, domain)
        before = [*([asked] if asked else []), *([answer.title] if answer else [])]
    of_rules = leaning not in GOODS_LEANINGS or turn.topic in OF_AN_ORDER
    return await find_answers(tracker, turn, before, goes_on, of_rules, wrong=_ruled_out(tracker, turn, focus))


def _ruled_out(tracker: Tracker, turn: Turn, focus: Focus) -> frozenset[str]:
    """Answers that were told or offered, and of which the customer has said that something else was asked."""
    if (told := told_lately(tracker)) and "restates" in turn.acts:
        rule_out(focus, [told])
    return frozenset((focus.at_hand("ruled_out") or "").split())


def rule_out(focus: Focus, answers: Sequence[str]) -> None:
    known = (focus.at_hand("ruled_out") or "").split()
    focus.on("ruled_out", " ".join(dict.fromkeys([*known, *answers])))


def _maybe_meant(tracker: Tracker, focus: Focus, answering: Answering, found: Sequence[Found]) -> Answer | None:
    """The answer that was just told, if this message may go on about it: nothing else is meant for certain."""
    key = told_lately(tracker)
    if key is None or key in (focus.at_hand("ruled_out") or "").split():
        return None
    another = bool(found) and found[0].answer.id != key and found[0].score >= ANOTHER
    return None if another else answering.answer(key)


def _answered_before(tracker: Tracker) -> str:
    """The question before this message, if it was answered with a rule."""
    told = Focus(tracker).value.get("answer") or {}
    if not told or Conversation.of(tracker).turn - int(told.get("turn") or 0) != 1:
        return ""
    return next((earlier.words.strip() for earlier in Turn.earlier(tracker)), "")


def subject_before(tracker: Tracker, domain: Domain) -> str | None:
    """What the message before this one was about, as customers call it, where a topic goes with it."""
    before = next(Turn.earlier(tracker), None)
    if before is None or not before.sure or not before.topic or before.intent in _ASK_ANYTHING:
        return None
    return title(tracker, domain, before.intent) if has_response(domain, f"utter_title_{before.intent}") else None


async def _goods(speaker: Speaker, leaning: Leaning) -> Reading | None:
    """What the message says of goods; None where that is not looked for: goods that are complained of are not for
    sale, and words of a rule are not taken for those of a shelf."""
    turn, tracker = speaker.turn, speaker.tracker
    complains = turn.intent in ("complain", "report_problem") and not _weakly_of_goods(turn)
    if (
        leaning == "complaint"
        or complains
        or (turn.first("order_id") and not turn.names_goods and turn.intent not in _OF_GOODS)
    ):
        return None
    if leaning == "comparison":
        return await read_comparison(speaker)
    if leaning not in GOODS_LEANINGS:
        pointed = turn.entities.keys() & _POINTERS
        listed = Focus(tracker).listed("product", lately=True)
        talked = last_said_of_goods(tracker) or Focus(tracker).at_hand("product") or listed
        if not (pointed or talked) or (leaning == "none" and turn.rest and not turn.asks):
            return None
    if leaning in ("none", "goods") and not turn.tapped and _wants_after_sales(turn):
        return None
    reading = await read_goods(speaker, leaning == "recommendation")
    meant = leaning in GOODS_LEANINGS
    listless = _blames(turn) or "objection" in turn.acts or (open_task(tracker) and not meant)
    if reading and listless and not (reading.single and (reading.sign is Sign.NAMED or meant)):
        return None
    return reading


def open_task(tracker: Tracker) -> Mapping[str, Any] | None:
    """The request that is being worked on: goods that are named are then those of the request."""
    frames = reversed(Conversation.of(tracker).stack)
    return next((frame for frame in frames if is_task(frame["flow"]) and frame["status"] == "open"), None)


def _points_at_nothing(turn: Turn, focus: Focus) -> bool:
    """ "最后一个" with nothing listed."""
    return turn.first("ordinal") is not None and not focus.listed()


def _asks_of_goods(turn: Turn) -> bool:
    """ "多少钱", "有货吗" and nothing else."""
    return turn.intent in _OF_GOODS and turn.confidence >= WEAK and len(turn.rest) <= A_BARE_QUESTION


def _wants_after_sales(turn: Turn) -> bool:
    """Whether the message may as well be about goods that were bought."""
    return any(turn.ranking.get(intent, 0.0) >= A_TASK for intent in _AFTER_SALES)


def _weakly_of_goods(turn: Turn) -> bool:
    """ "65W以上的充电器", which is taken for a complaint, but not surely, and names no fault."""
    return turn.confidence < WEAK and turn.names_goods and turn.first("reason") is None


def _blames(turn: Turn) -> bool:
    """Whether something is wrong with the goods that it names."""
    return turn.first("reason") in FAULTS and not SAID["whether"].search(plain(turn.text))


# --- asking back, and not knowing ------------------------------------------------------------------------------------


def _offered_lately(tracker: Tracker, focus: Focus) -> bool:
    """Whether the answer to the message before this one was "which of these answers?"."""
    shown = focus.value.get("listed") or {}
    return bool(focus.listed("answer")) and Conversation.of(tracker).turn - int(shown.get("turn") or 0) == 1


def _which(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, found: Sequence[Found]
) -> None:
    """Which answer is meant."""
    likely = [one.answer for one in found if one.score >= found[0].score * OFFERED]
    none = {"title": word(tracker, domain, "none_of_these"), "payload": NONE_OF_THESE}
    response = "utter_answer_which" if len(likely) > 1 else "utter_answer_this"
    dispatcher.utter_message(response=response, title=likely[0].title, buttons=[*map(button, likely), none])
    focus.on_list([_choice(answer) for answer in likely])


def _say_others(dispatcher: CollectingDispatcher, found: Sequence[Found]) -> None:
    """What may be meant instead, under an answer that is not quite sure."""
    others = [one.answer for one in found[1:] if one.score >= WORTH_A_BUTTON]
    if others and found[0].score < QUITE_SURE:
        dispatcher.utter_message(response="utter_answer_or", buttons=[*map(button, others)])


def _choice(answer: Answer) -> dict[str, str]:
    return {"kind": "answer", "id": answer.id, "title": answer.title}


async def _which_goods(speaker: Speaker, leaning: Leaning) -> None:
    """Nothing that the shop has is meant: which goods, or what kind of them?"""
    dispatcher, tracker, turn = speaker.dispatcher, speaker.tracker, speaker.turn
    if leaning == "goods" and last_said_of_goods(tracker) == WHICH_ONE:  # asked once is enough
        human = way_buttons(tracker, speaker.domain, ["human_handoff"])
        dispatcher.utter_message(response="utter_unknown_person", buttons=human)
    elif leaning == "recommendation":
        await say_what_to_recommend(speaker)
    elif leaning == "comparison":
        if products := await to_compare(tracker, turn):
            custom = {"source": source(products[0])}
            dispatcher.utter_message(response="utter_compare_with", json_message=custom, name=products[0].name)
            talked_of(speaker.focus, products)
        else:
            dispatcher.utter_message(response="utter_compare_what")
    elif not asks_shop(turn) and shown_now(tracker) and len(await before(tracker)) > 1:
        dispatcher.utter_message(response="utter_products_attribute_unknown")
        speaker.focus.on("goods", SPOKEN_OF)
        return
    elif names_some(turn):
        human = way_buttons(tracker, speaker.domain, ["human_handoff"])
        dispatcher.utter_message(response="utter_product_not_found", buttons=human)
    else:
        dispatcher.utter_message(response="utter_product_unknown")
    speaker.focus.on("goods", WHICH_ONE)


async def _say_use(speaker: Speaker, reading: Reading | None) -> None:
    """How a thing is used stands in no page that is known: a person can tell."""
    dispatcher, tracker, focus = speaker.dispatcher, speaker.tracker, speaker.focus
    await note_gap(speaker.tracker, speaker.turn)
    if await say_waiting(dispatcher, tracker, speaker.domain, focus):
        return
    if await call_at_last(dispatcher, tracker, speaker.domain, focus, speaker.turn):
        return
    product = reading.of if reading else None
    if unknown_lately(tracker, focus):
        response = "utter_unknown_person"
    elif not product and not speaker.turn.names_goods and last_said_of_goods(tracker) == SPOKEN_OF:
        response = "utter_products_attribute_unknown"  # of those that were just listed
    else:
        response = "utter_use_unknown_of" if product else "utter_use_unknown"
    human = way_buttons(tracker, speaker.domain, ["human_handoff"])
    named = {"name": product.name} if product else {}
    dispatcher.utter_message(response=response, buttons=human, **named)
    focus.on("unknown", OF_GOODS_TOPIC)
    if product:
        focus.on("product", product.id)


async def say_unknown(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    focus: Focus,
    asked: Turn | None,
    found: Sequence[Found] = (),
) -> None:
    """Nothing fits what was asked: it is counted. Once it is said what is not known, and what can be had instead; after
    that a person is offered."""
    blamed = asked is not None and felt(tracker) == ANGER  # "你们发货是靠走路的吗" does not want to know
    if asked and not blamed:
        await note_gap(tracker, asked)
    if _unknown_now(tracker, focus):  # the other half of the message is not known either: it is said once
        return
    if await say_waiting(dispatcher, tracker, domain, focus):
        return
    subject = subject_of(asked) if asked and asked.asks and not blamed and not _blames(asked) else ""
    of = {"subject": subject} if subject else {}
    if open_task(tracker):  # its question stands behind: a second one would be answered by the same yes
        human = way_buttons(tracker, domain, ["human_handoff"])
        response = "utter_unknown_aside_of" if of else "utter_unknown_aside"
        dispatcher.utter_message(response=response, buttons=human, **of)
        focus.on("unknown", "any")
        return
    if asked and await call_at_last(dispatcher, tracker, domain, focus, asked):
        return
    if blamed:
        human = way_buttons(tracker, domain, ["human_handoff"])
        dispatcher.utter_message(response="utter_anger_unanswered", buttons=human)
        focus.on("complaint", ComplaintKind.OTHER)
        return
    near = [one.answer for one in found if one.score >= WORTH_A_BUTTON][:OPTIONS]
    topic = (near[0].topic if near and found[0].score >= LIKELIEST else asked.topic if asked else None) or ""
    agreed = bool(near) and near[0].topic == topic  # the words and what is near speak of the same
    human = way_buttons(tracker, domain, ["human_handoff"])
    if unknown_lately(tracker, focus):
        dispatcher.utter_message(response="utter_unknown_person", buttons=[*map(button, near), *human])
    else:
        wishes = way_buttons(tracker, domain, wishes_of(topic)[:1] if agreed else ())
        response = "utter_policy_unknown_of" if of else "utter_policy_unknown"
        dispatcher.utter_message(response=response, buttons=_once([*map(button, near), *wishes, *human]), **of)
    focus.on("unknown", topic or "any").on_list([_choice(answer) for answer in near])


async def say_heard(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    focus: Focus,
    turn: Turn,
    guesses: Sequence[Button] = (),
) -> None:
    """To what was told and asks nothing: what has gone wrong, or is wanted, goes to a person; the rest was heard."""
    if await say_waiting(dispatcher, tracker, domain, focus):
        return
    buttons = [*guesses, *way_buttons(tracker, domain, ["human_handoff"])]
    if open_task(tracker):
        dispatcher.utter_message(response="utter_heard_aside", buttons=buttons)
        return
    trouble = sum(turn.ranking.get(intent, 0.0) for intent in _UPSET) >= LIKELIEST
    if not trouble and bought_before(turn):
        dispatcher.utter_message(response="utter_bought_before")
    elif trouble or turn.acts & {"request", "wish"} or len(turn.rest) >= A_STORY:
        if not await call_at_last(dispatcher, tracker, domain, focus, turn):
            response = "utter_heard_trouble" if trouble else "utter_heard_request"
            dispatcher.utter_message(response=response, buttons=buttons)
    elif upset(tracker, datetime.now(UTC)):
        await say_to_upset(dispatcher, tracker, domain, turn, focus)
    elif len(turn.rest) >= A_REMARK:
        dispatcher.utter_message(response="utter_heard", buttons=buttons)
    else:
        dispatcher.utter_message(response="utter_go_on", buttons=list(guesses))


async def call_at_last(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, turn: Turn
) -> bool:
    """Whether a person is called: it has been offered to no end for as often as that is worth. Else it counts as one
    more offer."""
    before = focus.value.get("offered") or {}
    lately = Conversation.of(tracker).turn - int(before.get("turn") or 0) <= UNKNOWN_LATELY
    refused = any(one.yes is False for one in islice(Turn.earlier(tracker), UNKNOWN_LATELY))
    times = int(before["id"]) if before and lately and not refused else 0
    focus.on("offered", str(times + 1) if times < OFFERED_AT_MOST else None)
    if times < OFFERED_AT_MOST:
        return False
    dispatcher.utter_message(response="utter_call_at_last")
    await call_person(dispatcher, tracker, domain, focus, turn)
    return True


def unknown_lately(tracker: Tracker, focus: Focus) -> bool:
    """Whether one of the last two messages was met with "I do not know"."""
    said = focus.value.get("unknown") or {}
    return bool(said) and Conversation.of(tracker).turn - int(said.get("turn") or 0) <= UNKNOWN_LATELY


def _unknown_now(tracker: Tracker, focus: Focus) -> bool:
    """Whether this very message was met so."""
    said = focus.value.get("unknown") or {}
    return bool(said) and int(said.get("turn") or 0) == Conversation.of(tracker).turn


def _once(buttons: Sequence[Button]) -> list[Button]:
    return list({one["payload"]: one for one in buttons}.values())


class OfferTasks(Action):
    """A subject and nothing else ("售后", "发票"): what can be done about it."""

    def name(self) -> str:
        return "action_offer_tasks"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        topic = turn.topic or ""
        wishes = way_buttons(tracker, domain, wishes_of(topic) or ("request_return", "order_status", "human_handoff"))
        near = [one.answer for one in (await find_answers(tracker, turn)).best if one.answer.topic == topic][:OPTIONS]
        buttons = [*wishes, *map(button, near)]
        focus.on_list([_choice(answer) for answer in near])
        if has_response(domain, f"utter_word_topic_{topic}"):
            about = word(tracker, domain, f"topic_{topic}")
            dispatcher.utter_message(response="utter_offer_tasks", topic=about, buttons=buttons)
        else:
            dispatcher.utter_message(response="utter_default", buttons=buttons)
        return focus.events()


@cache
def _wishes() -> dict[str, list[str]]:
    content: dict[str, dict[str, list[str]]] = yaml.safe_load((settings.ROOT / "bot/topics.yml").read_text("utf-8"))
    return content["wishes"]


def wishes_of(topic: str) -> Sequence[str]:
    """What one can wish for about a topic, the most common first."""
    return _wishes().get(topic, ())


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
                events = await say_answer(dispatcher, tracker, domain, told, focus, may_ask=True, chosen=True)
            else:
                rule_out(focus, [one["id"] for one in focus.listed("answer")])
                await say_unknown(dispatcher, tracker, domain, focus, next(Turn.earlier(tracker), None))
        elif asked := _asked_before(tracker, focus, answering):
            events = await say_answer(dispatcher, tracker, domain, Found(asked, 1.0), focus, may_ask=True)
        else:
            if turn.tapped and turn.yes is None:  # a button that stands for a subject asks for what its title says
                subject = title(tracker, domain, turn.intent)
                turn = replace(turn, words=subject, question=subject, acts=turn.acts | {"question"})
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
        if SAID["link"].search(plain(turn.text)):  # of goods
            outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="goods")
            if outcome.said:
                return [*outcome.events, *focus.events()]
        dispatcher.utter_message(response="utter_not_here_yet")
        found = (await find_answers(tracker, turn)).best
        if sure(found) and found[0].answer.topic == turn.topic:
            await say_answer(dispatcher, tracker, domain, found[0], focus)
        return focus.events()
