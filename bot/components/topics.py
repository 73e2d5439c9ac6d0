"""What a message is about, by the topics of a knowledge answer: words of ``bot/topics.yml``, and what goes with them.

The training lines in which a word of a topic stands, those of an intent that has a topic, and the ways of asking for
the shop's answers teach a linear model how else one speaks of it. A message is about the topic for which its known
words and the model together say most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import read_yaml_file

from bot.components.linear import Linear, machine, matrix, words
from bot.components.text import normalize
from bot.components.tokenizer import CharacterTokenizer

NO_TOPIC = frozenset(
    {
        *("greet", "goodbye", "thank", "affirm", "deny", "stop", "correct", "ask_help", "bot_challenge"),
        *("chitchat", "out_of_scope", "inform"),
    }
)
"""Intents that are about nothing of the shop unless a word says so."""

WORTH = 0.5
"""What a character of a known word weighs beside the model, whose scores for a line it knows well are about 1."""


OWN = -0.1
"""Score from which a line is about a topic even where its intent speaks of none, and no word of the topic is known."""


class Topics:
    """The words and intents of the file, ready to be asked."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._words = {
            topic: [normalize(str(word)).text for word in listed] for topic, listed in content["words"].items()
        }
        self._intents: dict[str, str] = content["intents"]

    def weights(self, text: str) -> dict[str, int]:
        """Characters of the text that the words of each topic cover, each once."""
        plain = normalize(text).text
        return {topic: self._weight(listed, plain) for topic, listed in self._words.items()}

    def taught_by(self, text: str, intent: str) -> str | None:
        """The topic that a training line is an example of: by its words, then by its intent."""
        if intent in NO_TOPIC:
            return None
        weights = self.weights(text)
        best: str = max(weights, key=lambda topic: weights[topic])
        by_intent = self._intents.get(intent)
        return by_intent if not weights[best] or weights[best] == weights.get(by_intent or "") else best

    def of(self, message: Message, model: Linear) -> str | None:
        weights = self.weights(message.get(TEXT))
        intent = (message.get(INTENT) or {}).get(INTENT_NAME_KEY)
        scores = model.scores(words(message))
        if intent in NO_TOPIC and not any(weights.values()) and scores.max() < OWN:
            return None
        known = np.array([weights[topic] for topic in model.labels])
        return model.labels[int(np.argmax(scores + WORTH * known))]

    @staticmethod
    def _weight(listed: list[str], text: str) -> int:
        covered: set[int] = set()
        for word in listed:
            start = text.find(word)
            while start >= 0:
                covered.update(range(start, start + len(word)))
                start = text.find(word, start + 1)
        return len(covered)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class TopicFinder(GraphComponent):
    """Adds ``topic`` to what is known of a message; the actions read it as ``tracker.latest_message["topic"]``."""

    def __init__(
        self, config: dict[str, Any], model_storage: ModelStorage, resource: Resource, model: Linear | None = None
    ) -> None:
        self._topics, self._answers = Topics(read_yaml_file(Path(config["file"]))), Path(config["answers"])
        self._model_storage, self._resource, self._model = model_storage, resource, model

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"file": "bot/topics.yml", "answers": "knowledge_graph/content"}

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Changed words and answers teach anew; Rasa's cache looks at the training data alone."""
        known = {**cls.get_default_config(), **config}
        paths = [Path(known["file"]), *sorted(Path(known["answers"]).glob("*.yml"))]
        content = [path.read_bytes() for path in paths if path.exists()]
        return hashlib.sha256(b"".join(content)).hexdigest() if content else None

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> TopicFinder:
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        taught = [
            (words(line), topic)
            for line in training_data.intent_examples
            if line.get(TEXT) and (topic := self._topics.taught_by(line.get(TEXT), line.get(INTENT)))
        ]
        taught += [(words(line), topic) for line, topic in self._asked()]
        vocabulary, features = matrix([cut for cut, _ in taught])
        self._model = Linear.of(machine(1.0).fit(features, [topic for _, topic in taught]), vocabulary)
        with self._model_storage.write_to(self._resource) as folder:
            self._model.store(folder)
        return self._resource

    def _asked(self) -> Iterator[tuple[Message, str]]:
        """The ways of asking for the shop's own answers, with their topics."""
        tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())
        for path in sorted(self._answers.glob("*.yml")):
            content = read_yaml_file(path)
            for ask in [ask for entry in content.get("entries", ()) for ask in (*entry["ask"], entry["title"])]:
                line = Message({TEXT: str(ask)})
                line.set("text_tokens", tokenizer.tokenize(line, TEXT))
                yield line, content["topic"]

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> TopicFinder:
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, Linear.load(folder))

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            if self._model and (topic := self._topics.of(message, self._model)):
                message.set("topic", topic, add_to_output=True)
        return messages
