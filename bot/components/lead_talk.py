"""Words of whoever sells and talks with a lead from their own chat (slot ``lead_talk``): they are for the lead, however
they look, but for what ends the talk and for what is said to the bot by its name.

Also where nobody talks: that somebody takes a lead over. ``bot/data/patterns/lead_talk.yml`` has the words.
"""

from __future__ import annotations

from typing import Any

from bot import patterns
from bot.patterns import cut
from bot.spelling import plain

SLOT = "lead_talk"

TAKE, TELL, GIVE_BACK = "reach_lead", "tell_lead", "give_back_lead"

_SAID = patterns.load("lead_talk", "take", "give_back", "to_bot")


def read(text: str, talks: bool) -> tuple[str, dict[str, Any]]:
    """The words, without the bot's name in front; and what is meant by them, as a parse, or an empty one where they
    are to be read as usual. ``talks``: the sender talks with a lead."""
    said = plain(text)
    if _SAID["take"].search(said):
        return text, _parse(text, TAKE)
    if not talks:
        return text, {}
    if _SAID["to_bot"].search(said):
        return cut(_SAID["to_bot"], text, most=1), {}
    return text, _parse(text, GIVE_BACK if _SAID["give_back"].search(said) else TELL)


def _parse(text: str, intent: str) -> dict[str, Any]:
    return {
        "text": text,
        "intent": {"name": intent, "confidence": 1.0},
        "intent_ranking": [],
        "entities": [],
        "acts": [],
        "parts": [],
        "worry": {"score": 0.0, "label": "neutral", "cues": []},
        "meant": True,
    }
