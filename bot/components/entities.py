"""The values of a message as entities: numbers of orders, tickets and phones, tax numbers, e-mail addresses, sizes,
quantities, and what "第二个" and "刚才那款" point at.

Shapes that follow a rule are found by rule: a statistical extractor would have to be shown every spelling. Values are
canonical (``ORD12345``, ``5678``, ``2``), spans point into the customer's own text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

from bot.components.text import normalize
from bot.components.values import read


@dataclass(frozen=True)
class Entity:
    """A find: ``text[start:end]`` of the original text stands for ``value``."""

    entity: str
    start: int
    end: int
    value: str | int


def extract(text: str) -> list[Entity]:
    """All values of ``text``, in the order in which they stand. Two may share a place: a phone and its last digits."""
    normalized = normalize(text)
    return [Entity(find.entity, *normalized.span(find.start, find.end), find.value) for find in read(normalized.text)]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class ShopEntityExtractor(GraphComponent, EntityExtractorMixin):
    """Adds :func:`extract`'s finds to the entities of each message."""

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ShopEntityExtractor:
        return cls()

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            found = self.add_extractor_name([vars(entity).copy() for entity in extract(message.get(TEXT))])
            message.set(ENTITIES, message.get(ENTITIES, []) + found, add_to_output=True)
        return messages
