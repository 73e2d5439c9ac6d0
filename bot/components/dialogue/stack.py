"""The stack of flows: what commands do to it, what an action that ran means to it, and which action comes next.

Three pure functions: ``hear`` (a message came), ``did`` (an action ran), ``decide`` (what now). ``slots`` are the
values as they are; what changes in them is returned beside the state.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bot.components.dialogue.commands import understand
from bot.components.dialogue.consent import SUMMED_UP_LATELY
from bot.components.dialogue.endings import OF_A_CUSTOMER
from bot.components.dialogue.flows import CONFIRMED, CONTROL, Flow, Flows, question
from bot.components.dialogue.reading import CHANGE, GOES_ON, SURE, Command
from bot.components.dialogue.state import NEXT, OPEN, PARKED, WAITING, Frame, Message, Shown, State
from bot.components.dialogue.steps import Ask, Link, Run, wanted

Values = dict[str, Any]

LISTEN = "action_listen"
REMIND = "action_remind"
OFFER_RESUME = "action_ask_resume"
BEGIN_NEXT = "action_begin_next"
NOTHING_SAID = "utter_acknowledge"

MOST_ASKED = 3
"""How often one question is put; after that it is left, and the door stays open."""

MOST_REMINDED = 1
"""Reminders of an open question while the customer speaks of other things."""

MOST_ACTIONS = 8
"""Actions of one turn; Rasa itself stops at ten, and then the conversation hangs."""

DEEPEST = 4
"""Flows that are kept; the oldest that was left falls out."""

OTHERS_TOO = "other_orders"
"""The slot in which a validation tells of other orders that the wish is for as well."""

KEPT_TURNS = 12
"""Turns after which a flow that was left is forgotten."""


class _Slots(dict[str, Any]):
    """The tracker's values with the changes so far."""

    def __init__(self, values: Mapping[str, Any], changes: Values) -> None:
        super().__init__({**values, **changes})
        self.changes = changes

    def set(self, name: str, value: Any) -> None:
        self[name] = self.changes[name] = value


def hear(state: State, message: Message, slots: Mapping[str, Any], flows: Flows, shown: Shown) -> tuple[State, Values]:
    """The state after the customer's message, and the slots that change with it."""
    values = _Slots(slots, {})
    state = copy.deepcopy(state)
    state.stack = [frame for frame in state.stack if frame.flow in flows]  # a flow may be gone since
    commands = understand(message, state, slots, flows, shown)
    state.turn += 1
    state.say, state.quiet = [], False
    state.commands = [command.describe() for command in commands]
    if any((command.value or {}).get("intent") == "inform" for command in commands if command.kind == "StartFlow"):
        for frame in state.stack:  # numbers that nobody asked for may be meant for what is summed up: it is shown again
            frame.asked_in = min(frame.asked_in, state.turn - SUMMED_UP_LATELY)
    if values.get("problem"):
        values.set("problem", None)
    _forget(state, flows, values)
    _Hearing(state, message, values, flows).apply(commands)
    _settle(state, flows, values)
    _mirror_heard(state, values)
    return state, values.changes


def _mirror_heard(state: State, slots: _Slots) -> None:
    """What the topmost flow has heard and not validated stands in the slot ``heard``, for its validation."""
    top = state.top
    heard = dict(top.heard) if top and top.status == OPEN and top.fresh and top.heard else None
    if slots.get("heard") != heard:
        slots.set("heard", heard)


def _forget(state: State, flows: Flows, slots: _Slots) -> None:
    """What was left long ago, and talk that could not end."""
    kept = [
        frame
        for frame in state.stack
        if flows[frame.flow].kind != "talk" and (frame.status == OPEN or state.turn - frame.touched <= KEPT_TURNS)
    ]
    _rebind(state, kept, flows, slots)


class _Hearing:
    """Applies the commands of one message, in their order."""

    def __init__(self, state: State, message: Message, slots: _Slots, flows: Flows) -> None:
        self.state, self.message, self.slots, self.flows = state, message, slots, flows

    def apply(self, commands: Sequence[Command]) -> None:
        starts = [command for command in commands if command.kind == "StartFlow"]
        for command in commands:
            if command.kind != "StartFlow":
                getattr(self, f"_{command.kind.lower()}")(command)
                continue
            self._start(command)
        if len(starts) > 1:  # questions are answered first, in their order; then the first task, then the others
            self._order(starts)
        if self.message.feeling == "anger" and any(self.flows[start.name].soothes for start in starts):
            self.state.say.insert(0, "action_hear_anger")
        if not any(command.kind in ("CannotHandle", "Unusable", "Object") for command in commands):
            self.state.lost = 0
        self._apply_values(commands)

    # ---- flows

    def _start(self, command: Command) -> None:
        flow = self.flows[command.name]
        told = {name: value for name, value in (command.value or {}).items() if name != "intent"}
        intent = (command.value or {}).get("intent") or self.message.intent
        state, known = self.state, None
        if flow.kind == "task" and not command.later:
            known = next((frame for frame in reversed(state.stack) if frame.flow == flow.name), None)
        below = state.open
        if known:
            known.intent = intent
            if known.asked and known.status == PARKED:  # asked in vain before: once more, not from the beginning
                known.asks[known.asked] = min(known.asks.get(known.asked, 0), MOST_ASKED - 1)
            stack = [frame for frame in state.stack if frame is not known] + [known]
            _rebind(state, stack, self.flows, self.slots)
            self._touch(known)
            for name, value in told.items():
                self.slots.set(name, value)
            return
        key = f"{self.message.id or state.turn}{f'.{len(state.stack)}' if command.later else ''}"
        frame = Frame(flow.name, intent, key, state.turn, command.part, touched=state.turn)
        frame.unsure = flow.kind == "task" and self._unsure(command, flow)
        if command.later:
            frame.status, frame.values = NEXT, told
            _put_behind(state, frame, self.flows, self.slots)
            return
        if flow.kind != "talk":
            # a question that waited for an answer gives way; a task that was begun is offered again
            for other in state.stack:
                if other.status == OPEN and self.flows[other.flow].kind == "question":
                    other.status = NEXT if flow.serves else PARKED
            if flow.kind == "task" and below and self.flows[below.flow].kind == "task":
                below.status = NEXT if flow.serves else WAITING
                state.say += [] if flow.serves else ["action_interrupt"]
        _rebind(state, [*state.stack, frame][-DEEPEST:], self.flows, self.slots)
        for name, value in told.items():
            self.slots.set(name, value)

    def _unsure(self, command: Command, flow: Flow) -> bool:
        part = self.message.parts[command.part] if command.part < len(self.message.parts) else self.message
        return not self.message.tapped and part.intent in flow.triggers and part.confidence < SURE

    def _order(self, starts: Sequence[Command]) -> None:
        """Several wishes of one message: talk and questions on top, the first said the topmost."""
        began = [frame for frame in self.state.stack if frame.began == self.state.turn and frame.status != NEXT]
        tasks = [frame for frame in began if self.flows[frame.flow].kind == "task"]
        others = [frame for frame in began if self.flows[frame.flow].kind != "task"]
        rest = [frame for frame in self.state.stack if frame not in began]
        for frame in others:
            frame.status = OPEN
        for frame in tasks[1:]:
            frame.status = NEXT
        if tasks:
            tasks[0].status = OPEN
            if len(tasks) > 1:
                self.state.say = [*(say for say in self.state.say if say != "action_interrupt"), "action_noted"]
        _rebind(self.state, [*rest, *reversed(tasks), *reversed(others)], self.flows, self.slots)

    def _push(self, name: str) -> None:
        frame = Frame(name, self.message.intent, self.message.id, self.state.turn, touched=self.state.turn)
        _rebind(self.state, [*self.state.stack, frame], self.flows, self.slots)

    def _touch(self, frame: Frame) -> None:
        frame.status, frame.touched, frame.reminded, frame.fresh = OPEN, self.state.turn, 0, True
        frame.unsure = False

    # ---- values

    def _apply_values(self, commands: Sequence[Command]) -> None:
        told: dict[str, Values] = {}
        for command in commands:
            if command.kind == "SetSlot":
                told.setdefault(command.flow, {})[command.name] = command.value
        for name, values in told.items():
            frame = next((one for one in reversed(self.state.stack) if one.flow == name), None)
            if frame is not None:
                self._tell(frame, values)

    def _tell(self, frame: Frame, told: Values) -> None:
        flow = self.flows[frame.flow]
        self._touch(frame)
        if frame.asked and not told.keys() & {frame.asked, "proposal", "change"} and frame.began < self.state.turn:
            frame.aside = self.state.turn
        frame.changing = False
        for intent, said in flow.triggers.items():  # "还是退吧": what it is called by now
            if said and said.keys() <= told.keys() and all(told[name] == value for name, value in said.items()):
                frame.intent = intent
        for again in (CONFIRMED, told.get("change")):  # a new summary is a new question, so is what is reopened
            frame.asks.pop(str(again), None)
        for name in (CONFIRMED, "summary", "missing", "refusal"):
            self._set(frame, name, None)
        if flow.validate:
            frame.heard.update(told)
            return
        for name, value in told.items():
            self._set(frame, name, value)
        _look_again(frame, flow, self.slots)

    def _set(self, frame: Frame, name: str, value: Any) -> None:
        """In the slot, or beneath another flow that has it now."""
        if _owner(self.state.stack, name, self.flows) is frame:
            if self.slots.get(name) != value:
                self.slots.set(name, value)
        else:
            frame.values[name] = value

    def _setslot(self, command: Command) -> None:
        """All at once: see _apply_values."""

    def _confirm(self, command: Command) -> None:
        if frame := self.state.open:
            frame.touched, frame.reminded = self.state.turn, 0
            self.slots.set(CONFIRMED, self.slots.get("summary"))

    def _deny(self, command: Command) -> None:
        """No to the summary: what is to be changed, or nothing is done."""
        if (frame := self.state.open) is None:
            return
        if self.flows[frame.flow].changeable:
            self._correct(command)
        else:
            self._drop(frame)
            self._push("pattern_kept")

    def _correct(self, command: Command) -> None:
        if frame := self.state.open:
            self._touch(frame)  # the validation looks whether the message says what is right
            frame.changing = True
            for name in (CONFIRMED, "summary", "change"):
                self.slots.set(name, None)

    def _keep(self, command: Command) -> None:
        """Nothing of the summary is wrong after all."""
        if frame := self.state.open:
            frame.changing, frame.touched, frame.reminded = False, self.state.turn, 0
            for name in (CHANGE, CONFIRMED):
                frame.asks.pop(name, None)

    def _object(self, command: Command) -> None:
        """Neither yes nor no to a summary: it stays unsent, and what may be wrong is asked, or the summary again."""
        if frame := self.state.open:
            self.slots.set("problem", {"slot": CONFIRMED, "name": "unclear"})
            self._touch(frame)

    def _unusable(self, command: Command) -> None:
        if (frame := self.state.open) is None:
            self._cannothandle(command)
            return
        if command.value != "again":
            self.slots.set("problem", {"slot": command.name, "name": command.value})
        elif command.name == CONFIRMED:  # whoever wants the summary gets it
            frame.asks[CONFIRMED] = min(frame.asks.get(CONFIRMED, 0), MOST_ASKED - 1)
        frame.touched, frame.reminded = self.state.turn, 0
        frame.fresh = True  # it may tell something that nobody had asked for
        frame.known = _filled(frame, self.flows, self.slots)

    # ---- ending and pausing

    def _drop(self, frame: Frame) -> None:
        _rebind(self.state, [one for one in self.state.stack if one is not frame], self.flows, self.slots)

    def _cancel(self, command: Command) -> None:
        if command.name:  # something that waits beneath what goes on
            self._drop(next(one for one in reversed(self.state.stack[:-1]) if one.flow == command.name))
            return
        frame = self.state.top
        self.state.quiet = True
        for one in self.state.stack:
            if one is not frame:
                one.status = PARKED
        open_task = frame is not None and self.flows[frame.flow].kind == "task"
        if frame is not None:
            self._drop(frame)
        if frame is not None and open_task:
            self.state.ended = {"flow": frame.flow, "intent": frame.intent, "turn": self.state.turn}
        if command.value == GOES_ON:
            self.state.quiet = False
            self.state.say += ["action_cancelled"] if open_task else []
        else:
            self._push("pattern_cancelled" if open_task else "pattern_nothing_to_cancel")

    def _leave(self, command: Command) -> None:
        self.state.quiet = True
        unsent = any(
            frame.status == OPEN and frame.asks.get(CONFIRMED) and CONFIRMED in _slots_of(frame, self.flows)
            for frame in self.state.stack
        )
        for frame in self.state.stack:
            frame.status = PARKED
        self._push(f"pattern_{command.name}_unsent" if unsent else f"pattern_{command.name}")

    def _wait(self, command: Command) -> None:
        self._pause("pattern_wait")

    def _acknowledge(self, command: Command) -> None:
        self._pause("pattern_acknowledge")

    def _repeat(self, command: Command) -> None:
        frame = self.state.open
        if frame and frame.asked:
            frame.touched, frame.reminded = self.state.turn, 0
            frame.asks[frame.asked] = max(0, min(frame.asks.get(frame.asked, 1), MOST_ASKED) - 1)
        else:
            self._push("pattern_repeat")

    def _pause(self, pattern: str) -> None:
        """The question stays open, unspoken."""
        self.state.quiet = True
        if (frame := self.state.open) and frame.asked_in == self.state.turn - 1 and frame.asked != CONFIRMED:
            frame.asked_in = self.state.turn
        self._push(pattern)

    def _which(self, command: Command) -> None:
        self._pause("pattern_which")

    def _summarygone(self, command: Command) -> None:
        self._push("pattern_summary_gone")

    def _resume(self, command: Command) -> None:
        frame = next((one for one in reversed(self.state.stack) if one.flow == command.name), None)
        if frame:
            stack = [one for one in self.state.stack if one is not frame] + [frame]
            _rebind(self.state, stack, self.flows, self.slots)
            self._touch(frame)
            frame.asks.clear()

    def _cannothandle(self, command: Command) -> None:
        self.state.lost += 1
        self._push("cannot_handle")


def _look_again(frame: Frame, flow: Flow, slots: _Slots) -> None:
    """An action that lacked something runs again."""
    needing = {step.id for step in flow.steps if step.needs}
    if needing & set(frame.done):
        frame.done = [step for step in frame.done if step not in needing]
        if slots.get("missing"):
            slots.set("missing", None)


def did(state: State, action: str, slots: Mapping[str, Any], flows: Flows) -> tuple[State, Values]:
    """The state after an action ran, whoever chose it; ``slots`` are as it left them."""
    values = _Slots(slots, {})
    state = copy.deepcopy(state)
    if action in state.say:
        state.say.remove(action)
        return state, values.changes
    frame = state.top
    if frame is None:
        return state, values.changes
    flow = flows[frame.flow]
    if action == OFFER_RESUME:  # once
        frame.offered_in, frame.status = state.turn, PARKED
        return state, values.changes
    if action == BEGIN_NEXT:
        frame.status, frame.touched, frame.fresh = OPEN, state.turn, True
        frame.asks.clear()
        _look_again(frame, flow, values)
        _mirror_heard(state, values)
        return state, values.changes
    if action.startswith("utter_leave_question"):
        frame.status = PARKED
        return state, values.changes
    want = wanted(frame, flow, values)
    if action == flow.validate:
        frame.fresh, frame.heard = False, {}
        if frame.known is not None and _filled(frame, flows, values) > frame.known:  # it was of use after all
            frame.aside = state.turn
        frame.known = None
        _note_others(state, frame, values, flows)
    elif isinstance(want, Ask) and (action in (REMIND, want.action) or _asks(action, want.slot)):
        _asked(state, frame, want.slot)
        if frame.touched < state.turn:
            frame.reminded += 1
    elif step := next((s for s in flow.steps if s.name == action and s.id not in frame.done), None):
        frame.done.append(step.id)
    _settle(state, flows, values)
    _mirror_heard(state, values)
    return state, values.changes


def _note_others(state: State, frame: Frame, slots: _Slots, flows: Flows) -> None:
    """The other orders that a validation found to be meant: the same wish for each waits for its turn."""
    others = slots.get(OTHERS_TOO) or ()
    if not others or OTHERS_TOO not in _slots_of(frame, flows):
        return
    slots.set(OTHERS_TOO, None)
    said = {name: slots.get(name) for name in flows[frame.flow].said_by_intents}
    for order_id in reversed(others):
        key, told = f"{frame.key}.{len(state.stack)}", {**said, "order_id": order_id}
        other = Frame(frame.flow, frame.intent, key, frame.began, frame.part, NEXT, touched=state.turn, values=told)
        _put_behind(state, other, flows, slots)


def _put_behind(state: State, frame: Frame, flows: Flows, slots: _Slots) -> None:
    """Below what is open, to begin when that is done."""
    _rebind(state, [*state.stack[:-1], frame, *state.stack[-1:]], flows, slots)
    if "action_noted" not in state.say:
        state.say.append("action_noted")


def _asks(action: str, slot: str) -> bool:
    return action in {f"action_ask_{slot}", *(f"utter_ask_{slot}{end}" for end in ("", "_again", "_third"))}


def _asked(state: State, frame: Frame, slot: str) -> None:
    frame.asks[slot] = frame.asks.get(slot, 0) + 1
    frame.asked, frame.asked_in = slot, state.turn


def decide(state: State, slots: Mapping[str, Any], flows: Flows, ran: Sequence[str], actions: Collection[str]) -> str:
    """The next action of this turn, in which ``ran`` already did; ``actions`` are those of the domain."""
    chosen = _decide(state, slots, flows, ran, actions)
    if len(ran) >= MOST_ACTIONS:
        return LISTEN
    if chosen == LISTEN and not any(_speaks(action) for action in ran):
        return NOTHING_SAID
    return chosen


def _speaks(action: str) -> bool:
    return not action.startswith("validate_") and action != LISTEN


def _decide(state: State, slots: Mapping[str, Any], flows: Flows, ran: Sequence[str], actions: Collection[str]) -> str:
    if state.say:
        return state.say[0]
    frame = state.top
    if frame is None:
        return LISTEN
    flow = flows[frame.flow]
    if frame.status != OPEN:
        if state.quiet or frame.status == PARKED:
            return LISTEN
        return BEGIN_NEXT if frame.status == NEXT else (LISTEN if OFFER_RESUME in ran else OFFER_RESUME)
    want = wanted(frame, flow, slots)
    if isinstance(want, Run):
        return want.action
    if not isinstance(want, Ask):
        return LISTEN
    if frame.asked_in == state.turn and frame.asked == want.slot and frame.asks.get(want.slot):
        return LISTEN  # it stands on the screen already
    if state.quiet:
        return LISTEN
    times = frame.asks.get(want.slot, 0)
    ask = want.action or question(want.slot, actions, times + 1)
    if frame.touched == state.turn:
        if frame.aside == state.turn and frame.asked == want.slot and want.slot != CONFIRMED and times < MOST_ASKED:
            return REMIND  # something else was told, which is no wrong answer
        if times < MOST_ASKED:
            return ask
        leave = f"utter_leave_question_{want.slot}"
        return leave if leave in actions else "utter_leave_question"
    if times >= MOST_ASKED or frame.reminded >= MOST_REMINDED or (frame.unsure and want.slot != CONFIRMED):
        return LISTEN
    yes_or_no = want.slot == CONFIRMED or (want.slot == "order_id" and slots.get("proposal"))
    return ask if yes_or_no else REMIND


def attempt(state: State, slots: Mapping[str, Any], flows: Flows) -> int:
    """For the how-manieth time the open question would now be put."""
    frame = state.top
    want = wanted(frame, flows[frame.flow], slots) if frame and frame.status == OPEN else None
    return frame.asks.get(want.slot, 0) + 1 if frame and isinstance(want, Ask) else 1


def _settle(state: State, flows: Flows, slots: _Slots) -> None:
    """Takes finished flows off the stack."""
    while frame := state.top:
        if frame.status != OPEN:
            return
        want = wanted(frame, flows[frame.flow], slots)
        if isinstance(want, Link):
            linked = Frame(want.flow, frame.intent, frame.key, state.turn, frame.part, touched=state.turn)
            _rebind(state, [*state.stack[:-1], linked], flows, slots)
            below = state.stack[-2] if len(state.stack) > 1 else None
            if below and flows[want.flow].serves and below.status == PARKED and below.asked in OF_A_CUSTOMER:
                below.status = NEXT  # it was left for want of what is told now
            continue
        if want is not None:
            return
        if flows[frame.flow].quiet:
            state.quiet = True
        if flows[frame.flow].kind == "task":
            state.ended = {"flow": frame.flow, "intent": frame.intent, "turn": state.turn}
        order_id = slots.get("order_id") if "order_id" in _slots_of(frame, flows) else None
        _rebind(state, state.stack[:-1], flows, slots)
        asked = flows[frame.flow].kind == "question"  # another task is about an order of its own
        if (below := state.top) and asked and order_id and below.began == frame.began:
            _hand_down(below, order_id, flows, slots)


def _hand_down(frame: Frame, order_id: str, flows: Flows, slots: _Slots) -> None:
    """A question beside a wish ("取消 还没发吧"): the order that was told for the one is the other's, too."""
    flow = flows[frame.flow]
    if flow.validate and "order_id" in flow.slots and slots.get("order_id") is None:
        frame.heard.setdefault("order_id", order_id)
        frame.fresh = True


def _rebind(state: State, stack: list[Frame], flows: Flows, slots: _Slots) -> None:
    """Makes ``stack`` the state's. A slot belongs to the topmost flow that has it: the values of the others are kept
    in their frames, and what belongs to nobody any more is forgotten."""
    names = {slot for frame in (*state.stack, *stack) for slot in _slots_of(frame, flows)}
    for name in names:
        before, after = _owner(state.stack, name, flows), _owner(stack, name, flows)
        if before is after:
            continue
        value = slots.get(name)
        if before is not None and any(before is frame for frame in stack):
            before.values[name] = value
        kept = after.values.pop(name, None) if after is not None else None
        if value != kept:
            slots.set(name, kept)
    state.stack = stack


def _slots_of(frame: Frame, flows: Flows) -> frozenset[str]:
    return flows[frame.flow].slots


def _filled(frame: Frame, flows: Flows, slots: Mapping[str, Any]) -> int:
    return sum(slots.get(name) is not None for name in _slots_of(frame, flows) - {*CONTROL})


def _owner(stack: Sequence[Frame], slot: str, flows: Flows) -> Frame | None:
    return next((frame for frame in reversed(stack) if slot in _slots_of(frame, flows)), None)


__all__ = ["LISTEN", "Flow", "attempt", "decide", "did", "hear"]
