"""Handing a conversation to a person, and rating how that went."""

from __future__ import annotations

import re

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_desk
from bot.actions.turn import Turn
from bot.actions.wording import Domain, minute
from mall_adapter import HandoffStatus, is_open, opens_at

MARK = {"desk": True}
"""Sent along with messages after which a person may write: the web chat then looks for it."""

_STARS = re.compile(r"(?P<stars>[1-5一二两三四五])\s*(?:颗)?(?:星|stars?)", re.IGNORECASE)
_POINTS = re.compile(r"(?P<points>10|[0-9])\s*分")
_WORTH = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5}


def stars_in(text: str) -> int | None:
    """1 to 5 stars of ``五星``, ``4分``, ``8分`` (of ten), 👍, ``好评``, ``差评``; None when it is not said."""
    if match := _STARS.search(text):
        return _WORTH.get(match["stars"]) or int(match["stars"])
    if match := _POINTS.search(text):
        points = int(match["points"])
        return max(1, points if points <= 5 else round(points / 2))
    if re.search(r"差评|垃圾|👎|很差|太差", text):
        return 1
    return 5 if re.search(r"好评|👍|满分|很好|非常好|满意", text) and "不满意" not in text else None


class Handoff(Action):
    """Queues the customer and says honestly whether, and how soon, somebody answers."""

    def name(self) -> str:
        return "action_handoff"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        desk = await get_desk()
        known = await desk.live(tracker.sender_id)
        handoff = known or await desk.request(tracker.sender_id, Turn.of(tracker).intent)
        now = desk.clock()
        if handoff.status is HandoffStatus.CLAIMED:
            dispatcher.utter_message(response="utter_handoff_claimed", custom=MARK)
        elif is_open(now):
            before = await desk.before(handoff)
            name = "utter_handoff_waiting" if known else "utter_handoff_queued"
            dispatcher.utter_message(response=name, before=before, custom=MARK)
        else:
            opens = minute(tracker, opens_at(now))
            dispatcher.utter_message(response="utter_handoff_closed", opens=opens, custom=MARK)
        return []


class WithdrawHandoff(Action):
    def name(self) -> str:
        return "action_withdraw_handoff"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        withdrawn = await (await get_desk()).withdraw(tracker.sender_id)
        dispatcher.utter_message(response="utter_handoff_withdrawn" if withdrawn else "utter_deny")
        return []


class RateService(Action):
    def name(self) -> str:
        return "action_rate_service"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        stars = stars_in(Turn.of(tracker).text)
        if stars is not None:
            await (await get_desk()).rate(tracker.sender_id, stars)
        dispatcher.utter_message(response="utter_rate_sorry" if stars and stars < 3 else "utter_rate_thanks")
        return []


async def note_misunderstood(tracker: Tracker, turn: Turn) -> None:
    """Puts the message into the trainers' queue, once."""
    guesses = sorted(turn.ranking.items(), key=lambda guess: -guess[1])
    await (await get_desk()).note_misunderstood(tracker.sender_id, turn.text, guesses, turn.message_id)
