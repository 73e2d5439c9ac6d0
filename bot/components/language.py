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
_WORD = re.compile(r"[a-z']{2,}", re.IGNORECASE)
_NEUTRAL = frozenset({"ok", "okay", "ord", "no", "yes", "xs", "xl", "xxl", "xxxl", "vip", "app", "pro", "plus", "max"})
"""Words that those who write Chinese use as well."""

_GREETINGS = frozenset({"hi", "hey", "hello"})
_LONG_WORD = 4
"""Letters from which a single word is no abbreviation."""


def language_of(text: str) -> str | None:
    """``zh`` or ``en``; None when the message does not show it: "ok", "ORD12345", "XXL", "5678"."""
    if _HAN.search(text):
        return "zh"
    words = [word for word in map(str.lower, _WORD.findall(text)) if word not in _NEUTRAL]
    plain = len(words) > 1 or any(len(word) >= _LONG_WORD or word in _GREETINGS for word in words)
    return "en" if plain else None


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
