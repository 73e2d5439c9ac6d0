"""What the conversation is in the middle of, as the flows left it (slot ``dialogue``): read here, not decided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.wording import Domain, has_response


@dataclass(frozen=True, slots=True)
class Conversation:
    turn: int
    attempt: int  # for the how-manieth time the open question is put
    stack: tuple[Mapping[str, Any], ...]  # as docs/conversation.md has it, the topmost last

    @classmethod
    def of(cls, tracker: Tracker) -> Conversation:
        state = tracker.get_slot("dialogue") or {}
        return cls(int(state.get("turn") or 0), int(state.get("attempt") or 1), tuple(state.get("stack") or ()))

    @property
    def top(self) -> Mapping[str, Any]:
        """The flow for which the action runs."""
        return self.stack[-1] if self.stack else {}

    def open_flow(self, name: str) -> Mapping[str, Any] | None:
        """The flow of this name that is being worked on, beneath a digression too."""
        return next((one for one in self.stack if one["flow"] == name and one["status"] == "open"), None)


def digest(values: Mapping[str, Any]) -> str:
    """Names what is summed up: the same values have the same name, whatever their order."""
    plain = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def summed_up(values: Mapping[str, Any]) -> EventType:
    """For the action that shows a summary: what a yes to it would confirm."""
    return SlotSet("summary", digest(values))


def confirmed(tracker: Tracker, values: Mapping[str, Any]) -> bool:
    """The guard before a write: whether the customer has said yes to exactly these values, whoever chose the action."""
    return bool(tracker.get_slot("confirmed") == digest(values))


def key(tracker: Tracker, values: Mapping[str, Any]) -> str:
    """Idempotency key of a write: of this request with these values. A corrected request has another one."""
    return f"{tracker.sender_id} {Conversation.of(tracker).top.get('key')} {digest(values)}"


def proof_key(tracker: Tracker, *told: str) -> str:
    """Idempotency key of a proof: of this message with what it tells. One that comes again is one try."""
    message: dict[str, Any] = next((event for event in reversed(tracker.events) if event["event"] == "user"), {})
    return digest({"message": message.get("message_id"), "told": told})


def ask(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    domain: Domain,
    slot: str,
    response: str | None = None,
    **values: Any,
) -> None:
    """Puts the question for ``slot``, each time otherwise: plainly, with help, for the last time; or says what was
    wrong with the answer (``utter_<problem>``), where there are words for it."""
    trouble: dict[str, Any] = tracker.get_slot("problem") or {}
    concerns = bool(trouble) and trouble.get("slot") in (slot, None)
    asking = response or f"utter_ask_{slot}"
    times = Conversation.of(tracker).attempt
    again = f"{asking}_{'again' if times == 2 else 'third'}"
    if concerns and has_response(domain, f"utter_{trouble['name']}"):
        asking = f"utter_{trouble['name']}"
    elif times > 1 and has_response(domain, again) and (concerns or slot == "confirmed" or _one_way(domain, asking)):
        asking = again
    dispatcher.utter_message(response=asking, **{"detail": trouble.get("detail"), **values})


def _one_way(domain: Domain, response: str) -> bool:
    """Whether there is but one way to say it; else who only comes back to a question hears it plainly once more."""
    return len([one for one in domain["responses"][response] if not one.get("condition")]) == 1


def problem(slot: str, name: str, detail: object = None) -> dict[str, Any]:
    """Why what was said for ``slot`` cannot be taken: the next question says it (``utter_<name>``, ``{detail}``)."""
    return {"problem": {"slot": slot, "name": name, "detail": "" if detail is None else str(detail)}}
