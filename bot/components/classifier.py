"""Intents by a linear model over what a message is made of, with a confidence that means what it says.

A support vector machine for each intent weighs characters and words, pairs of neighbours, pieces of Latin words and the
length of the message. One number, found on lines that the machine had not learned from, turns its scores into
probabilities: of the messages understood with confidence 0.8, about eight in ten are understood rightly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
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
from rasa.shared.utils.io import dump_obj_as_json_to_file, read_json_file
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

Numbers = NDArray[np.floating[Any]]

_LENGTHS = (1, 2, 3, 4, 7, 11, 17)
_PIECE = 4
"""Letters of a piece of a Latin word: "refunded" and "refund" share some."""


def features(words: Sequence[str]) -> list[str]:
    """What is weighed of a message that is cut into ``words``. Only its own signs hold characters like ^ or &."""
    edged = ["^", *words, "$"]
    latin = [f"<{word}>" for word in words if word.isascii() and word.isalpha() and len(word) >= _PIECE]
    return [
        *words,
        *(f"{one} {other}" for one, other in pairwise(edged)),
        *(f"&{word[i : i + _PIECE]}" for word in latin for i in range(len(word) - _PIECE + 1)),
        f"#{max(length for length in _LENGTHS if length <= len(words))}",
    ]


def _words(message: Message) -> list[str]:
    return [token.text for token in message.get("text_tokens")]


def vectorizer() -> CountVectorizer:
    return CountVectorizer(analyzer=features, binary=True, dtype=np.float32)


def sharpness(scores: Numbers, truth: NDArray[np.intp]) -> float:
    """What to multiply ``scores`` (lines × intents) with so that their softmax fits the ``truth`` best: 0.1 to 7."""

    def loss(logarithm: float) -> float:
        return -float(log_softmax(np.exp(logarithm) * scores, axis=1)[np.arange(len(truth)), truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class LinearIntentClassifier(GraphComponent, IntentClassifier):
    """Sets ``intent`` and ``intent_ranking``. Learns three intents or more; needs the tokens of a tokenizer."""

    def __init__(self, config: dict[str, Any], model_storage: ModelStorage, resource: Resource) -> None:
        self._config, self._model_storage, self._resource = config, model_storage, resource
        self._use([], [], np.zeros((0, 0)), np.zeros(0))

    def _use(self, intents: list[str], vocabulary: Sequence[str], weights: Numbers, bias: Numbers) -> None:
        """``weights``: features × intents; both as sharp as the probabilities want them."""
        self._intents, self._weights, self._bias = intents, weights, bias
        self._column = {feature: column for column, feature in enumerate(vocabulary)}

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
        intents, truth = np.unique([line.get(INTENT) for line in lines], return_inverse=True)
        counting = vectorizer()
        matrix = normalize(counting.fit_transform(map(_words, lines)))
        sharp = self._sharpness(matrix, truth, len(intents))
        machine = self._machine().fit(matrix, truth)
        weights = np.ascontiguousarray(sharp * machine.coef_.T, dtype=np.float32)
        self._use(intents.tolist(), counting.get_feature_names_out().tolist(), weights, sharp * machine.intercept_)
        with self._model_storage.write_to(self._resource) as directory:
            np.savez(directory / "numbers.npz", weights=self._weights, bias=self._bias)
            dump_obj_as_json_to_file(directory / "names.json", [self._intents, list(self._column)])
        return self._resource

    def _machine(self) -> LinearSVC:
        return LinearSVC(C=self._config["C"], random_state=0)

    def _sharpness(self, matrix: Any, truth: NDArray[np.intp], intents: int) -> float:
        """Measured on each line by a machine that had not seen it; an intent of very few lines has no say."""
        folds = self._config["folds"]
        counted = np.bincount(truth)[truth] >= folds
        if not counted.any():
            return 1.0
        scores = np.full((len(truth), intents), -np.inf)
        for learned, left in StratifiedKFold(folds, shuffle=True, random_state=0).split(matrix, truth):
            machine = self._machine().fit(matrix[learned], truth[learned])
            scores[np.ix_(left, machine.classes_)] = machine.decision_function(matrix[left])
        return sharpness(scores[counted], truth[counted])

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> LinearIntentClassifier:
        classifier = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as directory:
            intents, vocabulary = read_json_file(directory / "names.json")
            numbers = np.load(directory / "numbers.npz", allow_pickle=False)
            classifier._use(intents, vocabulary, numbers["weights"], numbers["bias"])
        return classifier

    def probabilities(self, words: Sequence[str]) -> Numbers:
        """Of each intent, for a message cut into ``words``. What is not known makes it longer, its intent less sure."""
        found = set(features(words))
        known = sorted(self._column[feature] for feature in found if feature in self._column)
        result: Numbers = softmax(self._weights[known].sum(axis=0) / np.sqrt(len(found)) + self._bias)
        return result

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            ranking = self._ranking(self.probabilities(_words(message)).tolist())
            message.set(INTENT, ranking[0], add_to_output=True)
            message.set(INTENT_RANKING_KEY, ranking[: self._config["ranking_length"]], add_to_output=True)
        return messages

    def _ranking(self, probabilities: Iterable[float]) -> list[dict[str, Any]]:
        guesses = [{"name": name, "confidence": p} for name, p in zip(self._intents, probabilities, strict=True)]
        return sorted(guesses, key=lambda guess: -float(guess["confidence"]))
