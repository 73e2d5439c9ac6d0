"""What a flow is: how it begins, what it asks, does and writes. ``flow_files`` reads them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Slots = Mapping[str, Any]

CONTROL = ("problem", "missing", "refusal", "summary", "confirmed", "proposal", "change")
"""Slots that every flow with questions uses beside its own."""

ACT = "act"
"""Stands for an entity in a trigger on what a message does (bot/data/acts.yml)."""

CONFIRMED = "confirmed"
"""The slot of a ``write``: what was summed up and confirmed."""

MAY_BE = frozenset({"small_talk", "telling", "reason", "remark", "follow_up", "thanks"})
"""What a message may as well be, whatever it was taken for (see flow_files)."""

_CONDITION = re.compile(r"(?P<no>not )?(?P<slot>[a-z_]+)(?: (?P<how>is|has) (?P<value>\w+))?")


@dataclass(frozen=True)
class Condition:
    """``slot``, ``not slot``, ``slot is value`` or ``slot has value`` (of a list)."""

    slot: str
    negated: bool = False
    how: str | None = None
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Condition:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no condition")
        return cls(match["slot"], bool(match["no"]), match["how"], match["value"])

    def holds(self, slots: Slots) -> bool:
        value = slots.get(self.slot)
        if self.how == "is":
            found = str(value) == self.value
        elif self.how == "has":
            found = self.value in (value or ())
        else:
            found = bool(value)
        return found != self.negated


@dataclass(frozen=True)
class Step:
    kind: Literal["collect", "action", "write", "link"]
    name: str  # of the slot, the action, or the flow that follows
    id: str
    conditions: tuple[Condition, ...] = ()
    ends: bool = False
    entities: tuple[str, ...] = ()
    in_own_words: Literal["", "free", "choice", "checked"] = ""
    needs: tuple[str, ...] = ()
    summary: str = ""
    yes: re.Pattern[str] | None = None
    called: tuple[str, ...] = ()  # what people call the write, as in "确认绑定"

    def applies(self, slots: Slots) -> bool:
        return all(condition.holds(slots) for condition in self.conditions)


@dataclass(frozen=True)
class Named:
    """What a message names, or does (entity "act"), begins a flow, in place of these intents and of none."""

    entity: str
    value: str | None
    instead_of: frozenset[str]
    unless_asked: frozenset[str]

    def fits(self, values: Collection[tuple[str, object]]) -> bool:
        return any(entity == self.entity and self.value in (None, value) for entity, value in values)


@dataclass(frozen=True)
class Matter:
    """What was told or written lately, about which a message with one of the acts goes on."""

    acts: frozenset[str]
    about: str  # in the focus
    inside: str | None
    unless_since: frozenset[str]
    by_itself: bool


@dataclass(frozen=True)
class Flow:
    name: str
    description: str
    triggers: Mapping[str, Mapping[str, Any]]  # intent → slots that it says
    steps: tuple[Step, ...]
    named: tuple[Named, ...] = ()
    holds: tuple[str, ...] = ()
    changeable: tuple[str, ...] = ()
    undone_by: str | None = None
    quiet: bool = False  # nothing is asked after it
    serves: bool = False  # what it interrupts goes on by itself: binding, for those who were asked for a number
    soothes: bool = False  # an angry customer hears kind words, or is offered a person, before it
    pattern: bool = False  # of the house itself
    validate: str | None = None
    slots: frozenset[str] = field(default_factory=frozenset)
    confidence: float = 0.0  # the least with which an intent begins it
    may_be: frozenset[str] = frozenset()  # of MAY_BE
    goes_on: tuple[Matter, ...] = ()

    @property
    def kind(self) -> Literal["task", "question", "talk"]:
        if any(step.kind == "write" for step in self.steps):
            return "task"
        asks = any(step.kind == "collect" or step.needs for step in self.steps)
        return "question" if asks else "talk"

    @property
    def said_by_intents(self) -> frozenset[str]:
        """The slots that one of its intents tells: 退货, 换货."""
        return frozenset(slot for told in self.triggers.values() for slot in told)

    @property
    def write(self) -> Step | None:
        return next((step for step in self.steps if step.kind == "write"), None)

    def collects(self, slot: str) -> Step | None:
        """The step that asks for ``slot``."""
        return next(
            (s for s in self.steps if (s.kind == "collect" and s.name == slot) or slot in s.needs),
            None,
        )

    @property
    def asked_for(self) -> tuple[str, ...]:
        """The slots that it may ask for, in order."""
        found = [n for s in self.steps for n in ((s.name,) if s.kind == "collect" else s.needs)]
        return tuple(dict.fromkeys(found))


class Flows(dict[str, Flow]):
    """By name; and which one an intent begins."""

    def of_intent(self, intent: str) -> Flow | None:
        return next((flow for flow in self.values() if intent in flow.triggers), None)

    def named_by(self, values: Collection[tuple[str, object]]) -> tuple[Flow, tuple[Named, ...]] | None:
        """The flow that one of the values of a message (entity, value) begins, and by which of its triggers."""
        for flow in self.values():
            if fitting := tuple(one for one in flow.named if one.fits(values)):
                return flow, fitting
        return None


def question(slot: str, actions: Collection[str], time: int = 1) -> str:
    """The action that asks for ``slot`` for the first, second or third time."""
    if (asking := f"action_ask_{slot}") in actions:
        return asking
    again = f"utter_ask_{slot}_{'again' if time == 2 else 'third'}"
    return again if time > 1 and again in actions else f"utter_ask_{slot}"
