"""Says things as ``domain.yml`` has them: never the same sentence twice while there is another variant, and no offer of
a person to somebody who waits for one (slot ``queued``)."""

from __future__ import annotations

import copy
from typing import Any

from rasa.core.nlg.generator import ResponseVariationFilter
from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig


class VariedResponses(TemplatedNaturalLanguageGenerator):
    """The first variant that was not said in this conversation, else the one that was said longest ago; rules for
    channel and conditions (language) are Rasa's."""

    def __init__(self, endpoint_config: EndpointConfig | None, domain: Domain) -> None:
        super().__init__(domain.responses)

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        variants = self._variants(utter_action, tracker.current_slot_values(), output_channel, kwargs)
        said = {event.text: at for at, event in enumerate(tracker.events) if isinstance(event, BotUttered)}
        waits = bool(tracker.get_slot("queued")) if "queued" in tracker.slots else False

        def rank(variant: dict[str, Any]) -> tuple[bool, int]:
            offers = (variant.get("metadata") or {}).get("offers")
            return waits and offers == "human_handoff", said.get(variant.get("text"), -1)

        return min(variants, key=rank, default=None)

    def _variants(self, name: str, slots: dict[str, Any], channel: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        if name not in self.responses:
            return []
        suitable = ResponseVariationFilter(self.responses).responses_for_utter_action(name, channel, slots)
        return [self._fill_response(copy.deepcopy(variant), slots, **values) for variant in suitable]
