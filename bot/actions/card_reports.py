"""How cards travelled and how warm leads are, told to their owner, or to whoever runs the shop; strangers stay so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions import graphs
from bot.actions.malls import get_desk, get_leads
from bot.actions.path_picture import draw
from bot.actions.tickets import button, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, word, yuan
from knowledge_graph import propagation
from mall_adapter.errors import NotFound, NotPermitted
from mall_adapter.handoff import HandoffReason
from mall_adapter.leads import Shown
from privacy import current_ring
from privacy.conversations import conversation_of

CARRIERS = 3
ASKED = 3
LEADS = 5
NAMED = 200
"""Leads among whom a name in a message is looked for."""


class CardReport(Action):
    def name(self) -> str:
        return "action_card_report"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if (shown := await _allowed(dispatcher, tracker, domain)) is None:
            return []
        if await _say_whence(dispatcher, tracker, domain, shown):
            return []
        reach = await graphs.ask(lambda graph: propagation.reach(graph, shown.cards), None)
        card = None if shown.manager else shown.cards[-1]
        carriers = await graphs.ask(lambda graph: propagation.carriers(graph, card, CARRIERS), None)
        if reach is None or carriers is None:
            dispatcher.utter_message(response="utter_card_report_away")
            return []
        if not reach.people:
            share = wish_button(tracker, domain, "share_card")
            dispatcher.utter_message(response="utter_card_report_nobody", buttons=[share])
            return []
        path = await graphs.ask(lambda graph: propagation.path(graph, shown.cards[-1]), None)
        people = [one.person for one in carriers] + ([one.person for one in path.copies] if path else [])
        names = await (await get_leads()).names(people)
        levels = [
            word(tracker, domain, "card_level").format(level=level, people=number)
            for level, number in enumerate(reach.levels, 1)
        ]
        said = [_of_carriers(tracker, domain, carriers, names)] if carriers else []
        if reach.orders:
            said.append(word(tracker, domain, "card_orders").format(orders=reach.orders, money=yuan(reach.cents)))
        picture = await asyncio.to_thread(draw, path, _labels(tracker, domain, path, names)) if path else None
        dispatcher.utter_message(
            response="utter_card_report_all" if shown.manager else "utter_card_report",
            people=reach.people,
            depth=len(reach.levels),
            levels=word(tracker, domain, "card_between").join(levels),
            more="".join(said),
            buttons=[wish_button(tracker, domain, "my_leads")],
            **({"image": f"{settings.public_url()}/pictures/{picture}"} if picture else {}),
        )
        return []


class MyLeads(Action):
    """The warmest; or by whom somebody came who is named."""

    def name(self) -> str:
        return "action_my_leads"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        if (shown := await _allowed(dispatcher, tracker, domain)) is None:
            return []
        if await _say_whence(dispatcher, tracker, domain, shown):
            return []
        found = await graphs.ask(lambda graph: propagation.leads(graph, shown.cards, limit=LEADS), None)
        if found is None:
            dispatcher.utter_message(response="utter_card_report_away")
            return []
        if not found:
            dispatcher.utter_message(response="utter_no_leads", buttons=[wish_button(tracker, domain, "share_card")])
            return []
        leads = await get_leads()
        names = await leads.names([one.person for one in found] + [one.source for one in found])
        numbers = await leads.numbers(tracker.sender_id, [one.person for one in found])
        own = {one.source: word(tracker, domain, "you") for one in found if one.depth == 1 and not shown.manager}
        given = {**names, **own}
        lines, nothing = [], list[propagation.Question]()
        for place, lead in enumerate(found, 1):
            asked = await graphs.ask(partial(propagation.questions, person=lead.person, limit=ASKED), nothing)
            topics = dict.fromkeys(word(tracker, domain, f"asked_{one.topic}") for one in asked)
            line = word(tracker, domain, "lead_line_asked" if topics else "lead_line").format(
                place=place,
                who=_name(tracker, domain, names, lead.person),
                stage=word(tracker, domain, f"stage_{lead.stage}"),
                asked=word(tracker, domain, "card_between").join(topics),
                source=_name(tracker, domain, given, lead.source),
                depth=lead.depth,
            )
            lines.append(line)
        reachable = [(one, numbers[one.person]) for one in found if one.person in numbers]
        buttons = [
            button(
                word(tracker, domain, "reach_lead").format(who=_name(tracker, domain, names, one.person)),
                "reach_lead",
                lead=str(number),
            )
            for one, number in reachable[:CARRIERS]
        ]
        dispatcher.utter_message(response="utter_my_leads", count=len(found), leads="\n".join(lines), buttons=buttons)
        return []


class ReachLead(Action):
    """The lead's conversation waits at the desk, where whoever takes it over goes on."""

    def name(self) -> str:
        return "action_reach_lead"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        number = str(turn.first("lead") or "")
        try:
            waiting = await (await get_leads()).reach(tracker.sender_id, int(number) if number.isdecimal() else 0)
        except NotPermitted:
            dispatcher.utter_message(response="utter_cards_not_yours")
            return []
        except NotFound:
            dispatcher.utter_message(response="utter_lead_gone")
            return []
        key = f"lead {number} {turn.message_id}"
        await (await get_desk()).request(waiting.sender, HandoffReason.LEAD, key)
        place = conversation_of(current_ring(), waiting.sender)
        dispatcher.utter_message(
            response="utter_lead_reached",
            who=waiting.name or word(tracker, domain, "friend"),
            url=f"{settings.public_url()}/dashboard/conversations/{place}",
        )
        return []


async def _allowed(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> Shown | None:
    """Whose cards the sender may see; who may not, or has none, has been told."""
    try:
        shown = await (await get_leads()).shown(tracker.sender_id)
    except NotPermitted:
        dispatcher.utter_message(response="utter_cards_not_yours")
        return None
    if not shown.cards:
        dispatcher.utter_message(
            response="utter_card_report_no_card", buttons=[wish_button(tracker, domain, "my_card")]
        )
        return None
    return shown


async def _say_whence(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, shown: Shown) -> bool:
    """Whether the message names one of the leads, whose way was told then."""
    said = Turn.of(tracker).text
    every = (*propagation.WARMEST, "converted", "lost")
    nobody, nowhere = list[propagation.Lead](), tuple[propagation.Step, ...]()
    found = await graphs.ask(lambda graph: propagation.leads(graph, shown.cards, every, NAMED), nobody)
    names = await (await get_leads()).names([one.person for one in found])
    lead = next((one for one in found if (name := names.get(one.person)) and name in said), None)
    if lead is None:
        return False
    way = await graphs.ask(lambda graph: propagation.chain(graph, lead.card, lead.person), nowhere)
    people = [step.person for step in way] or [lead.source, lead.person]
    known = await (await get_leads()).names(people)
    told = [_name(tracker, domain, known, person) for person in people]
    if way and not shown.manager:
        told[0] = word(tracker, domain, "you")
    dispatcher.utter_message(
        response="utter_lead_path",
        who=told[-1],
        path=" → ".join(told),
        depth=len(people) - 1,
        stage=word(tracker, domain, f"stage_{lead.stage}"),
    )
    return True


def _of_carriers(
    tracker: Tracker, domain: Domain, carriers: Sequence[propagation.Carrier], names: Mapping[str, str]
) -> str:
    line = word(tracker, domain, "carrier")
    told = [line.format(who=_name(tracker, domain, names, one.person), brought=one.brought) for one in carriers]
    return word(tracker, domain, "card_carriers").format(carriers=word(tracker, domain, "card_between").join(told))


def _labels(tracker: Tracker, domain: Domain, path: propagation.Path, names: Mapping[str, str]) -> Mapping[str, str]:
    """What each person of the path is called in the picture."""
    labels = {one.person: _name(tracker, domain, names, one.person) for one in path.copies}
    return labels | {path.owner or "": word(tracker, domain, "card")}


def _name(tracker: Tracker, domain: Domain, names: Mapping[str, str], person: str) -> str:
    return names.get(person) or word(tracker, domain, "friend")
