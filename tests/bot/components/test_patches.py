"""Each patch fits the Rasa that is installed, does its work, and leaves another Rasa alone."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from rasa.core.actions.action import ActionExecutionRejection, RemoteAction
from rasa.core.processor import MessageProcessor
from rasa.shared.core.events import ActionExecutionRejected, ActiveLoop, Event, Restarted, SlotSet
from rasa.shared.core.trackers import EventVerbosity
from rasa.shared.utils.io import read_yaml
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver

from bot.components import patches
from bot.components.patches import PATCHES, Patch
from tests.bot.components.conftest import Bot


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_the_patched_function_is_the_one_that_was_patched_for(patch: Patch) -> None:
    assert patch.fits()


def test_a_function_that_has_changed_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Changed:
        def method(self) -> str:
            return "as it was"

    monkeypatch.setattr(patches, "PATCHES", (Patch(Changed, "method", "0" * 16, lambda stock: lambda self: "patched"),))
    with caplog.at_level(logging.WARNING):
        patches.apply()
    assert Changed().method() == "as it was"
    assert "Changed.method" in caplog.text


def test_events_are_found_by_their_type(patched: None) -> None:
    assert Event.resolve_by_type("slot") is SlotSet
    assert Event.resolve_by_type("topic") is None
    assert Event.resolve_by_type("no such event", SlotSet) is SlotSet
    with pytest.raises(ValueError, match="no such event"):
        Event.resolve_by_type("no such event")


def test_the_schema_is_not_checked_twice(patched: None) -> None:
    assert RemoteAction("action_any", None)._validate_action_result({"events": [{"event": "slot"}]})


SAID = """\
text: 好
title: 12
names: [text, true, "12", no, ~]
shop: ${SHOP_NAME}
text2: "text"
"""


def test_what_is_read_is_the_same(patched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_NAME", "掌柜")
    expected = {"text": "好", "title": 12, "names": ["text", True, "12", "no", None], "shop": "掌柜", "text2": "text"}
    assert read_yaml(SAID) == expected


def test_what_has_been_read_makes_the_next_no_slower(patched: None) -> None:
    resolver = VersionedResolver((1, 2))
    tags = {resolver.resolve(ScalarNode, "text", (True, False)) for _ in range(9)}
    assert tags == {resolver.DEFAULT_SCALAR_TAG}
    assert len(resolver.versioned_resolver["t"]) < 9


async def test_a_copy_of_a_tracker_is_what_a_replay_gives_and_stands_alone(bot: Bot) -> None:
    for text in ("你好", "我的订单到哪了", "ORD12345", "太差了我要投诉"):
        await bot.says(text)
    tracker = await bot.tracker()
    assert tracker
    tracker.update(ActiveLoop("order_form"))
    copied, replayed = tracker.copy(), tracker.travel_back_in_time(float("inf"))
    before = tracker.current_state(EventVerbosity.ALL)
    assert copied.current_state(EventVerbosity.ALL) == replayed.current_state(EventVerbosity.ALL) == before
    assert (copied.latest_message, copied.active_loop) == (replayed.latest_message, replayed.active_loop)
    copied.update_with_events([SlotSet("order_id", "ORD66666"), ActionExecutionRejected("order_form")], None)
    copied.update(Restarted())
    assert tracker.current_state(EventVerbosity.ALL) == before
    assert not tracker.is_active_loop_rejected


class Failing:
    """An action of which only ``run`` matters."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def name(self) -> str:
        return "action_failing"

    async def run(self, *_: Any) -> list[Event]:
        raise self.error


class Tracker:
    def copy(self) -> Tracker:
        return self

    def update(self, event: Event) -> None:
        self.last = event

    def update_with_events(self, *_: Any) -> None: ...


class Prediction:
    policy_name, max_confidence, events = "rules", 1.0, ()


async def test_an_error_in_an_action_is_not_swallowed(patched: None) -> None:
    processor, tracker = MessageProcessor.__new__(MessageProcessor), Tracker()
    processor.domain = None
    with pytest.raises(BaseException, match="action_failing: KeyError") as caught:
        await processor._run_action(Failing(KeyError("words of a customer")), tracker, None, None, Prediction())
    assert "words" not in str(caught.value)
    assert await processor._run_action(
        Failing(ActionExecutionRejection("action_failing")), tracker, None, None, Prediction()
    )
    assert tracker.last.type_name == "action_execution_rejected"
