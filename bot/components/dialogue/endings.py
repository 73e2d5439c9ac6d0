"""Stops, what takes back what was written, thanks, leave, and pauses."""

from __future__ import annotations

import re

from bot.components.dialogue.consent import said_to_write
from bot.components.dialogue.flows import CONFIRMED, Flow
from bot.components.dialogue.handoff import person, taken_out
from bot.components.dialogue.reading import (
    AGAINST_YES,
    ANSWERS,
    CLEAR,
    CLEAR_BESIDE_QUESTION,
    CLEAR_TASK,
    GOES_ON,
    QUIET,
    SURE,
    WRITTEN_LATELY,
    Command,
    Reading,
)

_SEVERAL = re.compile(r"[,，。;；!！\s]")
"""Signs of more than one thing said."""

OF_A_CUSTOMER = frozenset({"order_id", "phone_tail", "order_phone", "account_phone", "account_order"})
"""Slots that tell who somebody is."""

A_BARE_STOP = 4
"""Characters of a stop that says of nothing what is stopped: to somebody who waits it is the waiting."""

SURE_STOP = 0.8
"""Confidence from which an intent, without a word that says it, is a stop in a longer message."""

LONGEST_LEAVE = 40
"""Characters of a message that may thank or take leave by its intent, with whatever else it says."""


def stop_word(reading: Reading) -> list[Command]:
    """ "T", "退订", "stop": what is open is stopped first; with nothing open, it is the offers that are not wanted."""
    if "stop_word" not in reading.acts or reading.message.parts:
        return []
    if reading.frame or reading.slots.get("queued"):
        return [Command("Cancel", why="one word that stops")]
    written = (reading.slots.get("focus") or {}).get("written") or {}
    lately = reading.state.turn - written.get("turn", -WRITTEN_LATELY) < WRITTEN_LATELY
    flow = reading.flows.of_intent("unsubscribe")
    if flow is None or (lately and "unsubscribes" not in reading.acts):
        return []
    return [Command("StartFlow", flow.name, {"intent": "unsubscribe"}, "a stop, and nothing is open", reading.part)]


def take_back(reading: Reading) -> list[Command]:
    """A stop: of what is open, or of what has just been written."""
    short = reading.short and not reading.message.entities
    sure = reading.intent == "stop" and reading.confidence >= (SURE if short and reading.frame else SURE_STOP)
    if not ("stop" in reading.acts or (sure and not reading.message.entities)) or "wait" in reading.acts:
        return []
    if "stays" in reading.acts and (reading.slots.get("queued") or taken_out(reading)):
        return []
    if stopped := _beneath(reading):
        return stopped
    waits = bool(reading.slots.get("queued")) and reading.frame is None
    of_queue = "unqueues" in reading.acts or reading.message.rest <= A_BARE_STOP
    if waits and (reading.acts & {"bye", "leave"} or not of_queue):
        return []  # "算了 先走了", "别退货了 给张券": they wait on
    wish = reading.wish
    if undoing := _undoes(reading, wish):
        return undoing
    a_task = wish is not None and wish.kind == "task" and reading.confidence >= CLEAR_TASK
    if waits and "stop" in reading.acts and not a_task:
        return [Command("Cancel", why="a stop while a person is waited for")]  # "不等了，直接说能不能退"
    again = wish is not None and wish is reading.flow and reading.sure and reading.asked != CONFIRMED
    if said_to_write(reading) or (again and "negation" not in reading.acts):
        return [reading.ask_again("what is to be done, said once more")]  # "嗯 取消" while an order is cancelled
    if (more := _more_than_a_stop(reading, wish)) is not None:
        return more
    if reading.flow and wish is reading.flow and reading.confidence >= CLEAR_BESIDE_QUESTION:
        changed = reading.told_by_intent()
        if changed and reading.acts & {"correction", "prefers"}:
            return changed  # "不退了还是换货吧", "我不换了，退钱", "不想换了 直接退"
    if "question" in reading.acts and "negation" not in reading.acts and reading.flow is None:
        return []
    stop = Command("Cancel", why="a stop", part=reading.part)
    return [stop, *person(reading)] if "human" in reading.acts and reading.frame else [stop]


def _beneath(reading: Reading) -> list[Command]:
    """ "不绑了 ORD… 5678" to the question for an order: what waits beneath is stopped, and the question is answered."""
    beneath = [one for one in reading.state.stack[:-1] if reading.flows[one.flow].kind == "task"]
    answers = (
        reading.fills(asked_only=True)
        if reading.frame and reading.asked in ("order_id", "phone_tail", "order_phone")
        else []
    )
    if not beneath or not answers or reading.wish is reading.flow:
        return []
    return [Command("Cancel", beneath[-1].flow, why="a stop of what waits"), *reading.fills(asked_only=False)]


def _more_than_a_stop(reading: Reading, wish: Flow | None) -> list[Command] | None:
    """ "不退了，帮我开发票", "我没说要退 我要差价": the open task ends, and the other matter begins."""
    if wish is None or wish is reading.flow or reading.small_talk or reading.intent in ANSWERS | {"human_handoff"}:
        return None
    clear = CLEAR_TASK if wish.kind == "task" else CLEAR if "question" in reading.acts else SURE
    if reading.confidence < clear or not _SEVERAL.search(reading.text.strip(" ,，.。;；!！~")):
        return None
    if reading.flow is None or reading.flow.kind != "task":
        return []
    return [Command("Cancel", value=GOES_ON, why="a stop, and something else"), *reading.begin(wish, "beside a stop")]


def _undoes(reading: Reading, wish: Flow | None) -> list[Command]:
    """What was written lately is taken back: "先别退了", "那取消吧" after a ticket. A bare "算了" is not enough."""
    written = (reading.slots.get("focus") or {}).get("written") or {}
    done = reading.flows.get(written.get("flow", ""))
    lately = reading.state.turn - written.get("turn", 0) < WRITTEN_LATELY
    if reading.frame or not (done and done.undone_by and lately) or reading.message.rest <= 2:
        return []
    if wish and wish.kind == "task" and wish.name not in (done.undone_by, "cancel_order"):
        return []
    return [Command("StartFlow", done.undone_by, {}, "a stop after it was written", reading.part)]


def end_or_pause(reading: Reading) -> list[Command]:
    acts, message = reading.acts, reading.message
    if message.values("order_id") or message.values("phone_tail"):
        return []
    for act, way in (("bye", "goodbye"), ("thanks_only", "thank"), ("leave", "leave")):
        if act in acts and "question" not in acts:
            return [Command("Leave", way, why=f"act {act}")]
    plain = len(message.text) <= LONGEST_LEAVE and not acts & {"question", "urgent", "human"}
    if plain and not message.entities and message.intent in QUIET and message.confidence >= CLEAR_TASK:
        return [Command("Leave", message.intent, why=f"intent {message.intent} {message.confidence:.2f}")]
    if "solved" in acts and _nothing_else(reading):
        return [Command("Leave", "glad", why="act solved")]
    if "wait" in acts:
        return [Command("Wait", why="act wait")]
    if "repeat" in acts and reading.state.turn:
        return [Command("Repeat", why="act repeat")]
    if "keeps_private" in acts and "human" not in acts and reading.asked in OF_A_CUSTOMER and reading.on_screen:
        return [Command("Unusable", reading.asked, "private", "wants to know what a number is for, or keeps it")]
    if "lost" in acts and reading.asked:
        return [Command("Unusable", reading.asked, "lost", "what was asked for is not at hand")]
    if "ack" in acts and "question" not in acts:
        return [Command("Acknowledge", why="act ack")]
    return []


def _nothing_else(reading: Reading) -> bool:
    """Whether what came right is all that the message tells."""
    message = reading.message
    asks = reading.acts & {*AGAINST_YES, "request", "urgent", "human", "follow_up"}
    wish = reading.flows.of_intent(message.intent)
    upset = (message.intent == "report_problem" or "reason" in reading.may_be) and message.confidence >= CLEAR
    wants = upset or (wish is not None and wish.kind == "task" and message.confidence >= CLEAR_TASK)
    tells = any(message.values(name) for name in ("reason", "complaint", "matter", "size", "quantity"))
    return not (asks or wants or tells or reading.asked)
