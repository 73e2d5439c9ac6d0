"""Says things as ``domain.yml`` has them: never the same sentence twice while there is another variant, not even with
another number in it, and no offer of a person to somebody who waits for one (slot ``queued``)."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from rasa.core.nlg.generator import ResponseVariationFilter
from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

_VALUE = re.compile(r"\{[^{}]*\}")


class VariedResponses(TemplatedNaturalLanguageGenerator):
    """The first variant that was not said in this conversation, else the one that was said longest ago; rules for
    channel and conditions (language) are Rasa's."""

    def __init__(self, endpoint_config: EndpointConfig | None, domain: Domain) -> None:
        super().__init__(domain.responses)

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        if utter_action not in self.responses:
            return None
        slots = tracker.current_slot_values()
        fitting = ResponseVariationFilter(self.responses)
        suitable = fitting.responses_for_utter_action(utter_action, output_channel, slots)
        said = [event.text or "" for event in tracker.events if isinstance(event, BotUttered)]

        def rank(variant: dict[str, Any]) -> tuple[bool, int]:
            offers = (variant.get("metadata") or {}).get("offers")
            waits = bool(slots.get("queued")) and offers == "human_handoff"
            return waits, _last_said(variant.get("text") or "", said)

        variant = min(suitable, key=rank, default=None)
        return None if variant is None else self._fill_response(copy.deepcopy(variant), slots, **kwargs)


def _last_said(template: str, said: Sequence[str]) -> int:
    """The place of the last of these that was made from the template, with whatever values; -1 where none was."""
    words = _VALUE.split(template)
    pattern = re.compile(".*".join(map(re.escape, words)), re.DOTALL)
    return next((at for at in range(len(said) - 1, -1, -1) if pattern.fullmatch(said[at])), -1)
