"""Intents by a quick model of what a message is made of and, where it is unsure, by what the message means.

The quick model is learned with every training: one linear model of the characters, one of the sounds for those who type
pinyin. The encoder was tuned once (:mod:`encoder`); an intent that it does not know is the quick model's alone. Numbers
found on lines that neither had learned from turn scores into probabilities: of the messages understood with confidence
0.8, about eight in ten are understood rightly.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
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
from sklearn.model_selection import StratifiedKFold

import encoder
from bot.components.linear import Linear, Numbers, machine, matrix, words
from bot.components.pinyin import is_pinyin, sounds
from encoder import Encoder

_log = logging.getLogger(__name__)

Truth = NDArray[np.intp]

_LEAST = 1e-9
"""A probability, so that its logarithm is a number."""

_ENOUGH = 50
"""Lines that say how sure to be."""


def sharpness(scores: Numbers, truth: Truth) -> float:
    """What to multiply ``scores`` (lines × intents) with so that their softmax fits the ``truth`` best: 0.1 to 7."""

    def loss(logarithm: float) -> float:
        return -float(log_softmax(np.exp(logarithm) * scores, axis=1)[np.arange(len(truth)), truth].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def scores_unseen(features: Any, truth: Truth, c: float, folds: int, weights: Numbers | None = None) -> Numbers:
    """Of each line (lines × intents), by a machine that had not seen it; -∞ where it did not know the intent.
    ``weights`` are those of the lines in learning; without, all weigh the same."""
    if np.bincount(truth).max() < folds:
        return np.zeros((len(truth), truth.max() + 1))
    scores = np.full((len(truth), truth.max() + 1), -np.inf)
    for learned, left in StratifiedKFold(folds, shuffle=True, random_state=0).split(features, truth):
        trained = machine(c).fit(features[learned], truth[learned], None if weights is None else weights[learned])
        scores[np.ix_(left, trained.classes_)] = trained.decision_function(features[left])
    return scores


def sharpness_of_learning(scores: Numbers, truth: Truth, folds: int) -> float:
    """From :func:`scores_unseen`; an intent of very few lines has no say."""
    counted = np.bincount(truth)[truth] >= folds
    return sharpness(scores[counted], truth[counted]) if counted.any() else 1.0


def _logarithms(probabilities: Numbers) -> Numbers:
    found: Numbers = np.log(np.maximum(probabilities, _LEAST))
    return found


def opinion(meaning: Encoder, labels: Sequence[str], texts: Sequence[str]) -> Numbers:
    """The encoder's probabilities (texts × ``labels``) of the intents that it knows; 0 of those that it does not."""
    place = {name: column for column, name in enumerate(meaning.labels)}
    known = [column for column, name in enumerate(labels) if name in place]
    found = np.zeros((len(texts), len(labels)))
    said = np.maximum(meaning.intents(texts)[:, [place[labels[column]] for column in known]], _LEAST)
    found[:, known] = said / said.sum(axis=1, keepdims=True)
    return found


@dataclass(frozen=True)
class Mix:
    """How the quick model (probabilities, lines × intents) and the encoder's opinion become one."""

    meaning: float = 1.0  # sharpness of the opinion
    both: float = 1.0  # and of the mean of the two

    @classmethod
    def learn(cls, quick: Numbers, opinions: Numbers, truth: Truth, sure: float) -> Mix:
        """From lines that neither had learned."""
        known = opinions[np.arange(len(truth)), truth] > 0
        quick, opinions, truth = quick[known], opinions[known], truth[known]
        asked = quick.max(axis=1) < sure
        if asked.sum() < _ENOUGH:
            return cls()
        meaning = sharpness(_logarithms(opinions), truth)
        mixed = cls(meaning).mixed(quick[asked], opinions[asked])
        return cls(meaning, sharpness(_logarithms(mixed), truth[asked]))

    def mixed(self, quick: Numbers, opinions: Numbers) -> Numbers:
        """Half and half among the intents that the encoder knows; the others keep what the quick model says."""
        known = (opinions > 0).any(axis=0)
        share = quick[:, known].sum(axis=1, keepdims=True)
        sharp = softmax(self.meaning * _logarithms(opinions[:, known]), axis=1)
        mean = (quick[:, known] + share * sharp) / 2
        sharper = softmax(self.both * _logarithms(mean), axis=1)
        found: Numbers = quick.copy()
        found[:, known] = share * sharper
        return found


@dataclass(frozen=True)
class Quick:
    """Both models know the same intents."""

    written: Linear
    sounded: Linear

    @property
    def labels(self) -> list[str]:
        return self.written.labels

    def probabilities(self, cut: Sequence[str]) -> Numbers:
        scores = self.sounded.scores(sounds(cut)) if is_pinyin(cut) else self.written.scores(cut)
        found: Numbers = softmax(scores)
        return found

    def store(self, folder: Path) -> None:
        for name, model in (("written", self.written), ("sounded", self.sounded)):
            (folder / name).mkdir()
            model.store(folder / name)

    @classmethod
    def load(cls, folder: Path) -> Quick:
        return cls(Linear.load(folder / "written"), Linear.load(folder / "sounded"))


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class LinearIntentClassifier(GraphComponent, IntentClassifier):
    """Sets ``intent`` and ``intent_ranking``. Learns three intents or more; needs the tokens of a tokenizer.

    Below the confidence ``sure`` the encoder is asked, too; 0 never asks it.
    """

    def __init__(
        self,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        quick: Quick | None = None,
        mix: Mix | None = None,
    ) -> None:
        self._config, self._model_storage, self._resource = config, model_storage, resource
        self._quick, self._mix = quick, mix
        self._meaning = encoder.load() if config["sure"] else None

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"C": 2.0, "folds": 3, "ranking_length": 10, "sure": 0.0}

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Another encoder mixes otherwise; Rasa's cache looks at the training data alone."""
        return found.name if config.get("sure") and (found := encoder.load()) else None

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
        labels, truth = np.unique(intents, return_inverse=True)
        cuts = [words(line) for line in lines]
        folds = self._config["folds"]
        vocabulary, features = matrix(cuts)
        unseen = scores_unseen(features, truth, self._config["C"], folds)
        sharp = sharpness_of_learning(unseen, truth, folds)
        unseen *= sharp
        heard = matrix([sounds(cut) for cut in cuts])  # as sharp as the other: to measure it would cost ten seconds
        self._quick = Quick(
            self._learned(features, vocabulary, intents, sharp), self._learned(heard[1], heard[0], intents, sharp)
        )
        if self._meaning:
            self._mix = self._learned_mix(self._meaning, lines, softmax(unseen, axis=1), labels.tolist(), truth)
        with self._model_storage.write_to(self._resource) as folder:
            self._quick.store(folder)
            dump_obj_as_json_to_file(folder / "mix.json", asdict(self._mix) if self._mix else None)
        return self._resource

    def _learned(self, features: Any, vocabulary: Sequence[str], intents: NDArray[Any], sharp: float) -> Linear:
        return Linear.of(machine(self._config["C"]).fit(features, intents), vocabulary, sharp)

    def _learned_mix(
        self, meaning: Encoder, lines: Sequence[Message], quick: Numbers, labels: list[str], truth: Truth
    ) -> Mix:
        unknown = sorted(set(labels) - set(meaning.labels))
        if unknown:
            _log.warning(
                "The encoder does not know %s: the quick model decides alone about them until the next make encoder"
                " / 语义模型还不认识这些意图，暂由快速模型判断",
                ", ".join(unknown),
            )
        held = [place for place, line in enumerate(lines) if encoder.held_back(line.get(TEXT))]
        if not held:
            return Mix()
        opinions = opinion(meaning, labels, [lines[place].get(TEXT) for place in held])
        return Mix.learn(quick[held], opinions, truth[held], self._config["sure"])

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
            mix = read_json_file(folder / "mix.json")
            return cls(config, model_storage, resource, Quick.load(folder), Mix(**mix) if mix else None)

    def process(self, messages: list[Message]) -> list[Message]:
        assert self._quick  # noqa: S101 (Rasa trains or loads first)
        for message in messages:
            chances = self._quick.probabilities(words(message))
            if self._meaning and self._mix and chances.max() < self._config["sure"]:
                opinions = opinion(self._meaning, self._quick.labels, [message.get(TEXT)])
                chances = self._mix.mixed(chances[None], opinions)[0]
            guesses = [
                {"name": name, "confidence": p} for name, p in zip(self._quick.labels, chances.tolist(), strict=True)
            ]
            ranking = sorted(guesses, key=lambda guess: -float(guess["confidence"]))
            message.set(INTENT, ranking[0], add_to_output=True)
            message.set(INTENT_RANKING_KEY, ranking[: self._config["ranking_length"]], add_to_output=True)
        return messages
