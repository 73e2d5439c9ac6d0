"""Whoever sells takes a lead's conversation over from their own chat, says something to them, and gives it back.

While they do (slot ``lead_talk``) what they write is for the lead, but for what is a command (``bot/data/patterns/
lead_talk.yml``, which bot/components/lead_talk.py reads) and for buttons.
"""

from __future__ import annotations

from collections.abc import Sequence

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_leads
from bot.actions.tickets import button, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, word
from mall_adapter.errors import InvalidTransition, NotFound, NotPermitted
from mall_adapter.leads import Talking

CHOICES = 3

TALKING = SlotSet("lead_talk", True)
SILENT = SlotSet("lead_talk", None)


class ReachLead(Action):
    """By a button of the lead's, or by words: then the only one, or one of those who are warm is to be chosen."""

    def name(self) -> str:
        return "action_reach_lead"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        leads, number = await get_leads(), str(Turn.of(tracker).first("lead") or "")
        try:
            if not number:
                warm = await leads.warm(tracker.sender_id, CHOICES)
                if len(warm) != 1:
                    _ask_whom(dispatcher, tracker, domain, warm)
                    return []
                number = str(warm[0][0])
            talk = await leads.take(tracker.sender_id, int(number) if number.isdecimal() else 0)
        except NotPermitted:
            dispatcher.utter_message(response="utter_cards_not_yours")
        except NotFound:
            dispatcher.utter_message(response="utter_lead_gone", buttons=[wish_button(tracker, domain, "my_leads")])
        except Talking as error:
            dispatcher.utter_message(response="utter_lead_talks_already", who=_called(tracker, domain, error.who))
        except InvalidTransition:
            dispatcher.utter_message(response="utter_lead_taken")
        else:
            who = _called(tracker, domain, talk.who)
            dispatcher.utter_message(response="utter_lead_reached", who=who, signed=talk.signed)
            return [TALKING]
        return []


class TellLead(Action):
    """Word for word what they wrote."""

    def name(self) -> str:
        return "action_tell_lead"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.whole(tracker)
        try:
            talk = await (await get_leads()).say(tracker.sender_id, turn.text, turn.message_id)
        except NotFound:
            dispatcher.utter_message(response="utter_lead_over", buttons=[wish_button(tracker, domain, "my_leads")])
            return [SILENT]
        dispatcher.utter_message(response="utter_lead_told", who=_called(tracker, domain, talk.who))
        return []


class GiveBackLead(Action):
    def name(self) -> str:
        return "action_give_back_lead"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if talk := await (await get_leads()).give_back(tracker.sender_id):
            dispatcher.utter_message(response="utter_lead_given_back", who=_called(tracker, domain, talk.who))
        else:
            dispatcher.utter_message(response="utter_lead_none")
        return [SILENT]


def _ask_whom(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, warm: Sequence[tuple[int, str | None]]
) -> None:
    if not warm:
        dispatcher.utter_message(response="utter_nobody_to_reach", buttons=[wish_button(tracker, domain, "my_leads")])
        return
    title = word(tracker, domain, "reach_lead")
    buttons = [
        button(title.format(who=_called(tracker, domain, who)), "reach_lead", lead=str(number)) for number, who in warm
    ]
    dispatcher.utter_message(response="utter_ask_which_lead", buttons=buttons)


def _called(tracker: Tracker, domain: Domain, who: str | None) -> str:
    return who or word(tracker, domain, "friend")
