"""No sentence comes twice while there is another one, and the language is the customer's."""

from __future__ import annotations

from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from bot.components.responses import VariedResponses

DOMAIN = Domain.from_yaml("""
version: "3.1"
slots:
  language: {type: text, influence_conversation: false, mappings: [{type: custom}]}
responses:
  utter_tries: [{text: "没对上，还能试 {tries} 次"}, {text: "还是不对，剩 {tries} 次。"}]
  utter_three: [{text: 嗯嗯}, {text: 我在的}, {text: 您说}]
  utter_one:
    - {text: "好的 {name}"}
    - {text: "OK {name}", condition: [{type: slot, name: language, value: en}]}
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


async def test_every_variant_is_said_before_one_comes_again() -> None:
    assert await conversation("utter_three", 7) == ["嗯嗯", "我在的", "您说"] * 2 + ["嗯嗯"]


async def test_another_number_is_no_other_sentence() -> None:
    responses, tracker = VariedResponses(None, DOMAIN), DialogueStateTracker("a", DOMAIN.slots)
    said = []
    for tries in (4, 3, 2):
        message = await responses.generate("utter_tries", tracker, "web", tries=tries)
        assert message is not None
        tracker.update(BotUttered(message["text"]))
        said.append(message["text"])
    assert said == ["没对上，还能试 4 次", "还是不对，剩 3 次。", "没对上，还能试 2 次"]


async def test_nothing_is_glued_before_what_comes_again() -> None:
    assert await conversation("utter_one", 3) == ["好的 您"] * 3


async def test_the_customers_language() -> None:
    assert await conversation("utter_one", 1, SlotSet("language", "en")) == ["OK 您"]
    assert await conversation("utter_one", 1, SlotSet("language", "zh")) == ["好的 您"]


async def test_an_unknown_response_says_nothing() -> None:
    assert await VariedResponses(None, DOMAIN).generate("utter_none", DialogueStateTracker("a", []), "web") is None
