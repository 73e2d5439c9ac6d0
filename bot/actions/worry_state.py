"""How worried a customer is: by the words of the message, and by the state of things.

A calm "where is it" is another question the third time, or when the promised day is over. What adds how much stands in
``bot/data/circumstances.yml``. Pure: reads the conversation and the order as they are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from rasa_sdk import Tracker

from bot.actions.orders import TO_BE_SHIPPED, state_of
from bot.patterns import expect
from mall_adapter.values import Order

Label = Literal["worry", "anger", "urge", "neutral"]
LABELS: tuple[Label, ...] = get_args(Label)
ANGER: Label = "anger"
NEUTRAL: Label = "neutral"

FILE = Path(__file__).parents[1] / "data/circumstances.yml"

UPSET_FOR = 3
"""Messages of the customer for which what was felt in one still counts in how they are spoken to."""

_PASSED = frozenset({"late", "overdue"})
_MOVED = "utter_notice_presale_moved"


@dataclass(frozen=True, slots=True)
class Worry:
    score: float  # 0 to 1: how probable it is that the customer worries or is angry
    label: Label
    cues: tuple[str, ...]  # phrases of the message, then the names of circumstances


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The content of the file."""

    lately: timedelta
    questions: frozenset[str]
    times: int
    shares: dict[str, float]
    worried_from: float


def read(path: Path = FILE) -> Circumstances:
    """Raises ValueError where the file is not well made."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {"asked_again", "promise_passed", "parcel_lost", "presale_moved", "worried_before"}
    known = {"lately", "questions", "times", "shares", "worried_from"}
    expect(set(content) == known, f"exactly {', '.join(sorted(known))}")
    shares = content["shares"]
    expect(set(shares) == names, f"shares: exactly {', '.join(sorted(names))}")
    expect(all(0 <= share < 1 for share in (*shares.values(), content["worried_from"])), "shares: from 0 to below 1")
    return Circumstances(
        timedelta(hours=content["lately"]),
        frozenset(content["questions"]),
        content["times"],
        shares,
        content["worried_from"],
    )


_CIRCUMSTANCES = read()


def worried(tracker: Tracker, order: Order | None, now: datetime) -> Worry:
    """How worried the last message is; ``order`` is the one that it is about, if that is known."""
    said = _said(tracker.latest_message)
    score, label = float(said.get("score") or 0.0), felt(tracker)
    held = tuple(_holding(tracker, order, now))
    for name in held:
        score += (1 - score) * _CIRCUMSTANCES.shares[name]
    if label in ("neutral", "urge") and score >= _CIRCUMSTANCES.worried_from:
        label = "worry"
    return Worry(round(score, 3), label, (*said.get("cues", ()), *held))


def felt(tracker: Tracker) -> Label:
    """What the last message tells by its words alone."""
    return _label(tracker.latest_message)


def angry_again(tracker: Tracker, now: datetime) -> bool:
    """Whether the last message is angry, and one before it was."""
    before = _messages(tracker, now)[:-1]
    return felt(tracker) == ANGER and any(_label(event.get("parse_data")) == ANGER for event in before)


def upset(tracker: Tracker, now: datetime) -> bool:
    """Whether the last message or one of the few before it is worried, angry or urging by its words."""
    return any(_label(event.get("parse_data")) != NEUTRAL for event in _messages(tracker, now)[-1 - UPSET_FOR :])


def _messages(tracker: Tracker, now: datetime) -> list[dict[str, Any]]:
    """The customer's, lately."""
    since = (now - _CIRCUMSTANCES.lately).timestamp()
    lately = (event for event in tracker.events if (event.get("timestamp") or now.timestamp()) >= since)
    return [event for event in lately if event["event"] == "user"]


def _said(parse: Mapping[str, Any] | None) -> dict[str, Any]:
    told = (parse or {}).get("worry")
    return told if isinstance(told, dict) else {}  # older conversations have a number


def _label(parse: Mapping[str, Any] | None) -> Label:
    return next((one for one in LABELS if one == _said(parse).get("label")), "neutral")


def _holding(tracker: Tracker, order: Order | None, now: datetime) -> Iterator[str]:
    """The names of the circumstances that hold."""
    said = _messages(tracker, now)
    if any(_score(event) >= _CIRCUMSTANCES.worried_from for event in said[:-1]):
        yield "worried_before"
    if order is None:
        return
    asked = [event for event in said if _intent_of(event) in _CIRCUMSTANCES.questions and _may_mean(event, order)]
    if said and said[-1] in asked and len(asked) >= _CIRCUMSTANCES.times:
        yield "asked_again"
    state = state_of(order, now)
    if state in _PASSED:
        yield "promise_passed"
    if state == "lost":
        yield "parcel_lost"
    if order.status in TO_BE_SHIPPED and any(
        _tells_of(event, order) for event in tracker.events if event["event"] == "bot"
    ):
        yield "presale_moved"


def _score(event: dict[str, Any]) -> float:
    return float(_said(event.get("parse_data")).get("score") or 0.0)


def _intent_of(event: dict[str, Any]) -> str | None:
    name: str | None = ((event.get("parse_data") or {}).get("intent") or {}).get("name")
    return name


def _may_mean(event: dict[str, Any], order: Order) -> bool:
    """Whether a message names this order, or none."""
    entities = (event.get("parse_data") or {}).get("entities") or ()
    named = {one["value"] for one in entities if one["entity"] == "order_id"}
    return not named or order.id in named


def _tells_of(event: dict[str, Any], order: Order) -> bool:
    """Whether it is the notice that the promise of this order moved: its buttons name the order."""
    if (event.get("metadata") or {}).get("utter_action") != _MOVED:
        return False
    buttons = (event.get("data") or {}).get("buttons") or ()
    return any(order.id in str(button.get("payload")) for button in buttons)
