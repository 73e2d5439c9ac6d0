"""What answers a question: values, own words; and what answers nothing."""

from __future__ import annotations

from bot.components.dialogue.flows import CONFIRMED
from bot.components.dialogue.reading import (
    A_POINTER,
    A_WISH,
    ABOUT_REQUEST,
    ANSWERS,
    CLEAR,
    CLEAR_BESIDE_QUESTION,
    POINTERS,
    SURE,
    SURE_TALK,
    Command,
    Reading,
)

SEVERAL_WAYS = 2
"""Buttons on the screen from which a bare yes leaves open what is meant."""

_IMPLIES_A_WAY = frozenset({"size"})
"""Entities that answer which way is meant without naming one: whoever names a size wants it in exchange."""


def no_words(reading: Reading) -> list[Command]:
    """ "？", "3": nothing that could be a wish."""
    message = reading.message
    if message.rest or message.entities or not message.text.strip() or reading.acts & {"yes", "no", "ack"}:
        return []
    words = any(character.isalnum() for character in message.text)
    if reading.asked and reading.on_screen:
        unclear = "question" in reading.acts and not words and reading.asked != CONFIRMED
        return [Command("Unusable", reading.asked, "lost", "a question mark to a question")] if unclear else []
    if "question" not in reading.acts and not words:
        return [Command("Acknowledge", why="no words")]
    flow = reading.flows.of_intent("greet" if "question" in reading.acts else "inform")
    told = {"intent": "greet" if "question" in reading.acts else "inform"}
    return [Command("StartFlow", flow.name, told, "no words", reading.part)] if flow else []


def told_values(reading: Reading) -> list[Command]:
    """What answers the question, and whatever else the message says to the open flow, or to one that was left."""
    if found := reading.fills(asked_only=False):
        elsewhere = reading.small_talk and reading.sure and not reading.asked
        return [] if elsewhere else found
    if reading.flow is None or reading.flow.kind == "question":
        for frame in reversed(reading.state.stack):
            if frame is not reading.frame and (found := reading.fills_of(frame)):
                return [Command("Resume", frame.flow, why="a value that it waited for"), *found]
    return []


def as_before(reading: Reading) -> list[Command]:
    """ "跟刚才一样啊，还要再打一遍？": what was told for another order answers, and is no question."""
    step = reading.step_in_own_words
    if step is None or step.in_own_words != "checked" or "as_before" not in reading.acts:
        return []
    return [reading.in_own_words(step)]


def own_words(reading: Reading) -> list[Command]:
    step = reading.step_in_own_words
    if step is None:
        return []
    enough = SURE_TALK if step.in_own_words == "free" else CLEAR_BESIDE_QUESTION
    small = reading.small_talk and reading.confidence >= enough
    if small and not (step.in_own_words == "checked" and reading.intent == "out_of_scope"):
        return []
    if step.in_own_words == "choice" and (
        reading.intent not in ("inform", "nlu_fallback", "correct") or not reading.short or _of_something_else(reading)
    ):
        return []
    if reading.acts & {"question", "request"} and reading.intent not in ("report_problem", "complain", "inform"):
        return []
    if reading.acts & {"yes", "no", "ack", "objection"} and len(reading.text) <= 4:
        return []
    flung_back = reading.intent == "complain" and "objection" in reading.acts
    if flung_back or "stop" in reading.acts:  # "听不懂人话？不退！！" is no reason
        return []
    return [reading.in_own_words(step)]


def _of_something_else(reading: Reading) -> bool:
    """Whether a message that came where something of a list was to be named names nothing and has a subject of its
    own ("跟师傅讲一声"): it was no try to choose."""
    step = reading.step
    choice = step is not None and step.in_own_words == "choice"
    names = any(reading.message.values(name) for name in (*POINTERS, "order_id", "ticket_id"))
    return choice and reading.message.topic is not None and not names


def _details(reading: Reading) -> bool:
    """Whether a message that came where one of a few ways was to be picked tells more of the matter ("整个箱子都是"):
    it was no try to pick one."""
    step = reading.step
    ways = step is not None and not step.in_own_words and _IMPLIES_A_WAY.issuperset(step.entities)
    tells = reading.intent in ("inform", "nlu_fallback", "report_problem", "deny") and not reading.message.entities
    return ways and tells and not reading.acts and reading.message.rest > A_POINTER


def objection(reading: Reading) -> list[Command]:
    """At a summary: something else than a yes, a no, a wish or a value. Nothing is written."""
    if reading.asked != CONFIRMED:
        return []
    if "question" in reading.acts:
        return [Command("StartFlow", ABOUT_REQUEST, {}, "a question at the summary", reading.part)]
    if not reading.on_screen:
        return []
    return [Command("Object", why="neither a clear yes nor a no")]


def bare_values(reading: Reading) -> list[Command]:
    """Numbers, goods or a reason that no question asked for."""
    flow = reading.flows.of_intent("inform")
    if flow is None or (reading.asked and reading.on_screen):
        return []
    numbers = any(reading.message.values(name) for name in ("order_id", "phone_tail", "ticket_id"))
    values = numbers or ("question" not in reading.acts and bool(reading.message.values("reason")))
    goods = any(reading.message.values(name) for name in ("product", "category", "brand", "ordinal"))
    pointed = bool(reading.message.values("mention") or reading.message.values("goods_kind"))
    goods |= pointed and reading.message.rest <= A_POINTER
    if not values and not goods:
        return []
    return [Command("StartFlow", flow.name, {"intent": "inform"}, "values without a wish", reading.part)]


def not_understood(reading: Reading) -> list[Command]:
    short = reading.short and "question" not in reading.acts
    missed = reading.confidence < SURE or reading.intent in ANSWERS - {"affirm", "deny", "stop"}
    missed |= reading.text.strip().isdecimal()
    beside = _of_something_else(reading) or _details(reading)
    if reading.asked and reading.on_screen and short and missed and not beside:
        return [Command("Unusable", reading.asked, "unusable", "no answer to what was asked")]
    if reading.intent == "deny" and reading.confidence >= CLEAR:
        if reading.asked and reading.on_screen and reading.frame and reading.frame.asks.get(reading.asked, 0) < 2:
            return [Command("Unusable", reading.asked, "lost", "a no to a question for a value")]
        if "no" in reading.acts or (reading.message.rest <= A_POINTER and reading.shown.buttons):
            return [Command("Leave", "deny", why="a no to nothing")]
    nods = bool(reading.acts & {"yes", "yes_weak"}) or (reading.intent == "affirm" and reading.sure)
    if nods and "question" not in reading.acts and ("yes" in reading.acts or reading.message.rest <= A_WISH):
        asked_which = any(kind.startswith("Which") for kind, _ in reading.state.commands)
        if len(reading.shown.buttons) >= SEVERAL_WAYS and not asked_which:
            return [Command("Which", why="a yes to a choice")]
        return [Command("Acknowledge", why="a yes to nothing")]
    more = reading.acts & {"question", "urgent", "human", "request"}
    if "thanks" in reading.acts and not more and reading.frame is None:
        return [Command("Leave", "thank", why="thanks, and nothing else that is clear")]
    return [Command("CannotHandle", why=f"intent {reading.intent} {reading.confidence:.2f}")]
