"""An angry customer hears kind words once; then a person is offered, unless one is on the way."""

from __future__ import annotations

import time
from typing import Any

import pytest
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot.actions import anger
from bot.actions.anger import HearAnger
from tests.bot.actions.asking import DOMAIN

ANGRY, CALM = "anger", "neutral"


def said(label: str) -> dict[str, Any]:
    parse = {"text": "东西呢", "intent": {"name": "track_parcel"}, "worry": {"score": 0.9, "label": label, "cues": []}}
    return {"event": "user", "text": "东西呢", "timestamp": time.time(), "parse_data": parse}


@pytest.mark.parametrize(
    ("labels", "waits", "responses"),
    [
        ([ANGRY], False, ["utter_anger_heard"]),
        ([CALM, ANGRY], False, ["utter_anger_heard"]),
        ([ANGRY, CALM, ANGRY], False, ["utter_complain_again"]),
        ([ANGRY, ANGRY], True, []),
    ],
)
async def test_what_is_said_before_the_facts(
    labels: list[str], waits: bool, responses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits_for_person(sender: str) -> bool:
        return waits

    monkeypatch.setattr(anger, "waits_for_person", waits_for_person)
    events = [said(label) for label in labels]
    tracker = Tracker("web:ann", {}, events[-1]["parse_data"], events, False, None, {}, "action_listen")
    dispatcher = CollectingDispatcher()
    kept = [one["name"] for one in await HearAnger().run(dispatcher, tracker, DOMAIN)]
    assert kept == (["focus"] if responses == ["utter_complain_again"] else [])  # that a person was offered
    assert [message["response"] for message in dispatcher.messages] == responses
    for message in dispatcher.messages:
        assert message["response"] in DOMAIN["responses"]
