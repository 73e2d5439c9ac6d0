"""What a message asks of the conversation: ``understand`` (message, state, slots) → commands. Pure; read top down.

The order of the questions is the order of the manners: what stands on the screen is answered first, then what takes
back or ends, then a new wish, then a value, and only then is it not understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bot.components.dialogue.flows import ACT, CONFIRMED, Flow, Flows, Step
from bot.components.dialogue.state import CHOICE, Frame, Message, Shown, State
from bot.components.dialogue.steps import Ask, wanted
from bot.components.text import normalize

_SEVERAL = re.compile(r"[,，。;；!！\s]")
"""Signs of more than one thing said."""

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

SURE_TO_WRITE = 0.95
"""Confidence from which an intent, without a word that says it, is a yes to a summary: "接着办" alone is none."""

SURE_STOP = 0.8
"""Confidence from which an intent, without a word that says it, is a stop in a longer message."""

SEVERAL_WAYS = 2
"""Buttons on the screen from which a bare yes leaves open what is meant."""

MOST_AT_ONCE = 3
"""Orders on the screen that "都要" may mean one by one."""

A_POINTER = 3
"""Letters beside "那个" of a message that does nothing but point."""

LONGEST_LEAVE = 40
"""Characters of a message that may thank or take leave by its intent, with whatever else it says."""

SHORT = 12
"""Characters of a message that may be a yes or a no by its intent alone, a choice, or an answer that missed."""

A_WISH = 6
"""Letters beside the values of an answer from which the message may be a wish, too: "5678 快点" is not."""

ABOUT_REQUEST = "pattern_about_request"
CHANGE = "change"
"""The slot that asks what of a summary is wrong."""

DECLINED = "none"
"""In the slot ``proposal``: the order that was proposed is not meant."""

PERSON = "/human_handoff"
"""The payload that calls a person."""

GOES_ON = "goes on"
"""Of a Cancel: the message wants something else, too."""

ENDED_LATELY = 2
"""Turns after its end for which a request may be begun again with another order."""

REFUSED_LATELY = 3
"""Turns for which an objection, or another reason, is about what was refused."""

SUMMED_UP_LATELY = 3
"""Turns for which the words of its button confirm a summary that side questions have pushed up."""

WRITTEN_LATELY = 6
"""Turns for which "先别退了" may take back what was written."""

_AGAINST_YES = frozenset({"question", "negation", "condition", "objection", "no", "stop", "wait", "lost", "repeat"})
_ANSWERS = frozenset({"inform", "affirm", "deny", "correct", "stop", "nlu_fallback"})
"""Intents of messages that only mean something as an answer to what was asked."""

_QUIET = frozenset({"thank", "goodbye"})
_SMALL = frozenset({"greet", "ask_help", "bot_challenge", "chitchat", "out_of_scope"})
"""Intents that are no reason, no title, and no wish."""

_NO_WISH = _SMALL | {"ask_policy", "ask_promotion"}
"""Intents that, without a question, want nothing of an order."""

_OF_REQUEST = frozenset(
    {
        *("of_freight", "of_amount", "of_day", "of_pickup", "of_place", "of_goods", "of_need", "of_account"),
        *("of_packing", "of_advance", "of_cheaper", "of_split", "of_stock"),
    }
)
"""Acts that ask about the request that is summed up, or was written a moment ago."""

_OF_WAITING = frozenset({"word_for_person", "of_hours", "of_call", "of_queue", "of_reading", "of_record", "stays"})
"""Acts of somebody who waits for a person."""

_OF_MATTERS: tuple[tuple[frozenset[str], str, str, str], ...] = (
    (frozenset({"of_account", "of_notice", "of_arrival", "of_year"}), "settled", "", ABOUT_REQUEST),
    (frozenset({"of_year"}), "told", "", ABOUT_REQUEST),
    (frozenset({"of_invoice"}), "invoice", "request_invoice", "pattern_about_invoice"),
    (frozenset({"of_price"}), "price", "", "pattern_about_price"),
)
"""Acts that go on about what was told or written lately: the kind of it in the focus, the task that counts as well
while it is open, and the flow that answers."""

_TALKED_OF_SINCE = ("product", "order", "ticket")
"""What such an act may be about instead, where it was talked of later; of a refund and an order, goods alone."""

TAKEN_OUT_LATELY = 2
"""Turns in which whoever was taken out of the queue may say that they go on waiting."""

_OF_PEOPLE = frozenset(
    {"ask_policy", "human_handoff", "ask_help", "after_sales", "ticket_status", "complain", "worry_delivery"}
)
"""Flows whose wishes may as well be about the request that was made, or about the person who is waited for."""

_THANKFUL = frozenset({"human_handoff", "greet", "ask_policy"})
"""Flows whose wishes do not speak against a thankful yes to the offer of a person."""

_REMARKS = _ANSWERS | {"complain", "ask_help", "chitchat", "bot_challenge", "worry_delivery", "rate_service"}
"""Intents of messages that may as well object to what was just said."""

_UPSET = frozenset({"complain", "worry_delivery", "report_problem"})

_POINTERS = frozenset({"ordinal", "mention", "product", "category", "brand", "goods_kind", "four_digits", "yes_no"})
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


def understand(message: Message, state: State, slots: Mapping[str, Any], flows: Flows, shown: Shown) -> list[Command]:
    """At least one command."""
    if not message.tapped and (payload := _numbered(message, shown)):
        message = message.tap(payload) or message
    reading = _Reading(message, state, slots, flows, shown)
    if message.tapped:
        return reading.tapped()
    if message.parts:
        return reading.several()
    return reading.one()


def _numbered(message: Message, shown: Shown) -> str | None:
    """The payload of the button whose place in the list is all that is said: "第二个", "2"."""
    typed = message.text.strip()
    if typed.isdecimal() and len(typed) == 1:
        return shown.numbered(int(typed)) or shown.counted(int(typed))
    places = message.values("ordinal")
    if len(places) != 1 or message.rest > A_POINTER or message.acts & _AGAINST_YES:
        return None
    return shown.numbered(int(places[0]))


class _Reading:
    """One message, or one part of it, in the light of the state."""

    def __init__(
        self, message: Message, state: State, slots: Mapping[str, Any], flows: Flows, shown: Shown, part: int = 0
    ) -> None:
        self.message, self.state, self.slots, self.flows, self.shown = message, state, slots, flows, shown
        self.part = part
        self.acts = message.acts
        self.frame: Frame | None = state.open
        self.flow: Flow | None = flows[self.frame.flow] if self.frame else None
        want = wanted(self.frame, self.flow, slots) if self.frame and self.flow else None
        self.asked: str | None = want.slot if isinstance(want, Ask) else None
        # what was asked for stays on the screen while the customer only nods or looks for something
        self.on_screen = bool(self.frame and self.frame.asked == self.asked and self.frame.asked_in >= state.turn)

    # ---- a tap

    def tapped(self) -> list[Command]:
        message, why = self.message, "button"
        told = {one["entity"]: one["value"] for one in message.entities}
        if message.intent == "affirm":
            if self.asked == CONFIRMED and told.get("summary") == self.slots.get("summary"):
                return [Command("Confirm", why="the button of the summary")]
            if "summary" in told and self.frame is None:
                left = [one for one in self.state.stack if self.flows[one.flow].kind == "task"]
                if left and told["summary"] == self.slots.get("summary"):
                    return [Command("Resume", left[-1].flow, why="the button of a summary that was left")]
                return [Command("SummaryGone", why="the button of a summary that is not open any more")]
            if self.asked == CONFIRMED or "summary" in told:
                return [self._ask_again("a button of something else")]
            return self._yes(why) or [Command("Acknowledge", why=why)]
        if message.intent == "deny":
            return self._no(why) or [Command("Leave", "deny", why=why)]
        if message.intent == "stop":
            return [Command("Cancel", why=why)]
        if message.intent in _QUIET:
            return [Command("Leave", message.intent, why=why)]
        flow = self.flows.of_intent(message.intent)
        if message.intent == "inform":
            for frame in reversed(self.state.stack):
                taken = {name: value for name, value in told.items() if name in self.flows[frame.flow].slots}
                if taken:
                    found = [self._set(name, value, why, frame.flow) for name, value in taken.items()]
                    return found if frame is self.frame else [Command("Resume", frame.flow, why=why), *found]
        if flow is None:
            return [Command("CannotHandle", why="a button that leads nowhere")]
        return self._begin(flow, why)

    # ---- words

    def several(self) -> list[Command]:
        """Each part is read by itself; values of the whole message belong to all of them."""
        if "submit" in self.acts:  # a yes is one
            return self.one()
        if "submit" in self.message.parts[0].acts:
            return self._submit_and_more(*self.message.parts[:2])
        if self.acts & {"contests", *_OF_REQUEST}:
            self.part = len(self.message.parts)  # several questions about one thing: its action reads all of them
        whole = self._another_kind() or self._after_refusal()
        if whole and not any(self._leads_away(part) for part in self.message.parts):
            return whole
        if len(self.message.parts) == 1:  # a wish behind a greeting
            return _Reading(self.message.parts[0], self.state, self.slots, self.flows, self.shown).one()
        found: list[Command] = []
        for number, part in enumerate(self.message.parts):
            reading = _Reading(part, self.state, self.slots, self.flows, self.shown, number)
            commands = reading.one()
            if commands[0].kind in ("StartFlow", "SetSlot", "Cancel", "Correct", "Keep"):
                found += commands
        starts = {(c.name, str(c.value)) for c in found if c.kind == "StartFlow"}
        names = {name for name, _ in starts}
        about = ABOUT_REQUEST in names and names <= {ABOUT_REQUEST, "ask_policy"}
        if about or (self.slots.get("queued") and self.acts & _OF_WAITING):
            return self.one()
        if found and found[0].kind == "Cancel" and starts:
            found[0] = replace(found[0], value=GOES_ON)
        if not found or (len(found) == len(starts) == 1):
            return _Reading(self.message, self.state, self.slots, self.flows, self.shown).one()
        return found

    def _submit_and_more(self, words: Message, more: Message) -> list[Command]:
        """ "确认提交 然后面霜那单也开": confirmed, and the other wish begins, if it is no part of this."""
        if more.acts & (_AGAINST_YES - {"question"}):
            return self.one()
        confirmed = _Reading(words, self.state, self.slots, self.flows, self.shown).one()
        if confirmed[0].kind != "Confirm":
            return confirmed
        then = _Reading(more, State(turn=self.state.turn), self.slots, self.flows, Shown(), 1).one()
        wish = next((one for one in then if one.kind == "StartFlow"), None)
        named = any(more.values(name) for name in ("order_id", "product", "category", "brand", "goods_kind"))
        if wish is None or (wish.name == (self.flow.name if self.flow else "") and not named):
            return confirmed if wish is None else self.one()
        beside = {one.name: one.value for one in then if one.kind == "SetSlot"}
        later = self.flows[wish.name].kind == "task"
        return [*confirmed, replace(wish, value={**(wish.value or {}), **beside}, later=later)]

    def one(self) -> list[Command]:
        found = self._one()
        if self.asked == CHANGE and "question" in self.acts and found[0].kind in ("StartFlow", "CannotHandle"):
            return [Command("Keep", why="a question, which changes nothing"), *found]
        return found

    def _one(self) -> list[Command]:
        for read in (
            self._another_kind,
            self._answer_to_yes_or_no,
            self._take_up,
            self._about_matter,
            self._take_back,
            self._while_waiting,
            self._end_or_pause,
            self._person,
            self._after_refusal,
            self._no_words,
            self._subject,
            self._verdict,
            self._about_request,
            self._correction,
            self._follow_up,
            self._all_orders,
            self._address,
            self._wish,
            self._value,
            self._own_words,
            self._objection,
            self._bare_values,
        ):
            if found := read():
                return found
        return self._not_understood()

    def _another_kind(self) -> list[Command]:
        """At a summary: "换一盒，不是退钱", "还是退钱吧". What the intents of the flow tell is wished otherwise,
        whatever is denied or asked beside it; a new summary writes nothing."""
        if (
            self.asked not in (CONFIRMED, CHANGE)
            or self.flow is None
            or self.acts & {"condition", "human", *_OF_REQUEST}
        ):
            return []
        told = self.flow.triggers.get(self.message.intent, {}) if self.message.confidence >= CLEAR_TASK else {}
        for slot in sorted({slot for values in self.flow.triggers.values() for slot in values}):
            named = self.message.values(slot)
            if not named or named[0] == self.slots.get(slot) or self._leads_away(self.message):
                continue
            wished = told.get(slot) == named[0]
            denies = bool(self.acts & {"negation", "objection", "correction"})
            if wished or ("prefers" in self.acts and (denies or "question" not in self.acts)):
                others = [one for one in self._values(asked_only=False) if one.name not in (slot, CHANGE)]
                return [self._set(slot, named[0], f"entity {slot}, wished instead"), *others]
        return []

    def _answer_to_yes_or_no(self) -> list[Command]:
        if self.asked == CHANGE and not self.acts & _AGAINST_YES and ("submit" in self.acts or self._clear_yes()):
            return [Command("Keep", why="nothing is to be changed: the summary comes back")]
        if (
            "keep" in self.acts
            and "question" not in self.acts
            and (self.asked == CHANGE or (self.asked == CONFIRMED and not self.acts & {"stop", "no"}))
        ):
            return [Command("Keep", why="nothing is to be changed")]
        if self._submits():
            return [Command("Confirm", why="the words of the button, to the summary that was shown last")]
        if self.asked == CONFIRMED and self.on_screen:
            if self._nods_to_two():
                return [Command("Which", why="a nod to a summary and to the offer of a person")]
            if self._clear_yes():
                return self._yes("a clear yes to the summary")
            if self._no_said():
                return self._no("a no to the summary")
            return [Command("Cancel", why="rather not")] if self._rather_not() else []
        if self.asked == CONFIRMED and self._clear_yes() and "ack" not in self.acts:
            return [self._ask_again("a yes to a summary that is not on the screen any more")]
        if not self._yes_or_no_asked():
            return []
        if self._consents():
            return self._yes("a yes")
        return self._no("a no") if self._no_said() else []

    def _rather_not(self) -> bool:
        """ "先留着吧": at a summary a guess that it is not wanted is enough; it can be said again."""
        short = len(self.message.text) <= SHORT and not self.message.entities
        likely = self.message.intent in ("stop", "deny") and self.message.confidence >= CLEAR
        return short and likely and not self.acts & {"question", "objection", "correction"}

    def _nods_to_two(self) -> bool:
        """ "好吧" below "I am not sure, shall a colleague?" and a summary that came back: nothing is written for it."""
        came_back = self.frame is not None and self.frame.began < self.state.turn
        return came_back and "ack" in self.acts and self.shown.offers == CHOICE

    def _take_up(self) -> list[Command]:
        """ "确认" to a request that was left: its summary comes back."""
        if self.frame or "yes" not in self.acts or self.acts & {"ack", *_AGAINST_YES}:
            return []
        left = [one for one in self.state.stack if self.flows[one.flow].kind == "task"]
        if left and left[-1].asked == CONFIRMED:
            return [Command("Resume", left[-1].flow, why="a yes to what was left")]
        if "submit" in self.acts:
            return [Command("SummaryGone", why="a button's words, and nothing is summed up")]
        return []

    def _yes_or_no_asked(self) -> bool:
        if self.asked == CONFIRMED:
            return False
        step = self._step()
        answers = step is not None and "yes_no" in step.entities
        proposed = self.asked == "order_id" and self._proposal() is not None
        if self.asked and self.on_screen:
            return answers or proposed
        return bool(self.shown.offers or self._resume_offered())

    def _proposal(self) -> str | None:
        """The order that is proposed."""
        proposal = self.slots.get("proposal")
        return proposal if proposal and proposal != DECLINED else None

    def _resume_offered(self) -> Frame | None:
        top = self.state.top
        return top if top and top.offered_in and top.offered_in >= self.state.turn else None

    def _clear_yes(self) -> bool:
        """What lets something be written: closed words, or an intent that is sure and has nothing beside it."""
        words = self._words()
        if self._said_to_write():
            return True
        if self.acts & {*_AGAINST_YES, "thanks_only", "bye", "human"}:
            return False
        if "yes" in self.acts:
            return True
        return (
            self.message.intent == "affirm"
            and self.message.confidence >= SURE_TO_WRITE
            and "yes_weak" not in self.acts
            and not self.message.entities
            and self.message.rest != 1  # "y" under two dots; a story has no words
            and len(words) <= SHORT
        )

    def _said_to_write(self) -> bool:
        """In the flow's own words for it; "换货吧" to the summary of a return wants something else."""
        step = self.flow.write if self.flow else None
        return bool(step and step.yes and step.yes.fullmatch(self._words())) and not self._otherwise()

    def _submits(self) -> bool:
        """The explicit words of the button, while nothing of the summary has changed since it was shown."""
        if self.asked != CONFIRMED or self.frame is None or "submit" not in self.acts:
            return False
        if self.acts & {*_AGAINST_YES, "human", "all"}:  # "请客服确认", "都退吧"
            return False
        lately = self.state.turn - self.frame.asked_in < SUMMED_UP_LATELY
        stands = self.frame.asked == CONFIRMED and self.slots.get("summary") is not None
        return lately and stands and not self._otherwise() and not self._of_another_write()

    def _of_another_write(self) -> bool:
        """ "确认取消" at the summary of a return: what another task writes is called so, and not what this one does."""
        words = self._words()
        named = {
            flow.name: max(len(word) for word in flow.write.called if word in words)
            for flow in self.flows.values()
            if flow.write and any(word in words for word in flow.write.called)
        }
        longest = max(named.values(), default=0)  # "确认取消售后" names a ticket, though orders are 取消 too
        return bool(named) and (self.flow is None or named.get(self.flow.name) != longest)

    def _otherwise(self) -> bool:
        """Whether the message names another kind of what the request is for."""
        told = {slot for values in self.flow.triggers.values() for slot in values} if self.flow else set()
        return any(value != self.slots.get(slot) for slot in told for value in self.message.values(slot))

    def _words(self) -> str:
        return normalize(self.message.text).text.strip(" ,.!~。！，、")

    def _consents(self) -> bool:
        """To something that writes nothing."""
        if "accepts" in self.acts and self._accepts_person():
            return True
        if self.acts & _AGAINST_YES or self.acts & {"thanks_only", "bye", "leave"}:
            return False
        if self.acts & {"yes", "yes_weak"}:
            return True
        if "ack" in self.acts:  # "知道了" has heard, no more
            return False
        short = len(self.message.text) <= SHORT
        return short and self.message.intent == "affirm" and self.message.confidence >= CLEAR_BESIDE_QUESTION

    def _accepts_person(self) -> bool:
        """ "好的，谢谢", "好，那帮我问下" to the offer of a person; to anything else they are thanks, or a wish."""
        wish = self.flows.of_intent(self.message.intent)
        elsewhere = wish is not None and wish.name not in _THANKFUL and self.message.confidence >= SURE
        return self.asked is None and self.shown.offers == PERSON and not elsewhere

    def _no_said(self) -> bool:
        if self.acts & {"question", "stop", "leave", "bye", "thanks_only"}:
            return False
        if "no" in self.acts:
            return True
        short = len(self.message.text) <= SHORT and not self.message.entities
        return short and self.message.intent == "deny" and self.message.confidence >= CLEAR_BESIDE_QUESTION

    def _yes(self, why: str) -> list[Command]:
        if self.asked == CONFIRMED and self.on_screen:
            return [Command("Confirm", why=why)]
        if self.asked == "order_id" and self.on_screen and (proposal := self._proposal()):
            return [self._set("order_id", proposal, f"{why}: the order that was proposed")]
        if self.asked and self.on_screen and (step := self._step()) and "yes_no" in step.entities:
            return [self._set(self.asked, True, why)]
        if top := self._resume_offered():
            return [Command("Resume", top.flow, why=why)]
        if self.shown.offers == CHOICE:
            return [Command("Which", why=f"{why} to two ways")]
        offered = self.message.tap(self.shown.offers) if self.shown.offers else None
        if offered and (flow := self.flows.of_intent(offered.intent)):
            return _Reading(offered, self.state, self.slots, self.flows, self.shown)._begin(flow, f"{why} to an offer")
        return []

    def _no(self, why: str) -> list[Command]:
        if self.asked == CONFIRMED and self.on_screen:
            return [Command("Deny", why=why)]
        if self.asked == "order_id" and self.on_screen and self._proposal():
            return [self._set("proposal", DECLINED, f"{why}: not the order that was proposed")]
        if self.asked and self.on_screen and (step := self._step()) and "yes_no" in step.entities:
            return [self._set(self.asked, False, why)]
        if self._resume_offered():
            return [Command("Cancel", why=why)]
        if self.shown.offers:
            return [Command("Leave", "deny", why=f"{why} to an offer")]
        return []

    def _take_back(self) -> list[Command]:
        """A stop: of what is open, or of what has just been written."""
        short = len(self.message.text) <= SHORT and not self.message.entities
        sure = self.message.intent == "stop" and self.message.confidence >= (SURE if short else SURE_STOP)
        if not ("stop" in self.acts or (sure and not self.message.entities)) or "wait" in self.acts:
            return []
        if "stays" in self.acts and (self.slots.get("queued") or self._taken_out()):
            return []
        wish = self.flows.of_intent(self.message.intent)
        if undoing := self._undoes(wish):
            return undoing
        a_task = wish is not None and wish.kind == "task" and self.message.confidence >= CLEAR_TASK
        if self.slots.get("queued") and "stop" in self.acts and self.frame is None and not a_task:
            return [Command("Cancel", why="a stop while a person is waited for")]  # "不等了，直接说能不能退"
        again = wish is not None and wish is self.flow and self.message.confidence >= SURE and self.asked != CONFIRMED
        if self._said_to_write() or (again and "negation" not in self.acts):
            return [self._ask_again("what is to be done, said once more")]  # "嗯 取消" while an order is cancelled
        if (more := self._more_than_a_stop(wish)) is not None:
            return more
        if self.flow and wish is self.flow and self.message.confidence >= CLEAR_BESIDE_QUESTION:
            changed = self._told_by_intent()
            if changed and "correction" in self.acts:
                return changed  # "不退了还是换货吧", "我不换了，退钱"
        if "question" in self.acts and "negation" not in self.acts and self.flow is None:
            return []
        stop = Command("Cancel", why="a stop", part=self.part)
        return [stop, *self._person()] if "human" in self.acts and self.frame else [stop]

    def _more_than_a_stop(self, wish: Flow | None) -> list[Command] | None:
        """ "不退了，帮我开发票", "我没说要退 我要差价": the open task ends, and the other matter begins."""
        if wish is None or wish is self.flow or self.message.intent in _ANSWERS | _QUIET | _SMALL | {"human_handoff"}:
            return None
        clear = CLEAR_TASK if wish.kind == "task" else CLEAR if "question" in self.acts else SURE
        if self.message.confidence < clear or not _SEVERAL.search(self.message.text.strip(" ,，.。;；!！~")):
            return None
        if self.flow is None or self.flow.kind != "task":
            return []
        return [Command("Cancel", value=GOES_ON, why="a stop, and something else"), *self._begin(wish, "beside a stop")]

    def _undoes(self, wish: Flow | None) -> list[Command]:
        """What was written lately is taken back: "先别退了", "那取消吧" after a ticket. A bare "算了" is not enough."""
        written = (self.slots.get("focus") or {}).get("written") or {}
        done = self.flows.get(written.get("flow", ""))
        lately = self.state.turn - written.get("turn", 0) < WRITTEN_LATELY
        if self.frame or not (done and done.undone_by and lately) or self.message.rest <= 2:
            return []
        if wish and wish.kind == "task" and wish.name not in (done.undone_by, "cancel_order"):
            return []
        return [Command("StartFlow", done.undone_by, {}, "a stop after it was written", self.part)]

    def _while_waiting(self) -> list[Command]:
        """Of somebody who waits for a person: a word for that person, or a question about when and how they come."""
        wish = self.flows.of_intent(self.message.intent)
        elsewhere = wish is not None and wish.name not in _OF_PEOPLE and self.message.confidence >= SURE
        if elsewhere or not (self.slots.get("queued") and self.acts & _OF_WAITING):
            return []
        return [Command("StartFlow", "pattern_waiting", {}, "of the person who is waited for", self.part)]

    def _end_or_pause(self) -> list[Command]:
        acts, message = self.acts, self.message
        if message.values("order_id") or message.values("phone_tail"):
            return []
        for act, way in (("bye", "goodbye"), ("thanks_only", "thank"), ("leave", "leave")):
            if act in acts and "question" not in acts:
                return [Command("Leave", way, why=f"act {act}")]
        plain = len(message.text) <= LONGEST_LEAVE and not acts & {"question", "urgent", "human"}
        if plain and not message.entities and message.intent in _QUIET and message.confidence >= CLEAR_TASK:
            return [Command("Leave", message.intent, why=f"intent {message.intent} {message.confidence:.2f}")]
        if "solved" in acts and self._nothing_else():
            return [Command("Leave", "glad", why="act solved")]
        if "wait" in acts:
            return [Command("Wait", why="act wait")]
        if "repeat" in acts and self.state.turn:
            return [Command("Repeat", why="act repeat")]
        if "lost" in acts and self.asked:
            return [Command("Unusable", self.asked, "lost", "what was asked for is not at hand")]
        if "ack" in acts and "question" not in acts:
            return [Command("Acknowledge", why="act ack")]
        return []

    def _nothing_else(self) -> bool:
        """Whether what came right is all that the message tells."""
        message = self.message
        asks = self.acts & {*_AGAINST_YES, "request", "urgent", "human", "follow_up"}
        wish = self.flows.of_intent(message.intent)
        upset = message.intent in _UPSET and message.confidence >= CLEAR
        wants = upset or (wish is not None and wish.kind == "task" and message.confidence >= CLEAR_TASK)
        tells = any(message.values(name) for name in ("reason", "complaint", "matter", "size", "quantity"))
        return not (asks or wants or tells or self.asked)

    def _person(self) -> list[Command]:
        flow = self.flows.of_intent("human_handoff")
        back = "stays" in self.acts and self._taken_out()
        if not (back or "human" in self.acts) or flow is None:
            return []
        if self.message.intent in ("bot_challenge", "ask_policy") and self.message.confidence >= SURE:
            return []
        return [Command("StartFlow", flow.name, {"intent": "human_handoff"}, "a person is asked for", self.part)]

    def _taken_out(self) -> bool:
        """Whether the customer has just been taken out of the queue for a person."""
        return self.state.turn - self._turn_of("withdrew") < TAKEN_OUT_LATELY and not self.slots.get("queued")

    def _turn_of(self, kind: str) -> int:
        """The turn of what of this kind was talked of last."""
        return int(((self.slots.get("focus") or {}).get(kind) or {}).get("turn", -WRITTEN_LATELY))

    def _about_matter(self) -> list[Command]:
        """ "多久能好，发到哪" after an invoice was asked for, "哪一年的" of a refund that was told: about just that."""
        for acts, kind, task, talk in _OF_MATTERS:
            if not acts & self.acts or "human" in self.acts:
                continue
            since = self._turn_of(kind)
            beside = max(self._turn_of(one) for one in _TALKED_OF_SINCE if kind == "invoice" or one == "product")
            lately = self.state.turn - since < WRITTEN_LATELY and (beside <= since or kind == "price")
            inside = self.flow is not None and self.flow.name == task
            named = kind == "price" and self.message.values("order_id") and self.frame is None
            denies = kind == "price" and lately and self.acts & {"negation", "objection", "stop"}
            if not (inside or named or (lately and (denies or self.frame is None))):
                continue
            about = Command("StartFlow", talk, {}, "goes on about what was told", self.part)
            gives_up = denies and self.flow is not None and self.flow.kind == "task"
            return [Command("Cancel", why="another thing is wanted"), about] if gives_up else [about]
        return []

    def _after_refusal(self) -> list[Command]:
        """Of what the rules have just refused: another reason or kind is looked at with all that was told before; who
        contests it, or says the wish again, begins nothing anew."""
        refused: Mapping[str, Any] = (self.slots.get("focus") or {}).get("refused") or {}
        flow, message = self.flows.get(str(refused.get("flow"))), self.message
        if self.frame or flow is None or self.state.turn - refused["turn"] >= REFUSED_LATELY:
            return []
        goods = [str(v).lower() for name in ("product", "category", "brand") for v in message.values(name)]
        elsewhere = any(order != refused["order_id"] for order in message.values("order_id"))
        elsewhere |= bool(goods) and not any(name in refused["goods"] for name in goods)
        if elsewhere or "another" in self.acts or message.values("ticket_id") or self._leads_away(message):
            return []
        again = message.intent in flow.triggers and message.confidence >= CLEAR
        contests = "contests" in self.acts or ("objection" in self.acts and message.intent in _REMARKS)
        told = {name: message.values(name)[0] for name in ("reason", "ticket_kind") if message.values(name)}
        told |= flow.triggers[message.intent] if again else {}
        new = {name: value for name, value in told.items() if value != refused.get(name)}
        goes_on = "follow_up" in self.acts or ("ticket_kind" in new and len(message.text) <= SHORT)
        if new and (again or contests or goes_on or message.intent in _ANSWERS) and not self.acts & _OF_REQUEST:
            kept = ("order_id", "order_line", "ticket_kind", "reason", "opened")
            told = {name: refused[name] for name in kept if refused.get(name)} | new
            intent = message.intent if again else next(iter(flow.triggers))
            return [
                Command("StartFlow", flow.name, {"intent": intent, **told}, "what was refused, otherwise", self.part)
            ]
        if again or contests:
            return [Command("StartFlow", "pattern_contested", {}, "contests what was refused", self.part)]
        return []

    def _leads_away(self, message: Message) -> bool:
        """Whether a message surely wants something that has nothing to do with a request or with what was just said."""
        wish = self.flows.of_intent(message.intent)
        if wish is None or wish.name in _OF_PEOPLE or message.intent in _REMARKS:
            return False
        return message.confidence >= (CLEAR_TASK if wish.kind == "task" else SURE) and "contests" not in message.acts

    def _no_words(self) -> list[Command]:
        """ "？", "3": nothing that could be a wish."""
        message = self.message
        if message.rest or message.entities or not message.text.strip() or self.acts & {"yes", "no", "ack"}:
            return []
        words = any(character.isalnum() for character in message.text)
        if self.asked and self.on_screen:
            unclear = "question" in self.acts and not words and self.asked != CONFIRMED
            return [Command("Unusable", self.asked, "lost", "a question mark to a question")] if unclear else []
        if "question" not in self.acts and not words:
            return [Command("Acknowledge", why="no words")]
        flow = self.flows.of_intent("greet" if "question" in self.acts else "inform")
        told = {"intent": "greet" if "question" in self.acts else "inform"}
        return [Command("StartFlow", flow.name, told, "no words", self.part)] if flow else []

    def _subject(self) -> list[Command]:
        """ "售后": a subject and no wish."""
        if "subject" not in self.acts or self.message.entities or (self.asked and self.on_screen):
            return []
        return [Command("StartFlow", "pattern_subject", {"intent": self.message.intent}, "act subject", self.part)]

    def _follow_up(self) -> list[Command]:
        """ "那质量问题呢" right after an answer is about that answer's rule, and begins no request."""
        told = (self.slots.get("focus") or {}).get("answer") or {}
        flow, wish = self.flows.of_intent("ask_policy"), self.flows.of_intent(self.message.intent)
        if flow is None or not {"follow_up", "question"} <= self.acts or told.get("turn") != self.state.turn:
            return []
        elsewhere = wish is not None and wish.kind != "task" and self.message.intent not in _ANSWERS
        if elsewhere or self.frame or self.message.values("order_id"):
            return []
        return [Command("StartFlow", flow.name, {"intent": "ask_policy"}, "goes on from an answer", self.part)]

    def _about_request(self) -> list[Command]:
        """ "凭什么我出运费" at a summary, "换的还是同色吧" after the write: about just that, and it changes nothing."""
        if not self.acts & _OF_REQUEST or self.message.values("order_id") or self.message.values("ticket_id"):
            return []
        summed_up = self.asked in (CONFIRMED, CHANGE)
        if not (summed_up or (self.frame is None and self._ticket_lately())):
            return []
        wish = self.flows.of_intent(self.message.intent)
        elsewhere = wish is not None and wish.name not in _OF_PEOPLE and self.message.confidence >= SURE
        corrects = "correction" in self.acts and not {"question", "of_goods"} <= self.acts  # "能换成黑的吗" asks
        if corrects or (elsewhere and not summed_up):
            return []
        about = Command("StartFlow", ABOUT_REQUEST, {}, "a question about what is asked for", self.part)
        return [about]

    def _verdict(self) -> list[Command]:
        """ "到底能不能退" in the middle of a request that rules decide on, once its goods are known."""
        decided = self.flow is not None and "decision" in self.flow.slots and self.slots.get("proved")
        if "of_verdict" not in self.acts or not decided or self.slots.get("order_lines") is None:
            return []
        return [Command("StartFlow", "pattern_verdict", {}, "a plain verdict is wanted", self.part)]

    def _ticket_lately(self) -> bool:
        """Whether a ticket was written or told lately, and no other order since."""
        focus = self.slots.get("focus") or {}
        ticket, order = ((focus.get(kind) or {}).get("turn", -WRITTEN_LATELY) for kind in ("ticket", "order"))
        return bool(self.state.turn - ticket < WRITTEN_LATELY and ticket >= order)

    def _correction(self) -> list[Command]:
        corrects = "correction" in self.acts or (self.message.intent == "correct" and self.message.confidence >= CLEAR)
        if "restates" in self.acts and "correction" not in self.acts:
            return []  # "我问的是敏感肌" corrects what was answered, not what was asked for
        if corrects and self.flow is None:
            return self._another_order()
        if not corrects or self.flow is None or self.flow.kind != "task":
            return []
        another = self.flows.of_intent(self.message.intent)
        wish = another is not None and another is not self.flow and another.kind != "talk"
        if wish and self.message.confidence >= SURE and self.message.intent not in _ANSWERS:
            return []  # "改一下收货地址" in the middle of a return
        if found := self._values(asked_only=False, corrected=True) + self._told_by_intent():
            number = any(one.name == "order_id" for one in found)
            return [one for one in found if not (number and one.name == "reason")]  # "发错了，是ORD…" is no reason
        if self.message.rest > SHORT and self._step_in_own_words():
            return []
        known = any(self.slots.get(slot) is not None for slot in self.flow.changeable)
        says_so = len(self.message.text) <= SHORT or self.message.intent in _ANSWERS - {"nlu_fallback"}
        return [Command("Correct", why="something is wrong, but not said what")] if known and says_so else []

    def _another_order(self) -> list[Command]:
        """ "弄错了，是ORD…" when the request has just ended, with a refusal mostly: it begins again with that order."""
        ended, orders = self.state.ended, self.message.values("order_id")
        flow, wish = self.flows.get(str(ended.get("flow"))), self.flows.of_intent(self.message.intent)
        if not orders or flow is None or self.state.turn - ended["turn"] > ENDED_LATELY:
            return []
        if wish not in (None, flow) and self.message.intent not in _ANSWERS and self.message.confidence >= CLEAR:
            return []
        told = {"intent": ended["intent"], **flow.triggers.get(ended["intent"], {}), "order_id": orders[0]}
        return [Command("StartFlow", flow.name, told, "another order than that", self.part)]

    def _all_orders(self) -> list[Command]:
        """ "两单都开": each of the few orders that stand on the screen, one after the other."""
        several = "all" in self.acts or len(set(self.message.values("ordinal"))) > 1
        if self.frame is None or self.flow is None or self.flow.kind != "task" or not several:
            return []
        if self.asked != "order_id" or not self.on_screen or self.acts & {"question", "negation"}:
            return []
        named = ("order_id", "product", "category", "brand", "mention", "reason")
        if any(self.message.values(name) for name in named) or self.message.rest > SHORT:
            return []
        taps = [tap for payload in self.shown.buttons.values() if (tap := self.message.tap(payload))]
        orders = [str(one) for tap in taps for one in tap.values("order_id")]
        places = [int(one) for one in self.message.values("ordinal") if 0 < int(one) <= len(orders)]
        orders = [orders[one - 1] for one in dict.fromkeys(places)] if places else orders
        if not 1 < len(orders) <= MOST_AT_ONCE:
            return []
        told = {"intent": self.frame.intent, **self.flow.triggers.get(self.frame.intent, {})}
        beside = [one for one in self._values(asked_only=False) if one.name != "order_id"]
        return [
            *beside,
            self._set("order_id", orders[0], "all of them"),
            *(
                Command("StartFlow", self.flow.name, {**told, "order_id": other}, "all of them", self.part, later=True)
                for other in reversed(orders[1:])
            ),
        ]

    def _address(self) -> list[Command]:
        """The address that was asked for, and the question beside it: "…路15号 电话不变。那哪天发？"."""
        step = self.flow.collects("delivery") if self.flow and self.asked != "order_id" else None
        if step is None or not {"address", "question"} <= self.acts:
            return []
        wish, order = self.flows.of_intent(self.message.intent), self.flows.of_intent("order_status")
        why, about = "the question beside the address", list[Command]()
        if wish is not None and wish.kind == "question" and self.message.confidence >= CLEAR:
            about = self._begin(wish, why)
        elif order is not None and "of_shipping" in self.acts:
            about = self._begin(order, why, "order_status")
        return [self._set(step.name, {"words": self.message.text}, "an address"), *about]

    def _wish(self) -> list[Command]:
        """What the message names may be heard in place of its intent, or before it ("卖假货的，给我退了")."""
        values = [(one["entity"], one["value"]) for one in self.message.entities]
        named = self.flows.named_by([*values, *((ACT, act) for act in self.acts)])
        if named is None:
            angry = self.message.intent == "complain" and self._sure() and self._step_in_own_words()
            flow = self.flows.of_intent("complain") if angry else None
            return [*self._told_beside(), *self._hear(flow)] if flow else self._wished()
        flow, wished = named[0], self.flows.of_intent(self.message.intent)
        if flow is not wished and flow.kind == "task" and self.asked and self.on_screen and flow is not self.flow:
            return self._wished()  # an ID number, in the middle of something else
        asks = "question" in self.acts
        if flow.kind == "task" and self.flow in (flow, wished):
            return self._detail() if self.flow is flow and wished is not flow and not asks else self._wished()
        if (
            wished in (None, flow)
            or self.message.confidence < CLEAR
            or any(self.message.intent in one.instead_of for one in named[1])
            or (not asks and any(self.message.intent in one.unless_asked for one in named[1]))
        ):
            return [*self._told_beside(), *self._hear(flow)]
        found = self._wished()
        both = found and wished and wished.kind == "task" and flow.kind != "task"  # one wish is one task
        return [*found, *self._hear(flow)] if both else found

    def _hear(self, flow: Flow) -> list[Command]:
        return self._begin(flow, "what the message names, or its anger", next(iter(flow.triggers)))

    def _detail(self) -> list[Command]:
        """What the open task lives on, whatever the message was taken for: a value, or words for what was asked."""
        if found := self._values(asked_only=False):
            return found
        step = self._step_in_own_words()
        if step and step.in_own_words == "checked":
            return [self._set(step.name, {"words": self.message.text}, "in the customer's own words")]
        return [Command("Wait", why="a detail that nothing asks for: more of them may follow")]

    def _told_beside(self) -> list[Command]:
        """What a message says to the open task though it is about something else first: values, or a reason."""
        if self.flow is None or self.flow.kind != "task" or self.asked == CONFIRMED:
            return []
        step = self._step_in_own_words()
        found, free = self._values(asked_only=False), step is not None and step.in_own_words == "free"
        if found or step is None or not free or "question" in self.acts:
            return found
        return [self._set(step.name, {"words": self.message.text}, "in the customer's own words")]

    def _wished(self) -> list[Command]:
        """An intent that begins a flow: the open one again, or another."""
        message, flow = self.message, self.flows.of_intent(self.message.intent)
        if flow is None or message.intent in _ANSWERS or flow.pattern or message.text.strip().isdecimal():
            return []
        hello = message.intent == "greet"  # "在吗 ORD…"
        if message.intent in _NO_WISH and message.values("order_id") and (hello or "question" not in self.acts):
            return []  # the number is what was told
        answers = [one for one in self._values(asked_only=True) if not self._names_goods_alone(one, flow)]
        if self.flow is flow and flow.kind == "task":
            return self._same_wish()
        if flow.kind == "task" and self._supposes():
            return [Command("StartFlow", "ask_policy", {"intent": "ask_policy"}, "a question about a case", self.part)]
        clear = CLEAR_TASK if flow.kind == "task" else CLEAR_BESIDE_QUESTION if self.asked and self.on_screen else CLEAR
        told = flow.triggers.get(message.intent, {})
        if "question" not in self.acts and any(value in message.values(slot) for slot, value in told.items()):
            clear = CLEAR  # "退款" stands in the words, too
        if message.confidence < max(clear, flow.confidence) or (
            self.on_screen and message.intent == "out_of_scope" and not self._sure()
        ):
            return []
        if answers and (message.confidence < SURE or message.rest < A_WISH or flow.kind == "talk"):
            return []
        step = self._step_in_own_words()
        free = step is not None and step.in_own_words == "free" and "question" not in self.acts
        if free and message.intent in _SMALL and message.confidence < SURE_TALK:
            return []
        talk_beside = flow.kind == "talk" and step and step.in_own_words != "choice" and message.intent not in _SMALL
        if talk_beside and "question" not in self.acts and message.confidence < SURE:
            return []
        if self._in_own_words_beside() or (answers and "urgent" in self.acts and "question" not in self.acts):
            return []
        if step and step.in_own_words == "checked" and message.intent in ("out_of_scope", "inform"):
            return []
        return [*answers, *self._begin(flow, f"intent {message.intent} {message.confidence:.2f}")]

    def _supposes(self) -> bool:
        """ "退款的话券会还给我吗", "要是不合适怎么退": the rule is asked, and nothing is wished for yet."""
        named = any(self.message.values(name) for name in ("order_id", "ticket_id", "phone_tail"))
        return {"question", "condition"} <= self.acts and not named and not self.acts & {"request", "urgent"}

    def _sure(self) -> bool:
        return self.message.confidence >= SURE

    @staticmethod
    def _names_goods_alone(answer: Command, flow: Flow) -> bool:
        """ "空气炸锅多少钱" names goods, and no order by its goods."""
        by = answer.value.get("by") if isinstance(answer.value, dict) else None
        return flow.kind != "task" and by in ("product", "category", "brand", "goods_kind")

    def _in_own_words_beside(self) -> bool:
        """What is told as a reason with feeling is no complaint of its own."""
        step = self._step_in_own_words()
        free = step is not None and step.in_own_words == "free"
        return free and self.message.intent in ("complain", "worry_delivery") and "question" not in self.acts

    def _same_wish(self) -> list[Command]:
        """The open task again. At its summary only a plain statement changes it: no question, no objection does."""
        doubts = self.acts & {"question", "objection", "negation", "condition"}
        other = [one for one in self._told_by_intent() if self.slots.get(one.name) is not None]
        kinds = set(self.message.values("ticket_kind"))
        denies_this = "negation" in self.acts and bool(kinds & {self.slots.get(one.name) for one in other})
        if other and self._sure() and not denies_this and not self.acts & {"condition", "objection", "question"}:
            return other + self._values(asked_only=False)  # "我要退款，不寄回" at the summary of an exchange
        if self.asked == CONFIRMED and doubts and "correction" not in self.acts:
            changeable = self.flow.changeable if self.flow else ()
            beside = [one for one in self._values(asked_only=False) if one.name not in changeable]
            return beside or self._objection() or [Command("Object", why="the wish again, with a doubt")]
        if found := self._told_by_intent() + self._values(asked_only=False):
            return found
        if (step := self._step_in_own_words()) and self._tells(step):
            return [self._set(step.name, {"words": self.message.text}, "in the customer's own words")]
        if self.asked == CONFIRMED and self.on_screen:
            return [Command("Object", why="the same wish again, which is no yes")]
        return [self._ask_again("the same wish again")]

    def _tells(self, step: Step) -> bool:
        """Whether the wish, said again, answers: with what is wrong, or with all of the list."""
        return "all" in self.acts or (self.message.intent == "report_problem" and step.in_own_words == "free")

    def _told_by_intent(self) -> list[Command]:
        """What the intent itself says to the open flow, as far as it is new."""
        if self.flow is None or self.message.confidence < CLEAR:
            return []
        told = self.flow.triggers.get(self.message.intent, {})
        why = f"intent {self.message.intent}"
        return [self._set(n, v, why) for n, v in told.items() if self.slots.get(n) != v]

    def _value(self) -> list[Command]:
        """What answers the question, and whatever else the message says to the open flow, or to one that was left."""
        if found := self._values(asked_only=False):
            elsewhere = self.message.intent in _SMALL and self.message.confidence >= SURE and not self.asked
            return [] if elsewhere else found
        if self.flow is None or self.flow.kind == "question":
            for frame in reversed(self.state.stack):
                if frame is not self.frame and (found := self._values_for(frame)):
                    return [Command("Resume", frame.flow, why="a value that it waited for"), *found]
        return []

    def _own_words(self) -> list[Command]:
        step = self._step_in_own_words()
        if step is None:
            return []
        enough = SURE_TALK if step.in_own_words == "free" else CLEAR_BESIDE_QUESTION
        small = self.message.intent in _SMALL and self.message.confidence >= enough
        if small and not (step.in_own_words == "checked" and self.message.intent == "out_of_scope"):
            return []
        if step.in_own_words == "choice" and (
            self.message.intent not in ("inform", "nlu_fallback", "correct")
            or len(self.message.text) > SHORT
            or self._of_something_else()
        ):
            return []
        if self.acts & {"question", "request"} and self.message.intent not in ("report_problem", "complain", "inform"):
            return []
        if self.acts & {"yes", "no", "ack", "objection"} and len(self.message.text) <= 4:
            return []
        flung_back = self.message.intent == "complain" and "objection" in self.acts
        if flung_back or "stop" in self.acts:  # "听不懂人话？不退！！" is no reason
            return []
        return [self._set(step.name, {"words": self.message.text}, "in the customer's own words")]

    def _of_something_else(self) -> bool:
        """Whether a message that came where something of a list was to be named names nothing and has a subject of its
        own ("跟师傅讲一声"): it was no try to choose."""
        step = self._step()
        choice = step is not None and step.in_own_words == "choice"
        names = any(self.message.values(name) for name in (*_POINTERS, "order_id", "ticket_id"))
        return choice and self.message.topic is not None and not names

    def _objection(self) -> list[Command]:
        """At a summary: something else than a yes, a no, a wish or a value. Nothing is written."""
        if self.asked != CONFIRMED:
            return []
        if "question" in self.acts:
            return [Command("StartFlow", ABOUT_REQUEST, {}, "a question at the summary", self.part)]
        if not self.on_screen:
            return []
        return [Command("Object", why="neither a clear yes nor a no")]

    def _bare_values(self) -> list[Command]:
        """Numbers, goods or a reason that no question asked for."""
        flow = self.flows.of_intent("inform")
        if flow is None or (self.asked and self.on_screen):
            return []
        values = any(self.message.values(name) for name in ("order_id", "phone_tail", "ticket_id", "reason"))
        goods = any(self.message.values(name) for name in ("product", "category", "brand", "ordinal"))
        goods |= bool(self.message.values("mention")) and self.message.rest <= A_POINTER
        if not values and not goods:
            return []
        return [Command("StartFlow", flow.name, {"intent": "inform"}, "values without a wish", self.part)]

    def _not_understood(self) -> list[Command]:
        short = len(self.message.text) <= SHORT and "question" not in self.acts
        missed = self.message.confidence < SURE or self.message.intent in _ANSWERS - {"affirm", "deny", "stop"}
        missed |= self.message.text.strip().isdecimal()
        if self.asked and self.on_screen and short and missed and not self._of_something_else():
            return [Command("Unusable", self.asked, "unusable", "no answer to what was asked")]
        if self.message.intent == "deny" and self.message.confidence >= CLEAR:
            if self.asked and self.on_screen and self.frame and self.frame.asks.get(self.asked, 0) < 2:
                return [Command("Unusable", self.asked, "lost", "a no to a question for a value")]
            if "no" in self.acts or (self.message.rest <= A_POINTER and self.shown.buttons):
                return [Command("Leave", "deny", why="a no to nothing")]
        nods = bool(self.acts & {"yes", "yes_weak"}) or (self.message.intent == "affirm" and self._sure())
        if nods and "question" not in self.acts and self.message.rest <= A_WISH:
            asked_which = any(kind.startswith("Which") for kind, _ in self.state.commands)
            if len(self.shown.buttons) >= SEVERAL_WAYS and not asked_which:
                return [Command("Which", why="a yes to a choice")]
            return [Command("Acknowledge", why="a yes to nothing")]
        if "thanks" in self.acts and not self.acts & {"question", "urgent", "human", "request"} and self.frame is None:
            return [Command("Leave", "thank", why="thanks, and nothing else that is clear")]
        return [Command("CannotHandle", why=f"intent {self.message.intent} {self.message.confidence:.2f}")]

    # ---- helpers

    def _begin(self, flow: Flow, why: str, intent: str = "") -> list[Command]:
        intent = intent or self.message.intent
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
            by_intent = {slot for said in flow.triggers.values() for slot in said}
            found += [
                self._set(name, values[0], f"entity {name}", flow.name)
                for name in sorted(flow.slots - by_intent - set(told))
                if (values := self.message.values(name))
            ]
        return found

    def _values(self, asked_only: bool, corrected: bool = False) -> list[Command]:
        """The slots of the open flow that the message fills. What an intent says (退货, 换货) is not changed by a word
        that is only mentioned: it has to be ``corrected``."""
        if self.frame is None or self.flow is None:
            return []
        by_intent = {slot for told in self.flow.triggers.values() for slot in told} - {self.asked}
        kept = {"proposal", CONFIRMED, "summary"} | (set() if corrected else by_intent)
        names = (self.asked,) if asked_only else tuple(sorted(self.flow.slots - kept))
        found: list[Command] = []
        for name in names:
            if name is None:
                continue
            value, entity = self._value_of(name)
            if value is not None:
                found.append(self._set(name, value, f"entity {entity}"))
        return found

    def _set(self, slot: str, value: Any, why: str, flow: str = "") -> Command:
        return Command("SetSlot", slot, value, why, self.part, flow=flow or (self.frame.flow if self.frame else ""))

    def _value_of(self, slot: str) -> tuple[Any, str]:
        if values := self.message.values(slot):
            return values[0], slot
        step = self.flow.collects(slot) if self.flow else None
        if step is None or slot != self.asked:
            return None, ""
        for entity in step.entities:
            if values := self.message.values(entity):
                pointer = entity in _POINTERS and entity != "four_digits"
                return ({"by": entity, "value": values[0]} if pointer else values[0]), entity
        return None, ""

    def _values_for(self, frame: Frame) -> list[Command]:
        """What a frame that was left can take: only what it last asked for."""
        flow, slot = self.flows[frame.flow], frame.asked
        fits = self.message.intent in _ANSWERS or self.message.intent in flow.triggers
        if slot is None or slot not in flow.slots or not fits:
            return []
        if values := self.message.values(slot):
            return [self._set(slot, values[0], f"entity {slot}", flow.name)]
        step = flow.collects(slot)
        lately = self.state.turn - frame.touched <= ENDED_LATELY and self.message.rest <= A_WISH
        if step and step.in_own_words == "checked" and lately and not self.acts:
            return [self._set(slot, {"words": self.message.text}, "in few words, lately asked for", flow.name)]
        return []

    def _step(self) -> Step | None:
        return self.flow.collects(self.asked) if self.flow and self.asked else None

    def _step_in_own_words(self) -> Step | None:
        step = self._step()
        return step if step and step.in_own_words and self.on_screen else None

    def _ask_again(self, why: str) -> Command:
        return Command("Unusable", self.asked or "", "again", why)
