"""What goes on about a matter that was told, a request that is summed up or written, a refusal, an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.components.acts import OF_REQUEST
from bot.components.dialogue.flows import CONFIRMED, Flow, Matter
from bot.components.dialogue.reading import (
    ABOUT_REQUEST,
    ANSWERS,
    CHANGE,
    CLEAR,
    SHORT,
    WRITTEN_LATELY,
    Command,
    Reading,
)

OWN_SUBJECT = ("order_id", "ticket_id", "product", "category", "brand", "goods_kind", "reason", "complaint", "matter")
"""Entities with which a message is about something of its own."""

REFUSED_LATELY = 3
"""Turns for which an objection, or another reason, is about what was refused."""


def about_matter(reading: Reading) -> list[Command]:
    """ "多久能好，发到哪" after an invoice was asked for, "哪一年的" of a refund that was told: about just that."""
    if "human" in reading.acts:
        return []
    for flow in reading.flows.values():
        for matter in flow.goes_on:
            if matter.acts & reading.acts and (found := _goes_on(reading, matter, flow)):
                return found
    return []


def _goes_on(reading: Reading, matter: Matter, talk: Flow) -> list[Command]:
    """About what was told lately; by itself also of an order that is named, or instead of the request that is open."""
    since = reading.turn_of(matter.about)
    newest = all(reading.turn_of(other) <= since for other in matter.unless_since)
    lately = reading.state.turn - since < WRITTEN_LATELY and newest
    inside = reading.flow is not None and reading.flow.name == matter.inside
    named = matter.by_itself and reading.message.values("order_id") and reading.frame is None
    denies = matter.by_itself and lately and reading.acts & {"negation", "objection", "stop"}
    if not (inside or named or (lately and (denies or reading.frame is None))):
        return []
    about = Command("StartFlow", talk.name, {}, "goes on about what was told", reading.part)
    gives_up = denies and reading.flow is not None and reading.flow.kind == "task"
    return [Command("Cancel", why="another thing is wanted"), about] if gives_up else [about]


def after_refusal(reading: Reading) -> list[Command]:
    """Of what the rules have just refused: another reason or kind is looked at with all that was told before; who
    contests it, or says the wish again, begins nothing anew."""
    refused: Mapping[str, Any] = (reading.slots.get("focus") or {}).get("refused") or {}
    flow, message = reading.flows.get(str(refused.get("flow"))), reading.message
    if reading.frame or flow is None or reading.state.turn - refused["turn"] >= REFUSED_LATELY:
        return []
    goods = [str(v).lower() for name in ("product", "category", "brand") for v in message.values(name)]
    elsewhere = any(order != refused["order_id"] for order in message.values("order_id"))
    elsewhere |= bool(goods) and not any(name in refused["goods"] for name in goods)
    if elsewhere or "another" in reading.acts or message.values("ticket_id") or reading.leads_away(message):
        return []
    again = message.intent in flow.triggers and message.confidence >= CLEAR
    remark = message.intent in ANSWERS or "remark" in reading.may_be
    contests = "contests" in reading.acts or ("objection" in reading.acts and remark)
    told = {name: message.values(name)[0] for name in ("reason", "ticket_kind") if message.values(name)}
    told |= flow.triggers[message.intent] if again else {}
    new = {name: value for name, value in told.items() if value != refused.get(name)}
    goes_on = "follow_up" in reading.acts or ("ticket_kind" in new and reading.short)
    if new and (again or contests or goes_on or message.intent in ANSWERS) and not reading.acts & OF_REQUEST:
        kept = ("order_id", "order_line", "ticket_kind", "reason", "opened")
        told = {name: refused[name] for name in kept if refused.get(name)} | new
        intent = message.intent if again else next(iter(flow.triggers))
        return [
            Command("StartFlow", flow.name, {"intent": intent, **told}, "what was refused, otherwise", reading.part)
        ]
    if again or contests:
        return [Command("StartFlow", "pattern_contested", {}, "contests what was refused", reading.part)]
    return []


def pressed(reading: Reading) -> list[Command]:
    """ "给个准话", "然后呢", "那咋办": what is at hand is told on. A question that is open is put once more, or, to who
    is at a loss for it, with help. What names a subject, or tells more than that, is about just that."""
    if "presses" not in reading.acts or any(reading.message.values(name) for name in OWN_SUBJECT):
        return []
    if reading.message.rest > SHORT and reading.wants_else("small_talk"):
        return []
    if reading.asked:
        lost = "lost" in reading.acts and reading.on_screen
        return [] if lost else [reading.ask_again("wants to know what comes of it")]
    return [Command("StartFlow", "pattern_pressed", {}, "wants to know what comes of it", reading.part)]


def reproached(reading: Reading) -> list[Command]:
    """ "你没看懂我说的", "答非所问", and nothing that would say what was meant."""
    if "reproaches" not in reading.acts or reading.asked == CONFIRMED:
        return []
    return [Command("StartFlow", "pattern_reproached", {}, "was misunderstood", reading.part)]


def after_answer(reading: Reading) -> list[Command]:
    """ "那质量问题呢" right after an answer is about that answer's rule, and begins no request."""
    told = (reading.slots.get("focus") or {}).get("answer") or {}
    flow, wish = reading.flows.of_intent("ask_policy"), reading.wish
    if flow is None or not {"follow_up", "question"} <= reading.acts or told.get("turn") != reading.state.turn:
        return []
    elsewhere = wish is not None and wish.kind != "task" and reading.intent not in ANSWERS
    if elsewhere or reading.frame or reading.message.values("order_id"):
        return []
    return [Command("StartFlow", flow.name, {"intent": "ask_policy"}, "goes on from an answer", reading.part)]


def about_request(reading: Reading) -> list[Command]:
    """ "凭什么我出运费" at a summary, "换的还是同色吧" after the write: about just that, and it changes nothing."""
    if not reading.acts & OF_REQUEST or reading.message.values("order_id") or reading.message.values("ticket_id"):
        return []
    summed_up = reading.asked in (CONFIRMED, CHANGE)
    if not (summed_up or (reading.frame is None and _ticket_lately(reading))):
        return []
    corrects = "correction" in reading.acts and not {"question", "of_goods"} <= reading.acts  # "能换成黑的吗" asks
    if corrects or (not summed_up and reading.wants_else("follow_up")):
        return []
    about = Command("StartFlow", ABOUT_REQUEST, {}, "a question about what is asked for", reading.part)
    known = summed_up and reading.flow is not None and "reason_denied" in reading.flow.slots
    denied = reading.message.values("reason_denied") if known else []  # "不是质量问题，那运费谁出"
    return [*(reading.set_slot("reason_denied", one, "denied beside a question") for one in denied[:1]), about]


def verdict(reading: Reading) -> list[Command]:
    """ "到底能不能退" in the middle of a request that rules decide on, once its goods are known."""
    decided = reading.flow is not None and "decision" in reading.flow.slots and reading.slots.get("proved")
    if "of_verdict" not in reading.acts or not decided or reading.slots.get("order_lines") is None:
        return []
    return [Command("StartFlow", "pattern_verdict", {}, "a plain verdict is wanted", reading.part)]


def _ticket_lately(reading: Reading) -> bool:
    """Whether a ticket was written or told lately, and no other order since."""
    focus = reading.slots.get("focus") or {}
    ticket, order = ((focus.get(kind) or {}).get("turn", -WRITTEN_LATELY) for kind in ("ticket", "order"))
    return bool(reading.state.turn - ticket < WRITTEN_LATELY and ticket >= order)
