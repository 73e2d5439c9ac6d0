"""Forms that bend: one mechanism for everything that needs several answers before something is written.

A form says which intents open it, what it needs, how an answer is read and what the mall says to it; the rest is here:
digressions and the way back, corrections, switching to another form with a question first, giving up, explaining
after failed answers, the confirmation before anything is written, and what waited meanwhile. A new form is a new
subclass, a form of the domain, and a rule that opens it; no other form knows of it.

Rasa asks ``validate_<form>`` at every message while the form is open. Setting a slot says "this was an answer"; setting
none makes the form reject the message, the rules answer it, and the form asks again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from inspect import isabstract
from typing import Any, ClassVar, TypeAlias, TypeVar
from uuid import uuid4

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, EventType, FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions import agenda
from bot.actions.answers import find_answers
from bot.actions.handoff import note_misunderstood
from bot.actions.turn import ANSWERS, Turn, went_elsewhere
from bot.actions.wording import Domain, has_response, title, word
from knowledge_graph import sure

Slots: TypeAlias = dict[str, Any]
T = TypeVar("T")

OF_EVERY_FORM = ("flow", "flow_intent", "request_key", "confirm", "change", "failures", "switch_to", "problem")
SURE_TO_STOP = 0.9
"""Confidence from which a stop is one, whatever else the message says."""

PATIENCE = 2
"""Failed answers to a question after which it is explained and a person is offered."""


class Form(Action, ABC):
    """Validation action of the form ``form``."""

    form: ClassVar[str]
    submit: ClassVar[str]
    """Action that writes, once everything is known and confirmed; it ends with :func:`finish`."""
    starts: ClassVar[Mapping[str, Slots]]
    """Intents that open the form, and the slots that each of them says."""
    holds: ClassVar[tuple[str, ...]]
    """Slots that belong to one request and are forgotten with it."""
    changeable: ClassVar[tuple[str, ...]] = ()
    """Slots of which a change is offered when the summary is not right, in the order of the buttons."""
    only_asks = False
    """Whether the form belongs to a question: it gives way to any other form, and never interrupts one."""

    def name(self) -> str:
        return f"validate_{self.form}"

    # ---- what a form says of itself

    @abstractmethod
    def needs(self, slots: Slots) -> list[str]:
        """The slots that must be known, in the order of asking."""

    @abstractmethod
    def answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        """What the message says in answer to the question for ``asked``; empty when it is none."""

    def mentions(self, turn: Turn, slots: Slots) -> Slots:
        """What the message says without being asked: entities."""
        return {}

    async def settle(self, found: Slots, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        """Puts what was found into ``slots`` as far as it holds."""
        slots.update(found)

    async def begin(self, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        """Fills in what can be proposed when the form opens."""

    def reopen(self, changed: str, slots: Slots) -> None:
        """Makes the form ask for ``changed`` again."""
        slots[changed] = None

    # ---- one message

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, slots = Turn.of(tracker), dict(tracker.slots)
        begun = slots.get("flow") == self.form
        if turn.gives_up and (begun or not slots.get("starting")):
            ended = [ActiveLoop(None), SlotSet("requested_slot", None), SlotSet("failures", 0)]
            return [*ended, FollowupAction("action_stop")]
        if not begun:
            await self._open(turn, slots, tracker)
            return self._events(slots, tracker)
        asked = slots["requested_slot"]
        if went_elsewhere(tracker, self.form):
            return self._back_again(slots, dispatcher, tracker, domain)
        if turn.pauses:
            dispatcher.utter_message(response="utter_take_your_time")
            return self._events(slots, tracker)
        if asked == "switch_to":
            if turn.yes or turn.intent == slots["switch_to"]["intent"]:
                return self._switch(slots, tracker)
            slots["switch_to"], asked = None, self._question({**slots, "switch_to": None})
            if turn.yes is not None or turn.intent in self.starts:
                return self._events(slots, tracker)
        if turn.lost and asked:
            self._explain(asked, dispatcher, tracker, domain)
            return self._events(slots, tracker)
        found = self._hear(asked, turn, slots)
        if not found:
            return await self._passed_on(asked, turn, slots, dispatcher, tracker, domain)
        slots["failures"] = 0
        await self._settle(found, slots, turn, tracker)
        return self._events(slots, tracker)

    def _back_again(
        self, slots: Slots, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain
    ) -> list[EventType]:
        """After a digression the form asks its question again; a mere question is let go the second time."""
        if not self.only_asks:
            return [SlotSet("requested_slot", slots["requested_slot"])]
        if not slots["failures"]:
            return [SlotSet("requested_slot", slots["requested_slot"]), SlotSet("failures", 1)]
        ended = [ActiveLoop(None), SlotSet("requested_slot", None), SlotSet("order_id", None)]
        return [*ended, *finish(self, dispatcher, tracker, domain)]

    async def _open(self, turn: Turn, slots: Slots, tracker: Tracker) -> None:
        wish = slots.get("starting")
        slots.update(dict.fromkeys((*OF_EVERY_FORM, *self.holds)))
        slots.update(starting=None, offer=None, flow=self.form, failures=0, request_key=uuid4().hex)
        slots["flow_intent"] = wish["intent"] if wish else turn.intent
        found = dict(self.starts.get(slots["flow_intent"], {})) | (
            wish["slots"] if wish else self.mentions(turn, slots)
        )
        await self._settle({name: value for name, value in found.items() if value is not None}, slots, turn, tracker)
        await self.begin(slots, turn, tracker)

    def _hear(self, asked: str | None, turn: Turn, slots: Slots) -> Slots:
        """What the message says to this form; empty when it is a digression, or nothing."""
        own = turn.intent in self.starts
        found = self._answer(asked, turn, slots) if asked else {}
        if turn.intent == "stop" and turn.confidence < SURE_TO_STOP:
            return self.mentions(turn, slots)  # "算了开个人的吧" is a change of mind
        elsewhere = turn.intent not in ANSWERS and not own and turn.clear and turn.rest
        if elsewhere and (turn.asks or self._other(turn)):
            return {}  # a question or a wish that happens to hold a value
        if turn.intent in (*ANSWERS, "out_of_scope") or own:  # the bare name of a company is of no intent's words
            found = self.mentions(turn, slots) | found
        if own and "confirm" not in found:
            said = {name: value for name, value in self.starts[turn.intent].items() if slots.get(name) != value}
            if not said and not found and asked == "confirm":
                return {"confirm": True}  # "取消吧" is a yes to "要取消吗"
            if turn.clear or any(slots.get(name) is None for name in said):
                found = said | found
            found = found or {"failures": 0}  # the same wish once more: asked again, without blame
        return found

    def _answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        if asked == "confirm":
            return {} if turn.yes is None else {"confirm": turn.yes}
        if asked == "change":
            chosen = turn.first("change")
            return {"change": chosen} if chosen in self.changeable else {}
        return self.answer(asked, turn, slots)

    async def _settle(self, found: Slots, slots: Slots, turn: Turn, tracker: Tracker) -> None:
        if found.keys() - {"confirm", "failures"}:
            slots["confirm"] = slots["change"] = None  # what was summed up is no longer what was meant
        changed = found.pop("change", None)
        if changed:
            self.reopen(changed, slots)
        await self.settle(found, slots, turn, tracker)

    async def _passed_on(
        self,
        asked: str | None,
        turn: Turn,
        slots: Slots,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: Domain,
    ) -> list[EventType]:
        """The message says nothing to this form: another wish, a digression, or a failed answer."""
        other = self._other(turn)
        if other and turn.clear:
            known = dict(other.starts[turn.intent]) | other().mentions(turn, dict.fromkeys(tracker.slots))
            if turn.first("mention") and slots.get("order_id"):
                known.setdefault("order_id", slots["order_id"])  # "这单取消吧"
            wish = agenda.item(other.form, turn.intent, known, asked=True)
            if turn.part:
                return [*agenda.note(dispatcher, tracker, domain, wish), *self._events(slots, tracker)]
            if self.only_asks:
                return []
            slots["switch_to"] = wish
            return self._events(slots, tracker)
        if turn.intent == "correct" and any(slots.get(name) is not None for name in self.changeable):
            slots["confirm"] = False
            return self._events(slots, tracker)
        if turn.intent not in ANSWERS and not other:
            return []
        if turn.intent in ("nlu_fallback", "inform") and sure(await find_answers(tracker, turn)):
            return []
        if turn.intent == "nlu_fallback":
            await note_misunderstood(tracker, turn)
        slots["failures"] = (slots["failures"] or 0) + 1
        if slots["failures"] >= PATIENCE:
            self._explain(asked, dispatcher, tracker, domain)
        else:
            misread = turn.intent == "nlu_fallback"
            dispatcher.utter_message(response="utter_please_rephrase" if misread else "utter_not_matched")
        return self._events(slots, tracker)

    @staticmethod
    def _explain(asked: str | None, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> None:
        """Where to find what is asked for, and who else can help."""
        explanation = f"utter_explain_{asked}"
        buttons = [
            {"title": title(tracker, domain, "human_handoff"), "payload": "/human_handoff"},
            {"title": word(tracker, domain, "give_up"), "payload": "/stop"},
        ]
        dispatcher.utter_message(
            response=explanation if has_response(domain, explanation) else "utter_explain", buttons=buttons
        )

    def _other(self, turn: Turn) -> type[Form] | None:
        """The form that the message would open, if it is another one and no mere question."""
        other = form_opened_by(turn.intent)
        return other if other and not other.only_asks and other.form != self.form else None

    def _switch(self, slots: Slots, tracker: Tracker) -> list[EventType]:
        """Leaves this form for the other one and keeps it for later."""
        mine = agenda.item(self.form, slots["flow_intent"], self.kept(slots), asked=False)
        others = [wish for wish in agenda.waiting(tracker) if wish["form"] != self.form]
        return [
            ActiveLoop(None),
            SlotSet("requested_slot", None),
            *(SlotSet(name, None) for name in ("flow", "switch_to", "order_id")),
            SlotSet("agenda", [mine, *others]),
            *agenda.start(slots["switch_to"]),
        ]

    @classmethod
    def kept(cls, slots: Slots) -> Slots:
        """What is worth knowing when an interrupted request is taken up."""
        return {name: slots.get(name) for name in (*cls.changeable, "order_id")}

    def _question(self, slots: Slots) -> str | None:
        if slots.get("switch_to"):
            return "switch_to"
        if self.changeable and slots.get("confirm") is False:
            return "change"
        return next((name for name in self.needs(slots) if slots.get(name) is None), None)

    def _events(self, slots: Slots, tracker: Tracker) -> list[EventType]:
        """What has changed, and the next question; without one the form is done and ``submit`` follows."""
        question = self._question(slots)
        changed = {k: v for k, v in slots.items() if k != "requested_slot" and v != tracker.slots.get(k)}
        events = [SlotSet(name, value) for name, value in ({"flow": self.form} | changed).items()]
        events.append(SlotSet("requested_slot", question))
        return events if question else [*events, FollowupAction(self.submit)]


def finish(form: Form | None, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
    """Events that end a request and turn to what waits. Actions that write end with them."""
    return [*forget(form), *agenda.next_wish(dispatcher, tracker, domain)]


def forget(form: Form | None) -> list[EventType]:
    """Events that clear what belongs to a request of the form, or of any."""
    held = form.holds if form else tuple({slot for kind in all_forms() for slot in kind.holds})
    return [SlotSet(name, None) for name in (*OF_EVERY_FORM, *held)]


def all_forms() -> list[type[Form]]:
    return concrete(Form)  # type: ignore[type-abstract]


def concrete(base: type[T]) -> list[type[T]]:
    """Every class derived from ``base`` that can be used."""
    found: list[type[T]] = []
    branches = [base]
    while branches:
        derived = branches.pop().__subclasses__()
        branches += derived
        found += [kind for kind in derived if not isabstract(kind)]
    return found


def form_opened_by(intent: str) -> type[Form] | None:
    return next((kind for kind in all_forms() if intent in kind.starts), None)


class AskSwitchTo(Action):
    """Before another form is begun: this one first, or that one?"""

    def name(self) -> str:
        return "action_ask_switch_to"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        dispatcher.utter_message(
            response="utter_ask_switch_to",
            present=title(tracker, domain, tracker.slots["flow_intent"]),
            other=title(tracker, domain, tracker.slots["switch_to"]["intent"]),
        )
        return []


class AskChange(Action):
    """The summary is not right: which part?"""

    def name(self) -> str:
        return "action_ask_change"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        form = next(kind for kind in all_forms() if kind.form == tracker.slots["flow"])
        buttons = [
            {"title": word(tracker, domain, f"change_{slot}"), "payload": f'/inform{{"change": "{slot}"}}'}
            for slot in form.changeable
            if tracker.get_slot(slot) is not None
        ]
        give_up = {"title": word(tracker, domain, "give_up"), "payload": "/stop"}
        dispatcher.utter_message(response="utter_ask_change", buttons=[*buttons, give_up])
        return []
