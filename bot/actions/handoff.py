"""A person instead of the bot: asking for one, no longer waiting for one, and saying how it was."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.conversation import Conversation
from bot.actions.flow_files import is_task
from bot.actions.focus import Focus
from bot.actions.malls import get_desk
from bot.actions.turn import Turn
from bot.actions.wording import SHANGHAI, Domain, minute, word
from mall_adapter import Handoff, HandoffReason, HandoffStatus, InvalidTransition

WAITING = {"desk": "waiting"}
"""Tells whoever shows the message that more may come by itself: ``GET /api/chat/updates``."""

TOLD_AGAIN = 5
"""Turns after which somebody who waits is told their place again though nothing has changed."""

GUESSES = 5
"""Intents that the trainers are shown with a message that was not understood."""

_DIGITS = {**dict(zip("零一二三四五六七八九十", range(11), strict=True)), "两": 2, "兩": 2}
_NUMBER = r"(?P<number>100|\d{1,2}(?:\.\d)?|[零一二两兩三四五六七八九十])"
_OF = r"\s*(?:/|out of|of)\s*(?P<of>100|10|5)"
_MARKS = (
    re.compile(rf"(?<![扣减\d]){_NUMBER}{_OF}", re.IGNORECASE),
    re.compile(rf"(?<![扣减\d]){_NUMBER}\s*(?:颗|個|个|顆)?\s*(?P<unit>星|stars?|分|points?)", re.IGNORECASE),
)
_STARS = re.compile(r"[⭐★🌟]")
_WORDS = (
    (1, re.compile(r"差评|差評|极差|很差|太差|垃圾|👎|terrible|awful|worst", re.IGNORECASE)),
    (2, re.compile(r"不满意|不滿意|不好|不行|没解决|沒解決|\bbad\b|not (?:good|happy|satisfied)", re.IGNORECASE)),
    (3, re.compile(r"一般|凑合|还行|還行|及格|中规中矩|okay|\bok\b|average", re.IGNORECASE)),
    (5, re.compile(r"满分|滿分|好评|好評|[很非常]满意|👍|💯|赞|棒|excellent|great|perfect|awesome", re.IGNORECASE)),
    (4, re.compile(r"满意|滿意|不错|不錯|挺好|\bgood\b|nice", re.IGNORECASE)),
)


def stars_in(text: str) -> int | None:
    """How many of five stars a customer's words give: "五星", "8分" (of ten), "3 out of 5", "👍", "差评"."""
    # "物流一星，客服五星" is about two things
    for words in (text.partition("客服")[2], text):
        for pattern in _MARKS:
            if found := pattern.search(words):
                number = found["number"]
                marks = float(_DIGITS[number]) if number in _DIGITS else float(number)
                highest = float(found.groupdict().get("of") or (5 if marks <= 5 else 10 if marks <= 10 else 100))
                return max(1, min(5, math.floor(marks * 5 / highest + 0.5)))
    if drawn := len(_STARS.findall(text)):
        return min(5, drawn)
    return next((stars for stars, pattern in _WORDS if pattern.search(text)), None)


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


async def say_waiting(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, focus: Focus) -> bool:
    """What is said to a message that only the person can answer: where the customer stands in the queue, or, where they
    know that already, no more than that it is noted. False when nobody is waited for."""
    if (handoff := await (await get_desk()).live(tracker.sender_id)) is None:
        return False
    before = focus.value.get("waiting") or {}
    place = await _place(handoff)
    lately = Conversation.of(tracker).turn - int(before.get("turn") or 0) < TOLD_AGAIN
    if lately and before.get("id") == place:
        dispatcher.utter_message(response="utter_waiting_noted", json_message=WAITING)
    else:
        await _say_place(dispatcher, tracker, domain, handoff, again=True)
        focus.on("waiting", place)
    return True


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


async def stop_waiting(dispatcher: CollectingDispatcher, tracker: Tracker) -> bool:
    """Takes the customer out of the queue and says so; false when they were not in it. The slot ``queued`` is the
    caller's to clear."""
    try:
        left = await (await get_desk()).withdraw(tracker.sender_id)
    except InvalidTransition:
        dispatcher.utter_message(response="utter_handoff_talking", json_message=WAITING)
        return True
    if left:
        dispatcher.utter_message(response="utter_handoff_withdrawn")
    return left is not None


class AskForPerson(Action):
    """Also when asked again: then it tells the place in the queue."""

    def name(self) -> str:
        return "action_handoff"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        if turn.first("handoff") == "withdraw":
            if not await stop_waiting(dispatcher, tracker):
                dispatcher.utter_message(response="utter_handoff_none")
            return [SlotSet("queued", None)]
        desk, sender = await get_desk(), tracker.sender_id
        before = await desk.live(sender)
        key = f"handoff {sender} {turn.message_id}"
        handoff = before or await desk.request(sender, why(tracker), key)
        await _say_place(dispatcher, tracker, domain, handoff, again=before is not None)
        focus = Focus(tracker).on("waiting", await _place(handoff))
        return [SlotSet("queued", True), *focus.events()]


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
