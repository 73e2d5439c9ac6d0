"""Which language a message is in, where it shows: Chinese and English customers are answered in their own."""

from __future__ import annotations

import re
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[a-z']+", re.IGNORECASE)
_ENGLISH = frozenset(
    re.findall(
        r"\S+",
        """
        a about address again also am an and any anyone are at available be been before bill buy can cancel cannot
        card change cheaper color colour complain contact cost could coupon coupons customer day days delivered
        delivery did discount do does doesn't don't exchange fast fine for from get give goods good got had has have
        hello help hey hi how human hurry i i'd i'll i'm i've in invoice is isn't it it's item just late leave like
        long lost manager may me money much my need never new not number of on one open or order orders other
        package parcel pay person phone please points price problem product received recommend refund return sale
        sell send service ship shipped shipping shoes should size some someone soon sorry speak still stock stop
        store talk thank thanks that the there these they this to today tomorrow track tracking wait want was wasn't
        we what when where which who why will with would wrong you your yesterday
        """,
    )
)
"""Words that make a message English; a row of letters, a brand or a tax number is in no language."""


def language_of(text: str) -> str | None:
    """``zh`` or ``en``; None when the message does not show it: "ok", "ORD12345", "XXL", "5678"."""
    if _HAN.search(text):
        return "zh"
    known = [word for word in map(str.lower, _WORD.findall(text)) if word in _ENGLISH]
    return "en" if any(len(word) > 1 for word in known) else None


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class LanguageExtractor(GraphComponent, EntityExtractorMixin):
    """Adds the entity ``language`` over the whole message, which the slot of that name is filled from."""

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> LanguageExtractor:
        return cls()

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            text = message.get(TEXT)
            if language := language_of(text):
                found = [{"entity": "language", "start": 0, "end": len(text), "value": language}]
                message.set(ENTITIES, message.get(ENTITIES, []) + self.add_extractor_name(found), add_to_output=True)
        return messages
