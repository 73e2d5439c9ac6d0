"""What was told is wrong, or is wanted otherwise."""

from __future__ import annotations

from bot.components.acts import OF_REQUEST
from bot.components.dialogue.flows import CONFIRMED
from bot.components.dialogue.reading import (
    ANSWERS,
    CHANGE,
    CLEAR,
    CLEAR_TASK,
    ENDED_LATELY,
    SHORT,
    Command,
    Reading,
)


def another_kind(reading: Reading) -> list[Command]:
    """At a summary: "换一盒，不是退钱", "还是退钱吧". What the intents of the flow tell is wished otherwise,
    whatever is denied or asked beside it; a new summary writes nothing. At any other question, where it was told
    already and is plainly preferred otherwise ("不了 还是退")."""
    summed_up = reading.asked in (CONFIRMED, CHANGE)
    if (
        not (summed_up or "prefers" in reading.acts)
        or reading.flow is None
        or reading.acts & {"condition", "human", *OF_REQUEST}
    ):
        return []
    told = reading.flow.triggers.get(reading.intent, {}) if reading.confidence >= CLEAR_TASK else {}
    for slot in sorted(reading.flow.said_by_intents):
        named = reading.message.values(slot)
        if not summed_up and reading.slots.get(slot) is None:
            continue
        if not named or named[0] == reading.slots.get(slot) or reading.leads_away(reading.message):
            continue
        wished = told.get(slot) == named[0]
        denies = bool(reading.acts & {"negation", "objection", "correction"})
        if wished or ("prefers" in reading.acts and (denies or "question" not in reading.acts)):
            others = [one for one in reading.fills(asked_only=False) if one.name not in (slot, CHANGE)]
            return [reading.set_slot(slot, named[0], f"entity {slot}, wished instead"), *others]
    return []


def correction(reading: Reading) -> list[Command]:
    corrects = "correction" in reading.acts or (reading.intent == "correct" and reading.confidence >= CLEAR)
    if "restates" in reading.acts and "correction" not in reading.acts:
        return []  # "我问的是敏感肌" corrects what was answered, not what was asked for
    if corrects and reading.flow is None:
        return _another_order(reading)
    if not corrects or reading.flow is None or reading.flow.kind != "task":
        return []
    another = reading.wish
    wish = another is not None and another is not reading.flow and another.kind != "talk"
    if wish and reading.sure and reading.intent not in ANSWERS:
        return []  # "改一下收货地址" in the middle of a return
    if found := reading.fills(asked_only=False, corrected=True) + reading.told_by_intent():
        number = any(one.name == "order_id" for one in found)
        return [one for one in found if not (number and one.name == "reason")]  # "发错了，是ORD…" is no reason
    if reading.message.rest > SHORT and reading.step_in_own_words:
        return []
    known = any(reading.slots.get(slot) is not None for slot in reading.flow.changeable)
    says_so = reading.short or reading.intent in ANSWERS - {"nlu_fallback"}
    return [Command("Correct", why="something is wrong, but not said what")] if known and says_so else []


def _another_order(reading: Reading) -> list[Command]:
    """ "弄错了，是ORD…" when the request has just ended, with a refusal mostly: it begins again with that order."""
    ended, orders = reading.state.ended, reading.message.values("order_id")
    flow, wish = reading.flows.get(str(ended.get("flow"))), reading.wish
    if not orders or flow is None or reading.state.turn - ended["turn"] > ENDED_LATELY:
        return []
    if wish not in (None, flow) and reading.intent not in ANSWERS and reading.confidence >= CLEAR:
        return []
    told = {"intent": ended["intent"], **flow.triggers.get(ended["intent"], {}), "order_id": orders[0]}
    return [Command("StartFlow", flow.name, told, "another order than that", reading.part)]
