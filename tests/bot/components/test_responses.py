"""The same sentence is never said three times in a row, and the language is the customer's."""

from __future__ import annotations

import pytest
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from bot.components.responses import VariedResponses

DOMAIN = Domain.from_yaml("""
version: "3.1"
slots:
  language: {type: text, influence_conversation: false, mappings: [{type: custom}]}
responses:
  utter_two: [{text: 请提供订单号}, {text: 还请提供订单号}]
  utter_one:
    - {text: "好的 {name}"}
    - {text: "OK {name}", condition: [{type: slot, name: language, value: en}]}
  utter_again: [{text: 再说一次：}]
""")


async def conversation(name: str, turns: int, *events: SlotSet) -> list[str]:
    responses, tracker = VariedResponses(None, DOMAIN), DialogueStateTracker("a", DOMAIN.slots)
    tracker.update_with_events([*events], DOMAIN)
    said = []
    for _ in range(turns):
        tracker.update(UserUttered("嗯"))
        message = await responses.generate(name, tracker, "web", name="您")
        assert message is not None
        tracker.update(BotUttered(message["text"]))
        said.append(message["text"])
    return said


async def test_variants_take_turns() -> None:
    assert await conversation("utter_two", 4) == ["请提供订单号", "还请提供订单号"] * 2


@pytest.mark.parametrize("name", ["utter_one", "utter_two"])
async def test_never_three_times_in_a_row(name: str) -> None:
    said = await conversation(name, 9)
    assert all(len(set(said[i : i + 3])) > 1 for i in range(7)), said


async def test_the_customers_language() -> None:
    assert await conversation("utter_one", 1, SlotSet("language", "en")) == ["OK 您"]
    assert await conversation("utter_one", 1, SlotSet("language", "zh")) == ["好的 您"]


async def test_an_unknown_response_says_nothing() -> None:
    assert await VariedResponses(None, DOMAIN).generate("utter_none", DialogueStateTracker("a", []), "web") is None
