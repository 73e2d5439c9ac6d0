"""The small talk of getting things done: stopping, bare data, a yes to an offer, and what was not understood."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import (
    ActionExecuted,
    ActiveLoop,
    ConversationPaused,
    EventType,
    FollowupAction,
    SessionStarted,
    SlotSet,
)
from rasa_sdk.executor import CollectingDispatcher

from bot.actions import agenda
from bot.actions.answers import note_gap
from bot.actions.forms import all_forms, finish, forget, form_opened_by
from bot.actions.handoff import AskForPerson, note_misunderstood, stop_waiting
from bot.actions.knowledge import AnswerFromGraph, answer_if_sure
from bot.actions.malls import get_mall
from bot.actions.order_choice import PROVED
from bot.actions.product_reference import goes_on
from bot.actions.shopping import ProductInfo
from bot.actions.turn import Turn, asked_before
from bot.actions.wording import Domain, has_response, title, word

GUESSES = 3
"""Intents that are offered when a message was not understood."""

NOT_UNDERSTOOD = ("utter_did_you_mean", "utter_default", "utter_not_understood_again", "utter_offer_human")
_QUESTIONS = frozenset({"ask_policy", "ask_promotion"})
"""Intents that a button cannot stand for: what is asked is in the words."""

_NO_GUESS = _QUESTIONS | {"nlu_fallback", "inform", "affirm", "deny", "correct", "stop", "out_of_scope", "chitchat"}


class OutOfScope(Action):
    """What is no business of the shop's, or sounds like it."""

    def name(self) -> str:
        return "action_out_of_scope"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if (events := await answer_if_sure(dispatcher, tracker, domain)) is not None:
            return events
        dispatcher.utter_message(response="utter_out_of_scope")
        return []


class Stop(Action):
    """Ends what is being done; what it had interrupted is offered again. With nothing at hand, ends what waits, too."""

    def name(self) -> str:
        return "action_stop"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        form = next((kind() for kind in all_forms() if kind.form == tracker.get_slot("flow")), None)
        if form is None and Turn.of(tracker).pauses:
            dispatcher.utter_message(response="utter_take_your_time")
            return []
        waits = bool(agenda.offered(tracker) or agenda.waiting(tracker))
        if not (form or waits) and await stop_waiting(dispatcher, tracker):
            return []
        if ticket_id := await self._written_after_all(tracker):
            dispatcher.utter_message(response="utter_ticket_exists", ticket_id=ticket_id)
        else:
            dispatcher.utter_message(response="utter_stopped" if form or waits else "utter_nothing_to_stop")
        ended = [ActiveLoop(None), SlotSet("requested_slot", None), SlotSet("order_id", None), SlotSet("offer", None)]
        if form:
            return [*ended, *finish(form, dispatcher, tracker, domain)]
        return [*ended, *forget(None), SlotSet("agenda", None), FollowupAction("action_listen")]

    @staticmethod
    async def _written_after_all(tracker: Tracker) -> str | None:
        """The ticket of a yes whose turn was cut off after the mall wrote it: "nothing was sent" would be a lie."""
        if tracker.get_slot("flow") != "after_sales_form" or tracker.get_slot("phone_tail") != PROVED:
            return None
        order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
        wanted = {choice["id"] for choice in tracker.get_slot("order_lines") or []}
        return next((line.open_ticket_id for line in order.lines if line.id in wanted and line.open_ticket_id), None)


class Inform(Action):
    """An order number, a reason or digits that no open question asked for."""

    def name(self) -> str:
        return "action_inform"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        order_id = turn.first("order_id")
        if order_id is None:
            orders = [thing["id"] for thing in tracker.get_slot("listed") or [] if thing["kind"] == "order"]
            order_id = next(iter(turn.pointed_at(orders)), None)
        if order_id:
            dispatcher.utter_message(response="utter_what_about_order", order_id=order_id)
            return [SlotSet("order_id", order_id)]
        if turn.first("reason"):
            dispatcher.utter_message(response="utter_what_about_problem")
        elif turn.names_goods or await goes_on(tracker, turn):  # "手机", "第二个", "白色呢"
            return await ProductInfo().run(dispatcher, tracker, domain)
        elif (events := await answer_if_sure(dispatcher, tracker, domain)) is not None:
            return events
        elif in_hand := tracker.get_slot("order_id"):
            dispatcher.utter_message(response="utter_what_about_order", order_id=in_hand)
        else:
            dispatcher.utter_message(response="utter_inform_what")
        return []


class Correct(Action):
    """A correction with nothing to correct: "刚才那款多重" sounds like one."""

    def name(self) -> str:
        return "action_correct"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        if turn.names_goods or await goes_on(tracker, turn):
            return await ProductInfo().run(dispatcher, tracker, domain)
        if (events := await answer_if_sure(dispatcher, tracker, domain)) is not None:  # "刻错字了"
            return events
        dispatcher.utter_message(response="utter_correct")
        return []


class YesOrNo(Action):
    """A yes or a no while no form asks: to an offer, or to nothing."""

    def name(self) -> str:
        return "action_yes_or_no"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        yes, wish = Turn.of(tracker).yes, agenda.offered(tracker)
        if yes and wish:
            return agenda.start(wish)
        if yes and asked_before(tracker, "utter_offer_human"):
            return await AskForPerson().run(dispatcher, tracker, domain)
        if not yes and asked_before(tracker, "utter_answer_which"):  # "都不是", typed
            return await AnswerFromGraph.unknown(dispatcher, tracker, next(Turn.earlier(tracker), None))
        dispatcher.utter_message(response="utter_affirm" if yes else "utter_deny")
        return [SlotSet("offer", None)]


class NotUnderstood(Action):
    """First the likely meanings as buttons, then other words are asked for, then a person is offered."""

    def name(self) -> str:
        return "action_not_understood"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        await note_misunderstood(tracker, turn)
        human = {"title": title(tracker, domain, "human_handoff"), "payload": "/human_handoff"}
        if order_id := turn.first("order_id"):
            dispatcher.utter_message(response="utter_what_about_order", order_id=order_id)
            return [SlotSet("order_id", order_id)]
        if turn.names_goods or await goes_on(tracker, turn):  # "加湿器": whatever was meant, it is about that
            return await ProductInfo().run(dispatcher, tracker, domain)
        if (events := await answer_if_sure(dispatcher, tracker, domain)) is not None:
            return events
        if turn.asks:
            await note_gap(tracker, turn)
            if max(turn.ranking, key=lambda name: turn.ranking[name], default="") in _QUESTIONS:
                dispatcher.utter_message(response="utter_policy_unknown")
                return []
        if asked_before(tracker, "utter_not_understood_again", "utter_offer_human"):
            dispatcher.utter_message(response="utter_offer_human", buttons=[human])
        elif asked_before(tracker, "utter_did_you_mean", "utter_default"):
            dispatcher.utter_message(response="utter_not_understood_again", buttons=[human])
        elif guesses := self._guesses(turn, tracker, domain):
            none = {"title": word(tracker, domain, "none_of_these"), "payload": "/deny"}
            dispatcher.utter_message(response="utter_did_you_mean", buttons=[*guesses, none])
        else:
            dispatcher.utter_message(response="utter_default")
        return []

    @staticmethod
    def _guesses(turn: Turn, tracker: Tracker, domain: Domain) -> list[dict[str, str]]:
        likely = [
            name for name in turn.ranking if name not in _NO_GUESS and has_response(domain, f"utter_title_{name}")
        ]
        return [{"title": title(tracker, domain, name), "payload": f"/{name}"} for name in likely[:GUESSES]]


class SessionStart(Action):
    """A conversation that was left for a day starts fresh; what was left undone is offered."""

    def name(self) -> str:
        return "action_session_start"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        left = next((kind for kind in all_forms() if kind.form == tracker.active_loop_name), None)
        wishes = agenda.waiting(tracker)
        wish = None
        if left and not left.only_asks and (intent := tracker.get_slot("flow_intent")):
            wish = agenda.item(left.form, intent, left.kept(tracker.slots), asked=False)
        elif wishes:
            wish = wishes[0]
        events: list[EventType] = [SessionStarted()]
        if language := tracker.get_slot("language"):
            events.append(SlotSet("language", language))
        if tracker.is_paused():  # an operator talks, however long that takes
            events.append(ConversationPaused())
        elif wish and form_opened_by(wish["intent"]):
            dispatcher.utter_message(response="utter_offer_left", wish=title(tracker, domain, wish["intent"]))
            events.append(agenda.offer(wish, 0))
        return [*events, ActionExecuted("action_listen")]
