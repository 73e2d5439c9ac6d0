"""How a customer feels by the words of a message: worried, angry, urging, or none of these.

Learned from the lines of ``bot/data/worry``, which were written for it, and, with less weight, from the lines of all
intents: most customers ask calmly, and only thousands of calm lines show in how many ways. How they are learned stands
in :mod:`bot.components.feelings`. The cues are the phrases that weighed most: they show trainers why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import read_yaml_file

import encoder
import settings
from bot.components.feelings import Feelings, Lesson, Read, learn, phrases
from bot.components.linear import Linear, words
from bot.components.tokenizer import CharacterTokenizer
from encoder import Classifier

NEUTRAL = "neutral"
FEELINGS = ("worry", "anger", "urge")
LABELS = frozenset({*FEELINGS, NEUTRAL})

UPSET = ("worry", "anger")
"""Feelings that count for the score: who urges wants it sooner, and need not fear for it."""

CUES = 3
"""Phrases that are shown of a message."""

Lines = Sequence[tuple[str, str]]
"""(text, label)"""


def read(folder: Path) -> Lines:
    """The lines of all files, each under its label. Raises InvalidConfigException, saying where, when one is not well
    made."""
    found: list[tuple[str, str]] = []
    for path in sorted(folder.glob("*.yml")):
        content = read_yaml_file(path)
        if not isinstance(content, dict) or not set(content) <= LABELS:
            raise InvalidConfigException(f"{path}: {', '.join(sorted(LABELS))}, and nothing else")
        for label, block in content.items():
            for line in str(block).splitlines():
                if not line.startswith("- ") or not line[2:].strip():
                    raise InvalidConfigException(f"{path}, {label}: a line begins with '- ': {line!r}")
                found.append((line[2:].strip(), label))
    if {label for _, label in found} != LABELS:
        raise InvalidConfigException(f"{folder}: lines of each of {', '.join(sorted(LABELS))}")
    return found


def feeling(chances: Mapping[str, float], sure: Mapping[str, float]) -> str:
    """The most probable feeling of those that are as probable as they must be; neutral where none is."""
    felt = [label for label in FEELINGS if chances[label] >= sure[label]]
    return max(felt, key=lambda label: chances[label], default=NEUTRAL)


def cues(model: Linear, cut: Sequence[str], label: str) -> list[str]:
    """What speaks most for ``label`` in a message, against what is said on average: at most ``CUES``, the strongest
    first, none that is a part of another."""
    column = model.labels.index(label)
    known = [name for name in phrases(cut) if name in model.columns]
    rows = model.weights[[model.columns[name] for name in known]]
    weighed = dict(zip(known, (rows[:, column] - rows.mean(axis=1)).tolist(), strict=True))
    best = sorted((name for name in weighed if weighed[name] > 0 and _is_said(name)), key=lambda name: -weighed[name])
    found: list[str] = []
    for name in best:
        phrase = "".join(name.strip("^$ ").split(" ")) if not name.isascii() else name.strip("^$ ")
        if phrase and not any(phrase in other or other in phrase for other in found):
            found.append(phrase)
    return found[:CUES]


def _is_said(name: str) -> bool:
    """Whether a feature is words of the message: neither its length nor a piece of a word."""
    return name[0] not in "#&"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class WorryFinder(GraphComponent):
    """Adds ``worry`` to what is known of a message: ``{"score", "label", "cues"}``, which the actions read as
    ``tracker.latest_message["worry"]``.

    The score is the probability of worry or anger; ``sure`` says from which probability a feeling is one, ``shares``
    how many of a hundred messages have it. Where ``WORRY_MODEL`` names a classifier, the probabilities are its own, and
    the cues those of what was learned here. With ``encoder`` false the words alone decide.
    """

    def __init__(
        self, config: dict[str, Any], model_storage: ModelStorage, resource: Resource, model: Feelings | None = None
    ) -> None:
        self._config, self._model_storage, self._resource, self._model = config, model_storage, resource, model
        self._named = named(settings.worry_model()) if model else None
        self._encoder = encoder.load() if config["encoder"] else None

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {
            "folder": "bot/data/worry",
            "intents": {"worry_delivery": "worry", "complain": "anger", "urge_shipment": "urge"},
            "weight": 0.15,
            "C": 1.0,
            "folds": 3,
            "encoder": False,
            "shares": {"worry": 3, "anger": 4, "urge": 7},
            "sure": {"worry": 0.4, "anger": 0.4, "urge": 0.4},
        }

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Changed lines teach anew, and so does another encoder; Rasa's cache looks at the training data alone."""
        folder = Path(config.get("folder") or cls.get_default_config()["folder"])
        content = [path.read_bytes() for path in sorted(folder.glob("*.yml"))]
        if config.get("encoder") and (found := encoder.load()):
            content.append(found.name.encode())
        return hashlib.sha256(b"\0".join(content)).hexdigest()

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> WorryFinder:
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Lines of an intent teach the feeling that ``intents`` names for it; of another one, that there is none."""
        own = read(Path(self._config["folder"]))
        felt: Mapping[str, str] = self._config["intents"]
        others = [line for line in training_data.intent_examples if line.get(TEXT)]
        texts = [*(text for text, _ in own), *(line.get(TEXT) for line in others)]
        lesson = Lesson(
            texts,
            [*_cut(own), *map(words, others)],
            np.array([*(label for _, label in own), *(felt.get(line.get(INTENT), NEUTRAL) for line in others)]),
            np.array([1.0] * len(own) + [self._config["weight"]] * len(others)),
            np.array([place for place, text in enumerate(texts) if place < len(own) or encoder.held_back(text)]),
        )
        shares = {name: share / 100 for name, share in self._config["shares"].items()}
        shares[NEUTRAL] = 1 - sum(shares.values())
        self._model = learn(lesson, shares, self._config["C"], self._config["folds"], self._encoder)
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
    ) -> WorryFinder:
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, Feelings.load(folder))

    def process(self, messages: list[Message]) -> list[Message]:
        assert self._model  # noqa: S101 (Rasa trains or loads first)
        for message in messages:
            cut = words(message)
            chances = self._chances(message.get(TEXT), cut)
            label = feeling(chances, self._config["sure"])
            told = cues(self._model.said, cut, label) if label != NEUTRAL else []
            score = round(sum(chances[name] for name in UPSET), 3)
            message.set("worry", {"score": score, "label": label, "cues": told}, add_to_output=True)
        return messages

    def _chances(self, text: str, cut: Sequence[str]) -> Mapping[str, float]:
        assert self._model  # noqa: S101
        if self._named:
            return dict(zip(self._named.labels, self._named.probabilities(text).tolist(), strict=True))
        found = self._model.probabilities(cut, self._reading(text))
        return dict(zip(self._model.labels, found.tolist(), strict=True))

    def _reading(self, text: str) -> Read | None:
        """By the encoder that was learned with, if it is still there."""
        meaning, reads = self._model.meaning if self._model else None, self._encoder
        if meaning is None or reads is None or reads.name != meaning.encoder:
            return None
        return lambda: reads.encode([text])[0]


def named(folder: Path | None) -> Classifier | None:
    """The classifier of the folder. Raises InvalidConfigException where it cannot be used: who names one wants it."""
    if folder is None:
        return None
    try:
        classifier = Classifier(folder)
    except (ImportError, OSError, ValueError, LookupError, RuntimeError) as error:
        raise InvalidConfigException(f"WORRY_MODEL: {folder} cannot be used: {error}") from None
    if set(classifier.labels) != LABELS:
        raise InvalidConfigException(f"WORRY_MODEL: the labels have to be {', '.join(sorted(LABELS))}")
    return classifier


def _cut(lines: Lines) -> Iterator[list[str]]:
    tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())
    for text, _ in lines:
        yield [token.text for token in tokenizer.tokenize(Message({TEXT: text}), TEXT)]
