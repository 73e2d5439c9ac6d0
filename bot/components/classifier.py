"""Intents by a linear model over what a message is made of, with a confidence that means what it says.

One number, found on lines that the model had not learned from, turns its scores into probabilities: of the messages
understood with confidence 0.8, about eight in ten are understood rightly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import INTENT, INTENT_RANKING_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold

from bot.components.linear import Linear, Numbers, machine, matrix, words


def sharpness(scores: Numbers, truth: NDArray[np.intp]) -> float:
    """What to multiply ``scores`` (lines × intents) with so that their softmax fits the ``truth`` best: 0.1 to 7."""

    def loss(logarithm: float) -> float:
        return -float(log_softmax(np.exp(logarithm) * scores, axis=1)[np.arange(len(truth)), truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def sharpness_of_learning(features: Any, truth: NDArray[np.intp], c: float, folds: int) -> float:
    """Measured on each line by a machine that had not seen it; an intent of very few lines has no say."""
    counted = np.bincount(truth)[truth] >= folds
    if not counted.any():
        return 1.0
    scores = np.full((len(truth), truth.max() + 1), -np.inf)
    for learned, left in StratifiedKFold(folds, shuffle=True, random_state=0).split(features, truth):
        trained = machine(c).fit(features[learned], truth[learned])
        scores[np.ix_(left, trained.classes_)] = trained.decision_function(features[left])
    return sharpness(scores[counted], truth[counted])


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class LinearIntentClassifier(GraphComponent, IntentClassifier):
    """Sets ``intent`` and ``intent_ranking``. Learns three intents or more; needs the tokens of a tokenizer."""

    def __init__(
        self, config: dict[str, Any], model_storage: ModelStorage, resource: Resource, model: Linear | None = None
    ) -> None:
        self._config, self._model_storage, self._resource, self._model = config, model_storage, resource, model

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"C": 2.0, "folds": 3, "ranking_length": 10}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> LinearIntentClassifier:
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        lines = [example for example in training_data.intent_examples if example.get(TEXT)]
        intents = np.array([line.get(INTENT) for line in lines])
        vocabulary, features = matrix([words(line) for line in lines])
        c = self._config["C"]
        sharp = sharpness_of_learning(features, np.unique(intents, return_inverse=True)[1], c, self._config["folds"])
        self._model = Linear.of(machine(c).fit(features, intents), vocabulary, sharp)
        with self._model_storage.write_to(self._resource) as folder:
            self._model.store(folder)
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> LinearIntentClassifier:
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, Linear.load(folder))

    def process(self, messages: list[Message]) -> list[Message]:
        assert self._model  # noqa: S101 (Rasa trains or loads first)
        for message in messages:
            probabilities = softmax(self._model.scores(words(message))).tolist()
            guesses = [
                {"name": name, "confidence": p} for name, p in zip(self._model.labels, probabilities, strict=True)
            ]
            ranking = sorted(guesses, key=lambda guess: -float(guess["confidence"]))
            message.set(INTENT, ranking[0], add_to_output=True)
            message.set(INTENT_RANKING_KEY, ranking[: self._config["ranking_length"]], add_to_output=True)
        return messages
