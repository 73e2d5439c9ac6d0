"""What a message is read with: the message, the state, the flow on top, and what the message fills of its slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.components.dialogue.flows import CONFIRMED, Flow, Flows, Step
from bot.components.dialogue.state import Frame, Message, Shown, State
from bot.components.dialogue.steps import Ask, wanted
from bot.components.text import normalize

Kind = Literal[
    "StartFlow", "SetSlot", "Correct", "Confirm", "Deny", "Cancel", "Wait", "Acknowledge", "Leave", "Repeat",
    "Resume", "Object", "Unusable", "Which", "SummaryGone", "CannotHandle", "Keep",
]  # fmt: skip

CLEAR = 0.4
"""Confidence from which an intent is taken at its word."""

CLEAR_TASK = 0.55
"""Confidence from which a task is begun: a weak guess is asked back with its title instead."""

CLEAR_BESIDE_QUESTION = 0.5
"""The same while an answer is expected: most short messages are answers."""

SURE = 0.7
"""Confidence from which a message that also answers the question is a wish of its own, too."""

SURE_TALK = 0.9
"""Confidence from which small talk is no answer where one may say anything: "我家狗看见它就叫" is a reason."""

A_POINTER = 3
"""Letters beside "那个" of a message that does nothing but point."""

SHORT = 12
"""Characters of a message that may be a yes or a no by its intent alone, a choice, or an answer that missed."""

A_WISH = 6
"""Letters beside the values of an answer from which the message may be a wish, too: "5678 快点" is not."""

ABOUT_REQUEST = "pattern_about_request"
"""The flow that answers what is asked of a request that is summed up, or was written."""

CHANGE = "change"
"""The slot that asks what of a summary is wrong."""

GOES_ON = "goes on"
"""Of a Cancel: the message wants something else, too."""

ENDED_LATELY = 2
"""Turns after its end for which a request may be begun again with another order."""

WRITTEN_LATELY = 6
"""Turns for which "先别退了" may take back what was written."""

AGAINST_YES = frozenset({"question", "negation", "condition", "objection", "no", "stop", "wait", "lost", "repeat"})
"""Acts beside which nothing is a yes."""

ANSWERS = frozenset({"inform", "affirm", "deny", "correct", "stop", "nlu_fallback"})
"""Intents of messages that only mean something as an answer to what was asked."""

QUIET = frozenset({"thank", "goodbye"})
"""Intents after which nothing is asked."""

POINTERS = frozenset({"ordinal", "mention", "product", "category", "brand", "goods_kind", "four_digits", "yes_no"})
"""Entities that answer a question only where it has just been asked."""


@dataclass(frozen=True)
class Command:
    kind: Kind
    name: str = ""  # of a flow, a slot, or the way of leaving
    value: Any = None
    why: str = ""
    part: int = 0
    later: bool = False  # StartFlow: when the one before it is done
    flow: str = ""  # SetSlot: of which flow

    def describe(self) -> list[str]:
        """For people: what, and why."""
        value = "" if self.value in (None, {}) else f"={self.value}"
        return [f"{self.kind} {self.name}{value}".strip(), self.why]


class Reading:
    """One message, or one part of it, in the light of the state."""

    def __init__(
        self, message: Message, state: State, slots: Mapping[str, Any], flows: Flows, shown: Shown, part: int = 0
    ) -> None:
        self.message, self.state, self.slots, self.flows, self.shown = message, state, slots, flows, shown
        self.part = part
        self.text, self.acts = message.text, message.acts
        self.intent, self.confidence = message.intent, message.confidence
        self.sure = message.confidence >= SURE
        self.short = len(message.text) <= SHORT
        self.wish: Flow | None = flows.of_intent(message.intent)  # what its intent begins
        self.may_be = self.wish.may_be if self.wish else frozenset[str]()
        self.small_talk = "small_talk" in self.may_be
        self.frame: Frame | None = state.open
        self.flow: Flow | None = flows[self.frame.flow] if self.frame else None
        want = wanted(self.frame, self.flow, slots) if self.frame and self.flow else None
        self.asked: str | None = want.slot if isinstance(want, Ask) else None
        # what was asked for stays on the screen while the customer only nods or looks for something
        self.on_screen = bool(self.frame and self.frame.asked == self.asked and self.frame.asked_in >= state.turn)

    def of(self, message: Message, part: int = 0) -> Reading:
        """Another message, or a part of this one, in the same light."""
        return Reading(message, self.state, self.slots, self.flows, self.shown, part)

    @property
    def words(self) -> str:
        """As patterns read them, without what stands around them."""
        return normalize(self.text).text.strip(" ,.!~。！，、")

    @property
    def step(self) -> Step | None:
        """The step whose question is open."""
        return self.flow.collects(self.asked) if self.flow and self.asked else None

    @property
    def step_in_own_words(self) -> Step | None:
        """The same, where its question stands on the screen and may be answered in any words."""
        step = self.step
        return step if step and step.in_own_words and self.on_screen else None

    def turn_of(self, kind: str) -> int:
        """The turn of what of this kind was talked of last."""
        return int(((self.slots.get("focus") or {}).get(kind) or {}).get("turn", -WRITTEN_LATELY))

    def wants_else(self, than: str) -> bool:
        """Whether it surely wants something that may not as well be ``than``, one of MAY_BE."""
        return self.wish is not None and self.sure and than not in self.may_be

    def leads_away(self, message: Message) -> bool:
        """Whether a message surely wants something that has nothing to do with a request or with what was just said."""
        wish = self.flows.of_intent(message.intent)
        if wish is None or wish.may_be & {"follow_up", "remark"} or message.intent in ANSWERS:
            return False
        return message.confidence >= (CLEAR_TASK if wish.kind == "task" else SURE) and "contests" not in message.acts

    def begin(self, flow: Flow, why: str, intent: str = "") -> list[Command]:
        """The flow with all that the message tells it; a task once for each order that is named."""
        intent = intent or self.intent
        told: dict[str, Any] = {"intent": intent, **flow.triggers.get(intent, {})}
        for slot in (*flow.asked_for, *(flow.holds if flow.kind == "talk" else ())):
            if values := self.message.values(slot):
                told[slot] = values[0]
        found = [Command("StartFlow", flow.name, told, why, self.part)]
        if flow.kind == "task":
            others = dict.fromkeys(self.message.values("order_id")[1:])
            found += [
                Command("StartFlow", flow.name, {**told, "order_id": other}, "the other order", self.part, later=True)
                for other in others
                if other != told.get("order_id")
            ]
            # what else the message says is the flow's, too: a reason, unopened goods
            found += [
                self.set_slot(name, values[0], f"entity {name}", flow.name)
                for name in sorted(flow.slots - flow.said_by_intents - set(told))
                if (values := self.message.values(name))
            ]
        return found

    def told_by_intent(self) -> list[Command]:
        """What the intent itself says to the open flow, as far as it is new."""
        if self.flow is None or self.confidence < CLEAR:
            return []
        told = self.flow.triggers.get(self.intent, {})
        why = f"intent {self.intent}"
        return [self.set_slot(n, v, why) for n, v in told.items() if self.slots.get(n) != v]

    def fills(self, asked_only: bool, corrected: bool = False) -> list[Command]:
        """The slots of the open flow that the message fills. What an intent says (退货, 换货) is not changed by a word
        that is only mentioned: it has to be ``corrected``."""
        if self.frame is None or self.flow is None:
            return []
        by_intent = self.flow.said_by_intents - {self.asked}
        kept = {"proposal", CONFIRMED, "summary"} | (set() if corrected else by_intent)
        names = (self.asked,) if asked_only else tuple(sorted(self.flow.slots - kept))
        found: list[Command] = []
        for name in names:
            if name is None:
                continue
            value, entity = self._value_of(name)
            if value is not None:
                found.append(self.set_slot(name, value, f"entity {entity}"))
        return found

    def _value_of(self, slot: str) -> tuple[Any, str]:
        if values := self.message.values(slot):
            return values[0], slot
        step = self.flow.collects(slot) if self.flow else None
        if step is None or slot != self.asked:
            return None, ""
        for entity in step.entities:
            if values := self.message.values(entity):
                pointer = entity in POINTERS and entity != "four_digits"
                return ({"by": entity, "value": values[0]} if pointer else values[0]), entity
        return None, ""

    def fills_of(self, frame: Frame) -> list[Command]:
        """What a frame that was left can take: only what it last asked for."""
        flow, slot = self.flows[frame.flow], frame.asked
        fits = self.intent in ANSWERS or self.intent in flow.triggers
        if slot is None or slot not in flow.slots or not fits:
            return []
        if values := self.message.values(slot):
            return [self.set_slot(slot, values[0], f"entity {slot}", flow.name)]
        step = flow.collects(slot)
        lately = self.state.turn - frame.touched <= ENDED_LATELY and self.message.rest <= A_WISH
        if step and step.in_own_words == "checked" and lately and not self.acts:
            return [self.set_slot(slot, {"words": self.text}, "in few words, lately asked for", flow.name)]
        return []

    def set_slot(self, slot: str, value: Any, why: str, flow: str = "") -> Command:
        return Command("SetSlot", slot, value, why, self.part, flow=flow or (self.frame.flow if self.frame else ""))

    def in_own_words(self, step: Step) -> Command:
        return self.set_slot(step.name, {"words": self.text}, "in the customer's own words")

    def ask_again(self, why: str) -> Command:
        return Command("Unusable", self.asked or "", "again", why)
