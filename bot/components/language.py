"""Which language a message is in, where it shows: Chinese and English customers are answered in their own."""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

from bot import patterns
from bot.spelling import plain

_SAID = patterns.load("language", "chinese", "english", "in_any")


def language_of(text: str) -> str | None:
    """``zh`` or ``en``; None when the message does not show it: "ok", "stop", "ORD12345", "XXL", "5678"."""
    if _SAID["chinese"].search(text):
        return "zh"
    said = plain(text)
    return "en" if _SAID["english"].search(said) and not _SAID["in_any"].search(said) else None


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
