"""One message, the action that answers it, and what the customer then reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import yaml
from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.wording import response_text

_numbers = count(1)  # the desk takes a message once

DOMAIN: dict[str, Any] = yaml.safe_load((settings.ROOT / "bot" / "domain.yml").read_text("utf-8"))


class Said:
    def __init__(self, tracker: Tracker, messages: list[dict[str, Any]], events: Sequence[Mapping[str, Any]]) -> None:
        self.responses = [message["response"] for message in messages]
        self.text = "\n".join(response_text(tracker, DOMAIN, said["response"]).format_map(said) for said in messages)
        for message in messages:  # whichever variant is said, and in which language, all of its values are there
            for variant in DOMAIN["responses"][message["response"]]:
                variant["text"].format_map(message)
        self.source: str | None = next(
            (said["custom"]["source"]["id"] for said in messages if "source" in (said.get("custom") or {})), None
        )
        self.buttons: list[dict[str, str]] = [button for said in messages for button in said.get("buttons") or []]
        self.slots: dict[str, Any] = {event["name"]: event["value"] for event in events if event["event"] == "slot"}
        self.events = [event["event"] for event in events if event["event"] != "slot"]

    @property
    def focus(self) -> dict[str, Any]:
        """What is at hand now, without its turns."""
        return {kind: (thing or {}).get("id") for kind, thing in (self.slots.get("focus") or {}).items()}

    @property
    def titles(self) -> list[str]:
        return [button["title"] for button in self.buttons]

    @property
    def payloads(self) -> list[str]:
        return [button["payload"] for button in self.buttons]


def at_hand(turn: int = 1, **things: Any) -> dict[str, Any]:
    """The slot ``focus``: ``order="ORD10001"``, ``listed=[…]``, ``written={"flow": …}``, all since ``turn``."""
    focus: dict[str, Any] = {}
    for kind, thing in things.items():
        known = {"things": thing} if kind == "listed" else thing if isinstance(thing, dict) else {"id": thing}
        focus[kind] = {**known, "turn": turn}
    return focus


def frame(flow: str, intent: str = "", status: str = "open", **more: Any) -> dict[str, Any]:
    return {"flow": flow, "intent": intent, "status": status, "began": 1, "part": 0, "values": {}, **more}


async def answer(
    action: Action,
    text: str,
    intent: str = "nlu_fallback",
    *,
    confidence: float = 0.9,
    sender: str = "api:ann",
    acts: Sequence[str] = (),
    topic: str | None = None,
    turn: int = 2,
    lost: int = 0,
    stack: Sequence[Mapping[str, Any]] = (),
    ranking: Mapping[str, float] | None = None,
    before: Sequence[Mapping[str, Any]] = (),
    paused: bool = False,
    feeling: str = "neutral",
    entities: Mapping[str, Any] | None = None,
    **slots: Any,
) -> Said:
    """What the bot says to a message. Entities stand where their value does in the text, or the words told with it."""
    found = []
    for name, told in (entities or {}).items():
        value, words = told if isinstance(told, tuple) else (told, str(told))
        start = max(text.find(words), 0)
        end = start + len(words) if words in text else start
        found.append({"entity": name, "value": value, "start": start, "end": end})
    message = {
        "text": text,
        "intent": {"name": intent, "confidence": confidence},
        "intent_ranking": [{"name": name, "confidence": sure} for name, sure in (ranking or {}).items()],
        "entities": found,
        "acts": list(acts),
        "topic": topic,
        "worry": {"score": 0.0, "label": feeling, "cues": []},
    }
    event = {"event": "user", "text": text, "parse_data": message, "message_id": f"m{next(_numbers)}", "metadata": {}}
    known = {"language": "zh", "dialogue": {"turn": turn, "attempt": 1, "lost": lost, "stack": list(stack)}, **slots}
    tracker = Tracker(sender, known, message, [*before, event], paused, None, {}, "action_listen")
    dispatcher = CollectingDispatcher()
    events = await action.run(dispatcher, tracker, DOMAIN)
    return Said(tracker, dispatcher.messages, [dict(one) for one in events])
