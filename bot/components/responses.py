"""Says things as ``domain.yml`` has them, and never the same sentence three times in a row."""

from __future__ import annotations

import copy
from itertools import takewhile
from typing import Any

from rasa.core.nlg.generator import ResponseVariationFilter
from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

AGAIN = "utter_again"
"""Response whose variants go before a sentence that has just been said twice."""


def said_lately(tracker: DialogueStateTracker) -> list[set[str]]:
    """What was said in answer to the customer's last two messages before this one, the later first."""
    turns: list[set[str]] = [set()]
    for event in reversed(tracker.events):
        if isinstance(event, BotUttered):
            turns[-1].add(event.text or "")
        elif isinstance(event, UserUttered):
            turns.append(set())
            if len(turns) > 3:
                break
    return turns[1:3]


class VariedResponses(TemplatedNaturalLanguageGenerator):
    """The first variant that was not said lately; rules for channel and conditions (language) are Rasa's."""

    def __init__(self, endpoint_config: EndpointConfig | None, domain: Domain) -> None:
        super().__init__(domain.responses)

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        slots = tracker.current_slot_values()
        lately = said_lately(tracker)
        if not (variants := self._variants(utter_action, slots, output_channel, kwargs)):
            return None
        fresh = [variant for variant in variants if not any(variant.get("text") in turn for turn in lately)]
        if fresh:
            return fresh[0]
        # all were said: the one that was said longest ago
        last = lately[0] if lately else set()
        variant = next((variant for variant in variants if variant.get("text") not in last), variants[0])
        twice = sum(1 for _ in takewhile(lambda turn: variant.get("text") in turn, lately)) > 1
        if twice and (again := self._variants(AGAIN, slots, output_channel, {})):
            variant["text"] = f"{again[len(tracker.events) % len(again)]['text']}{variant['text']}"
        return variant

    def _variants(self, name: str, slots: dict[str, Any], channel: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        if name not in self.responses:
            return []
        suitable = ResponseVariationFilter(self.responses).responses_for_utter_action(name, channel, slots)
        return [self._fill_response(copy.deepcopy(variant), slots, **values) for variant in suitable]
