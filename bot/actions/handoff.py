"""A person instead of the bot: asking for one, no longer waiting for one, and saying how it was."""

from __future__ import annotations

import math
from datetime import datetime, time
from itertools import islice
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import Conversation
from bot.actions.flow_files import is_task
from bot.actions.focus import Focus
from bot.actions.malls import get_desk
from bot.actions.turn import Turn
from bot.actions.wording import Domain, minute, title, word
from bot.spelling import number, plain
from mall_adapter.errors import InvalidTransition
from mall_adapter.handoff import Handoff, HandoffReason, HandoffStatus
from settings import SHANGHAI, desk_hours

WAITING = {"desk": "waiting"}
"""Tells whoever shows the message that more may come by itself: ``GET /api/chat/updates``."""

TOLD_AGAIN = 5
"""Turns after which somebody who waits is told their place again though nothing has changed."""

OFFERED_FIRST = 2
"""Times that a person is offered for one matter before one is called."""

UPSET_LATELY = 3
"""Turns for which an offer of a person to an angry customer still stands."""

GUESSES = 5
"""Intents that the trainers are shown with a message that was not understood."""

_WORDS = {"one": 1, "two": 2, "three": 3, "five": 5, "four": 4}
_SAID = patterns.load("rating", "of", "mark", "drawn", "service", *_WORDS)


def stars_in(text: str) -> int | None:
    """How many of five stars a customer's words give: "五星", "8分" (of ten), "3 out of 5", "👍", "差评"."""
    said = plain(text)
    behind = [said[found.end() :] for found in _SAID["service"].finditer(said)][:1]
    for words in (*behind, said):
        for found in (_SAID["of"].search(words), _SAID["mark"].search(words)):
            if found and (marks := number(found["number"])) is not None:
                highest = float(found.groupdict().get("of") or (5 if marks <= 5 else 10 if marks <= 10 else 100))
                return max(1, min(5, math.floor(marks * 5 / highest + 0.5)))
    if drawn := len(_SAID["drawn"].findall(said)):
        return min(5, drawn)
    return next((stars for name, stars in _WORDS.items() if _SAID[name].search(said)), None)


def why(tracker: Tracker) -> HandoffReason:
    """What had happened before the customer wanted a person."""
    focus = Focus(tracker)
    if lost_before(tracker) or focus.at_hand("unknown"):
        return HandoffReason.NOT_UNDERSTOOD
    if focus.at_hand("complaint"):
        return HandoffReason.COMPLAINT
    tasks = [frame for frame in Conversation.of(tracker).stack if is_task(frame["flow"])]
    return HandoffReason.STUCK if tasks else HandoffReason.ASKED


def lost_before(tracker: Tracker) -> int:
    """How many messages in a row had not been understood when this one came."""
    events = iter(reversed(tracker.events))
    for event in events:
        if event["event"] == "user":
            break
    states = (event["value"] for event in events if event["event"] == "slot" and event["name"] == "dialogue")
    state: dict[str, Any] = next(states, {}) or {}
    return int(state.get("lost") or 0)


async def waits_for_person(sender: str) -> bool:
    """Whether a person has been called already, or is talking."""
    return await (await get_desk()).live(sender) is not None


async def say_waiting(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, *, asked: bool = False
) -> bool:
    """What is said to a message that only the person can answer: where the customer stands in the queue, or, where they
    know that already and have not ``asked``, no more than that it is noted. False when nobody is waited for."""
    if (handoff := await (await get_desk()).live(tracker.sender_id)) is None:
        return False
    before = focus.value.get("waiting") or {}
    place = await _place(handoff)
    lately = Conversation.of(tracker).turn - int(before.get("turn") or 0) < TOLD_AGAIN
    if lately and before.get("id") == place and not asked:
        if Turn.of(tracker).asks:  # no "noted" to a question: it is said that it is the colleague's to answer
            told = await returns(tracker, domain)
            dispatcher.utter_message(response="utter_waiting_question", json_message=WAITING, **told)
        else:
            dispatcher.utter_message(response="utter_waiting_noted", json_message=WAITING)
    else:
        await _say_place(dispatcher, tracker, domain, handoff, again=True)
        focus.on("waiting", place)
    return True


async def returns(tracker: Tracker, domain: Domain) -> dict[str, str]:
    """``when`` the colleague who is waited for answers, for people: "明天 09:00", or as soon as one is free."""
    back = (await get_desk()).opens_at()
    return {"when": said_time(tracker, domain, back) if back else word(tracker, domain, "when_free")}


async def _place(handoff: Handoff) -> str:
    """Names what there is to tell of the queue: it is told again when it changes."""
    desk = await get_desk()
    return "closed" if desk.opens_at() else f"{handoff.status} {await desk.position(handoff)}"


async def _say_place(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, handoff: Handoff, *, again: bool
) -> None:
    desk = await get_desk()
    if handoff.status is HandoffStatus.CLAIMED:
        dispatcher.utter_message(response="utter_handoff_talking", json_message=WAITING)
    elif back := desk.opens_at():
        words = said_time(tracker, domain, back)
        dispatcher.utter_message(response="utter_handoff_closed", json_message=WAITING, back=words)
    else:
        ahead = await desk.position(handoff)
        name = f"utter_handoff_{'still_' if again else ''}{'queue' if ahead else 'next'}"
        dispatcher.utter_message(response=name, json_message=WAITING, ahead=ahead)


async def stop_waiting(dispatcher: CollectingDispatcher, tracker: Tracker, focus: Focus) -> bool:
    """Takes the customer out of the queue and says so; false when they were not in it. The slot ``queued`` is the
    caller's to clear. Who protests against it is put back: it is kept in the focus when that was."""
    try:
        left = await (await get_desk()).withdraw(tracker.sender_id, f"withdraw {Turn.whole(tracker).message_id}")
    except InvalidTransition:
        dispatcher.utter_message(response="utter_handoff_talking", json_message=WAITING)
        return True
    if left:
        dispatcher.utter_message(response="utter_handoff_withdrawn")
        focus.on("withdrew", str(left.id))
    return left is not None


class AskForPerson(Action):
    """Also when asked again: then it tells the place in the queue."""

    def name(self) -> str:
        return "action_handoff"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if turn.first("handoff") == "withdraw":
            if not await stop_waiting(dispatcher, tracker, focus):
                dispatcher.utter_message(response="utter_handoff_none")
            return [SlotSet("queued", None), *focus.events()]
        await call_person(dispatcher, tracker, domain, focus, turn)
        if order_id := turn.first("order_id"):
            focus.on("order", str(order_id))
        return focus.events()


async def call_person(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, turn: Turn
) -> None:
    """Puts the customer into the queue, once, and tells their place."""
    desk, sender = await get_desk(), tracker.sender_id
    before = await desk.live(sender)
    handoff = before or await desk.request(sender, why(tracker), f"handoff {sender} {turn.message_id}")
    await _say_place(dispatcher, tracker, domain, handoff, again=before is not None)
    focus.on_person(await _place(handoff))


async def offer_further(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus, matter: str
) -> None:
    """Behind what is known of a ``matter`` about which more is asked: a person, who is offered, and the third time
    called at once."""
    about, _, times = str(focus.at_hand("pressed") or "").partition(" ")
    count = int(times) + 1 if about == matter else 1
    focus.on("pressed", f"{matter} {count}")
    if await waits_for_person(tracker.sender_id):
        dispatcher.utter_message(response="utter_further_waiting", json_message=WAITING)
    elif count <= OFFERED_FIRST:
        human = {"title": title(tracker, domain, "human_handoff"), "payload": "/human_handoff"}
        dispatcher.utter_message(response="utter_further_offer", buttons=[human])
    else:
        dispatcher.utter_message(response="utter_further_call")
        await call_person(dispatcher, tracker, domain, focus, Turn.of(tracker))


async def offer_to_upset(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus) -> None:
    """Whoever is angry again is offered a person; who goes on being angry, and has not declined one, gets one."""
    before = focus.value.get("offered_upset") or {}
    lately = Conversation.of(tracker).turn - int(before.get("turn") or 0) <= UPSET_LATELY
    said = (Turn.of(tracker), *islice(Turn.earlier(tracker), UPSET_LATELY))
    declined = any(one.declines for one in said)
    if before and lately and not declined:
        focus.on("offered_upset", None)
        dispatcher.utter_message(response="utter_upset_call")
        await call_person(dispatcher, tracker, domain, focus, Turn.of(tracker))
    else:
        focus.on("offered_upset", "yes")
        human = {"title": title(tracker, domain, "human_handoff"), "payload": "/human_handoff"}
        dispatcher.utter_message(response="utter_complain_again", buttons=[human])


class WhileWaiting(Action):
    """A word for the colleague, who reads the whole chat; when they are there, and that they answer here."""

    def name(self) -> str:
        return "action_while_waiting"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus, desk = Turn.of(tracker), Focus(tracker), await get_desk()
        if (handoff := await desk.live(tracker.sender_id)) is None:
            dispatcher.utter_message(response="utter_handoff_none")
            return [SlotSet("queued", None)]
        when = await returns(tracker, domain)
        told = "utter_on_record" if "of_record" in turn.acts else "utter_seen_by_person"
        if turn.acts & {"of_record", "of_reading"}:
            dispatcher.utter_message(response=told, json_message=WAITING, **when)
        elif "word_for_person" in turn.acts:
            dispatcher.utter_message(response="utter_noted_for_person", json_message=WAITING)
        if "of_call" in turn.acts:
            dispatcher.utter_message(response="utter_no_call", json_message=WAITING, **when)
        elif "stays" in turn.acts:
            dispatcher.utter_message(response="utter_place_stays", json_message=WAITING, **when)
        if "of_hours" in turn.acts:
            opens, closes = desk_hours()
            hours = {"opens": f"{opens:%H:%M}", "closes": "24:00" if closes == time.max else f"{closes:%H:%M}"}
            dispatcher.utter_message(response="utter_desk_hours", json_message=WAITING, **hours)
        if turn.acts & {"of_hours", "of_queue"}:
            await _say_place(dispatcher, tracker, domain, handoff, again=True)
            focus.on("waiting", await _place(handoff))
        return focus.events()


def said_time(tracker: Tracker, domain: Domain, back: datetime) -> str:
    """``今天 09:00``, ``明天 09:00``."""
    days = (back.date() - datetime.now(SHANGHAI).date()).days
    names = {0: "today", 1: "tomorrow"}
    return f"{word(tracker, domain, names[days])} {back:%H:%M}" if days in names else minute(tracker, back)


class RateService(Action):
    """Stars for the last conversation with a person."""

    def name(self) -> str:
        return "action_rate_service"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        given = turn.first("stars")
        stars = int(given) if given in set("12345") else stars_in(turn.text)
        if stars is None:
            dispatcher.utter_message(response="utter_rate_how_many")
        elif await (await get_desk()).rate(tracker.sender_id, stars):
            dispatcher.utter_message(response="utter_rated" if stars > 2 else "utter_rated_low", stars=stars)
        else:  # it is the bot that they rate
            dispatcher.utter_message(response="utter_rate_thanks" if stars > 2 else "utter_rate_sorry")
        return []


async def note_misunderstood(tracker: Tracker, turn: Turn) -> None:
    """Puts the message into the trainers' queue, once."""
    guesses = sorted(turn.ranking.items(), key=lambda guess: -guess[1])[:GUESSES]
    await (await get_desk()).note_misunderstood(tracker.sender_id, turn.text, guesses, turn.message_id)
