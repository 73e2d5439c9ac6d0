"""A conversation that was left for a day starts fresh and offers what was left."""

from __future__ import annotations

from typing import Any

import yaml
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions.agenda import offered
from bot.actions.dialogue import SessionStart
from bot.actions.returns import AfterSalesForm

DOMAIN: dict[str, Any] = yaml.safe_load((settings.ROOT / "bot" / "domain.yml").read_text("utf-8"))
LEFT = {
    "flow": "after_sales_form",
    "flow_intent": "request_return",
    "order_id": "ORD12345",
    "reason": "dislike",
    "ticket_kind": "return",
    "language": "zh",
}


def tracker(slots: dict[str, Any], form: str | None, messages: int = 0) -> Tracker:
    events = [{"event": "user", "text": "好", "metadata": {}}] * messages
    return Tracker("web:ann", dict(slots), {}, events, False, None, {"name": form} if form else {}, "action_listen")


async def start(slots: dict[str, Any], form: str | None) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    dispatcher = CollectingDispatcher()
    events = [dict(event) for event in await SessionStart().run(dispatcher, tracker(slots, form), DOMAIN)]
    kept = {event["name"]: event["value"] for event in events if event["event"] == "slot"}
    return events, kept, [str(message["response"]) for message in dispatcher.messages]


async def test_what_was_left_is_offered_and_taken_up_by_a_yes() -> None:
    events, kept, said = await start(LEFT, AfterSalesForm.form)
    assert said == ["utter_offer_left"]
    assert [event["event"] for event in events if event["event"] != "slot"] == ["session_started", "action"]
    assert set(kept) == {"language", "offer"}  # everything else starts fresh
    wish = offered(tracker(kept, None, messages=1))
    assert wish and (wish["form"], wish["intent"]) == ("after_sales_form", "request_return")
    assert wish["slots"]["order_id"] == "ORD12345" and wish["slots"]["reason"] == "dislike"
    assert offered(tracker(kept, None, messages=3)) is None  # a yes much later means something else


async def test_nothing_left_nothing_offered() -> None:
    _, kept, said = await start({}, None)
    assert (kept, said) == ({}, [])


async def test_a_question_that_was_left_is_not_offered() -> None:
    _, kept, said = await start({"flow": "order_form", "flow_intent": "order_status"}, "order_form")
    assert (kept, said) == ({}, [])
