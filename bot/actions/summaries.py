"""The summary before a write, in full where it is new, else in one line. A yes is a yes to exactly these values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.conversation import Conversation, digest, summed_up


def sum_up(
    dispatcher: CollectingDispatcher, tracker: Tracker, response: str, values: Mapping[str, Any], **shown: Any
) -> list[EventType]:
    """``values`` are what would be written. Says ``response``; where these values were summed up before, its ``_again``
    or ``_third``; after a message that was neither yes nor no, its ``_unclear``. Their buttons name ``{digest}``."""
    name, trouble = digest(values), tracker.get_slot("problem") or {}
    ending = ""
    if trouble.get("slot") == "confirmed":
        ending = "_unclear"
    elif tracker.get_slot("summary") == name:
        ending = "_again" if Conversation.of(tracker).attempt <= 2 else "_third"
    dispatcher.utter_message(response=f"{response}{ending}", digest=name, **shown)
    return [summed_up(values)]
