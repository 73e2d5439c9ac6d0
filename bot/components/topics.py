"""What a message is about, by the topics of a knowledge answer: words of ``bot/topics.yml`` first, then the intent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.utils.io import read_yaml_file

from bot.components.text import normalize

NO_TOPIC = frozenset({"greet", "goodbye", "thank", "affirm", "deny", "stop", "correct", "ask_help", "bot_challenge"})
"""Intents of the dialogue itself; a word in them says nothing."""


class Topics:
    """The words and intents of the file, ready to be asked."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._words = {
            topic: [normalize(str(word)).text for word in words] for topic, words in content["words"].items()
        }
        self._intents: dict[str, str] = content["intents"]

    def of(self, text: str, intent: str | None) -> str | None:
        """None when neither words nor intent say it."""
        if intent in NO_TOPIC:
            return None
        plain = normalize(text).text
        weights = {topic: self._weight(words, plain) for topic, words in self._words.items()}
        best: str = max(weights, key=lambda topic: weights[topic])
        by_intent = self._intents.get(intent or "")
        if not weights[best] or (by_intent and weights[best] == weights.get(by_intent)):
            return by_intent
        return best

    @staticmethod
    def _weight(words: list[str], text: str) -> int:
        """Characters of the text that the words cover, each once."""
        covered: set[int] = set()
        for word in words:
            start = text.find(word)
            while start >= 0:
                covered.update(range(start, start + len(word)))
                start = text.find(word, start + 1)
        return len(covered)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class TopicFinder(GraphComponent):
    """Adds ``topic`` to what is known of a message; the actions read it as ``tracker.latest_message["topic"]``."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"file": "bot/topics.yml"}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> TopicFinder:
        return cls(Topics(read_yaml_file(Path(config["file"]))))

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            intent = (message.get(INTENT) or {}).get(INTENT_NAME_KEY)
            if topic := self._topics.of(message.get(TEXT), intent):
                message.set("topic", topic, add_to_output=True)
        return messages
