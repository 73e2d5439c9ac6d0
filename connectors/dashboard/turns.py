"""A stored conversation, read turn by turn: what was said, what was understood, what followed and where that led.

Pure. What is known is read, and anything else kept as text: older conversations lack keys, newer ones have others, and
neither may break the page that is to explain them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

STATE = "dialogue"
"""The slot that holds the commands and the stack of flows. A turn sets it once or twice; the last one is the state
afterwards."""

GUESSES = 2
"""Intents that are told beside the one that was taken."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Guess:
    intent: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What was made of a message, or of a part of one."""

    text: str
    intent: Guess | None
    guesses: Sequence[Guess]  # the next ones
    entities: Sequence[Pair]  # (name and role, value)
    acts: Sequence[str]
    worry: float | None
    feeling: str | None  # worry | anger | urge | neutral; None in older conversations
    cues: Sequence[str]  # the words by which it was told
    topic: str | None
    parts: Sequence[Meaning]
    more: Sequence[Pair]  # what has no place above


@dataclass(frozen=True, slots=True)
class Customer:
    text: str
    tapped: str | None  # the title of the button whose payload the text is
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Command:
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Frame:
    """An open flow."""

    flow: str
    intent: str | None
    asked: str | None  # the slot that the open question is about
    asked_in: str | None  # the number of the turn
    asks: Sequence[Pair]  # (slot, how often it was asked for)
    parked: bool  # left, or waiting for its turn: ``more`` says which
    more: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class State:
    turn: str | None
    lost: str | None
    stack: Sequence[Frame]  # the top is last
    more: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    policy: str | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Said:
    by: str  # bot | operator | desk (the bot, about a hand-off)
    text: str
    response: str | None  # its name in the domain
    image: str | None
    buttons: Sequence[Pair]  # (title, payload)
    more: Sequence[Pair]


@dataclass(slots=True)
class Change:
    name: str
    before: str | None  # None: empty, or not known
    after: str | None
    known: bool  # what it was before


@dataclass(slots=True)
class Turn:
    """What followed a customer's message, or, without one, the start of a session or what happened at the desk."""

    position: int  # of its first event
    at: datetime | None
    at_desk: bool
    session: bool = False  # a session starts
    customer: Customer | None = None
    commands: list[Command] = field(default_factory=list)
    state: State | None = None
    actions: list[Action] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    slots: list[Change] = field(default_factory=list)
    other: list[Pair] = field(default_factory=list)  # (event, what it says)

    @property
    def opening(self) -> bool:
        """The start of a session, which belongs to the message that caused it unless something was said first."""
        return self.session and self.customer is None and not self.said


def read_turns(events: Iterable[dict[str, Any]], first: int = 0) -> list[Turn]:
    """The turns of neighbouring events, the first of which is number ``first`` of the conversation."""
    reader = _Reader(from_start=first == 0)
    for position, event in enumerate(events, first):
        reader.read(position, event)
    for turn in reader.turns:
        turn.slots = [each for each in turn.slots if not (each.known and each.before == each.after)]
    return reader.turns


class _Reader:
    def __init__(self, *, from_start: bool) -> None:
        self.turns: list[Turn] = []
        self._titles: dict[str, str] = {}  # payload → title of the buttons so far
        self._slots: dict[str, Any] = {}
        self._all_known = from_start  # a slot that was not set yet is empty

    def read(self, position: int, event: dict[str, Any]) -> None:
        kind = _text(event.get("event"))
        if not self.turns or self._begins_turn(kind, event):
            self.turns.append(Turn(position, _moment(event.get("timestamp")), _at_desk(kind, event)))
        turn = self.turns[-1]
        match kind:
            case "user":
                text = _text(event.get("text"))
                turn.customer = Customer(text, self._titles.get(text), _meaning(event.get("parse_data")))
            case "action":
                turn.session |= event.get("name") == "action_session_start"
                turn.actions.append(
                    Action(
                        _text(event.get("name") or event.get("action_text")),
                        _optional(event.get("policy")),
                        _number(event.get("confidence")),
                    )
                )
            case "bot":
                said = _said(event)
                self._titles.update((payload, title) for title, payload in said.buttons)
                turn.said.append(said)
            case "slot" if event.get("name") == STATE and isinstance(event.get("value"), dict):
                self._keep_state(turn, event["value"])
            case "slot" if not (event.get("name") == STATE and event.get("value") is None):
                self._set(turn, _text(event.get("name")), event.get("value"))
            case "session_started" | "reset_slots" | "restart":
                turn.session |= kind == "session_started"
                self._slots, self._all_known = {}, True
                turn.slots.clear()
                if kind != "session_started":
                    turn.other.append((kind, ""))
            case "slot" | "user_featurization":
                pass  # nothing that tells anything
            case _:
                told = _more(event, "event", "timestamp", "metadata")
                words = (value if name == "name" else f"{name}={value}" for name, value in told)
                turn.other.append((kind, " ".join(words)))

    def _begins_turn(self, kind: str, event: dict[str, Any]) -> bool:
        turn = self.turns[-1]
        if kind == "user":
            return not turn.opening
        if _at_desk(kind, event):
            return not (turn.at_desk and turn.customer is None) and not turn.opening
        return kind == "action" and event.get("name") == "action_session_start"

    def _keep_state(self, turn: Turn, value: dict[str, Any]) -> None:
        turn.state = State(
            _optional(value.get("turn")),
            _optional(value.get("lost")),
            [_frame(each) for each in _list(value.get("stack"))],
            _more(value, "turn", "commands", "stack", "lost"),
        )
        turn.commands = [_command(each) for each in _list(value.get("commands"))] or turn.commands

    def _set(self, turn: Turn, name: str, value: Any) -> None:
        known = self._all_known or name in self._slots
        before = self._slots.get(name)
        self._slots[name] = value
        change = next((each for each in turn.slots if each.name == name), None)
        if change is None:
            turn.slots.append(Change(name, _optional(before), _optional(value), known))
        else:
            change.after = _optional(value)


def _at_desk(kind: str, event: dict[str, Any]) -> bool:
    return kind == "pause" or (kind == "bot" and _dict(event.get("metadata")).get("by") in ("operator", "desk"))


def _meaning(data: Any) -> Meaning:
    data = _dict(data)
    taken = _guess(data["intent"]) if _dict(data.get("intent")).get("name") else None
    ranking = [_guess(each) for each in _list(data.get("intent_ranking"))]
    others = [guess for guess in ranking if taken is None or guess.intent != taken.intent]
    worry = data.get("worry")
    felt = worry if isinstance(worry, dict) else {"score": worry}  # older conversations have the number alone
    return Meaning(
        text=_text(data.get("text")),
        intent=taken,
        guesses=others[:GUESSES],
        entities=[_entity(each) for each in _list(data.get("entities"))],
        acts=[_text(each) for each in _list(data.get("acts"))],
        worry=_number(felt.get("score")),
        feeling=_optional(felt.get("label")),
        cues=[_text(each) for each in _list(felt.get("cues"))],
        topic=_optional(data.get("topic")),
        parts=[_meaning(each if isinstance(each, dict) else {"text": each}) for each in _list(data.get("parts"))],
        more=_more(
            data,
            *("text", "intent", "intent_ranking", "entities", "acts", "worry", "topic", "parts"),
            *("message_id", "metadata", "text_tokens", "response_selector"),  # of no interest
        ),
    )


def _guess(value: Any) -> Guess:
    if not isinstance(value, dict):
        return Guess(_text(value), None)
    return Guess(_text(value.get("name")), _number(value.get("confidence")))


def _entity(value: Any) -> Pair:
    if not isinstance(value, dict):
        return "", _text(value)
    name = " ".join(_text(value[key]) for key in ("entity", "role", "group") if value.get(key))
    return name, _text(value.get("value"))


def _command(value: Any) -> Command:
    texts = [_text(each) for each in value] if isinstance(value, list) else [_text(value)]
    return Command(texts[0] if texts else "", " ".join(texts[1:]))


def _frame(value: Any) -> Frame:
    if not isinstance(value, dict):
        return Frame(_text(value), None, None, None, [], False, [])
    return Frame(
        flow=_text(value.get("flow")),
        intent=_optional(value.get("intent")),
        asked=_optional(value.get("asked")),
        asked_in=_optional(value.get("asked_in")),
        asks=[(slot, _text(times)) for slot, times in _dict(value.get("asks")).items()],
        parked=value.get("status", "open") != "open",
        more=_more(value, "flow", "intent", "asked", "asked_in", "asks"),
    )


def _said(event: dict[str, Any]) -> Said:
    data, metadata = _dict(event.get("data")), _dict(event.get("metadata"))
    buttons = [each if isinstance(each, dict) else {"title": each} for each in _list(data.get("buttons"))]
    return Said(
        by=_text(metadata.get("by") or "bot"),
        text=_text(event.get("text")),
        response=_optional(metadata.get("utter_action")),
        image=_optional(data.get("image")),
        buttons=[(_text(each.get("title")), _text(each.get("payload"))) for each in buttons],
        more=_more(data, "buttons", "image"),
    )


def _more(data: dict[str, Any], *known: str) -> list[Pair]:
    return [(name, _text(value)) for name, value in data.items() if name not in known and value not in (None, [], {})]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return round(number, 3) if math.isfinite(number) else None


def _moment(value: Any) -> datetime | None:
    number = _number(value)
    try:
        return None if number is None else datetime.fromtimestamp(number, UTC)
    except (OverflowError, ValueError, OSError):
        return None
