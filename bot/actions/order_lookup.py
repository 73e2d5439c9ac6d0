"""Questions about one order, and ``order_form``, which finds the order when the customer has not said or proved it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions import agenda
from bot.actions.answers import say_if_plain
from bot.actions.forms import Slots, concrete, finish
from bot.actions.order_choice import OrderForm, problem
from bot.actions.turn import Turn
from bot.actions.wording import Domain
from mall_adapter import MallError, OrderLocked, OrderNotFound, OwnershipRequired


class OrderLookupForm(OrderForm):
    """Opened by :func:`ask_which_order` alone; what it was opened for follows as soon as the order is known."""

    form = "order_form"
    submit = "action_answer_about_order"
    starts: ClassVar[dict[str, Slots]] = {}  # the questions enter themselves
    holds = (*OrderForm.holds, "order_task", "order_answer")
    only_asks = True

    def needs(self, slots: Slots) -> list[str]:
        return ["order_id", "phone_tail"]

    def _hear(self, asked: str | None, turn: Turn, slots: Slots) -> Slots:
        """Another question goes to its own action, which may have an answer, or else opens this form for itself."""
        found = super()._hear(asked, turn, slots)
        return {} if found.keys() <= {"order_task", "failures"} else found


class OrderQuestion(Action, ABC):
    """A question about an order: answered at once, or when ``order_form`` has found the order."""

    @property
    @abstractmethod
    def task(self) -> str:
        """The intent."""

    def __init_subclass__(cls) -> None:
        if isinstance(task := cls.__dict__.get("task"), str):
            OrderLookupForm.starts[task] = {"order_task": task}

    def name(self) -> str:
        return f"action_{self.task}"

    @abstractmethod
    async def tell(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, order_id: str | None
    ) -> list[EventType] | None:
        """Says the answer; None when nothing is known of whom to tell it about.

        Raises OrderNotFound, OwnershipRequired or OrderLocked.
        """

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order_id = self.order_in_question(tracker)
        why: MallError | None = None
        try:
            if (events := await self.tell(dispatcher, tracker, domain, order_id)) is not None:
                return events
        except (OrderNotFound, OwnershipRequired, OrderLocked) as error:
            why = error
        asking = tracker.active_loop_name in (None, OrderLookupForm.form)
        if asking and why is None and await say_if_plain(dispatcher, tracker):
            return []  # "钱退到哪": no order is known, and none is needed
        return self.ask_which_order(dispatcher, tracker, domain, order_id, why)

    def order_in_question(self, tracker: Tracker) -> str | None:
        """The order named in this message, or listed at the place that it names, else the one that is talked of."""
        turn = Turn.of(tracker)
        if named := turn.first("order_id"):
            return str(named)
        orders = [thing["id"] for thing in tracker.get_slot("listed") or [] if thing["kind"] == "order"]
        current: str | None = next(iter(turn.pointed_at(orders)), tracker.get_slot("order_id"))
        return current

    def ask_which_order(
        self,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: Domain,
        order_id: str | None,
        why: MallError | None,
        more: Slots | None = None,
    ) -> list[EventType]:
        """Opens the order form; an open request is not thrown away for a question, which then comes next."""
        known = {"order_task": self.task, "order_id": order_id, "phone_tail": Turn.of(tracker).first("phone_tail")}
        known |= more or {}
        if isinstance(why, OrderNotFound):
            known |= {"order_id": None} | problem("order_not_found", order_id)
        wish = agenda.item(OrderLookupForm.form, self.task, known, asked=True)
        if tracker.active_loop_name not in (None, OrderLookupForm.form):
            return agenda.note(dispatcher, tracker, domain, wish)
        return [SlotSet("order_id", None), SlotSet("flow", None), *agenda.start(wish)]


class AnswerAboutOrder(Action):
    """After ``order_form``: answers what it was opened for."""

    def name(self) -> str:
        return "action_answer_about_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        questions = [kind() for kind in concrete(OrderQuestion)]  # type: ignore[type-abstract]
        question = next(question for question in questions if question.task == tracker.slots["order_task"])
        events = await question.tell(dispatcher, tracker, domain, tracker.slots["order_id"])
        return [*(events or []), *finish(OrderLookupForm(), dispatcher, tracker, domain)]
