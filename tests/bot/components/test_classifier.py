"""The classifier learns, forgets nothing when it is stored, and is as sure as it is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.components.classifier import LinearIntentClassifier, sharpness
from bot.components.tokenizer import CharacterTokenizer

tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())

LINES = {
    "greet": ["你好", "您好呀", "在吗"],
    "thank": ["谢谢", "多谢啦", "感谢"],
    "refund": ["退款", "退我钱", "把钱退回来", "refund please"],
    "rare": ["阿巴阿巴"],
}


class Storage:
    """The part of Rasa's model storage that a component uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def write_to(self, resource: Resource) -> Iterator[Path]:
        yield self.folder

    read_from = write_to


def messages(*texts: str, intent: str | None = None) -> list[Message]:
    made = [Message({"text": text} | ({"intent": intent} if intent else {})) for text in texts]
    for message in made:
        message.set("text_tokens", tokenizer.tokenize(message, "text"))
    return made


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[Any, ...]:
    config = LinearIntentClassifier.get_default_config() | {"ranking_length": 3}
    return config, Storage(tmp_path), Resource("classifier"), ExecutionContext(GraphSchema({}))


@pytest.fixture
def trained(arguments: tuple[Any, ...]) -> LinearIntentClassifier:
    classifier = LinearIntentClassifier.create(*arguments)
    lines = [message for intent, texts in LINES.items() for message in messages(*texts, intent=intent)]
    classifier.train(TrainingData(lines))
    return classifier


@pytest.mark.parametrize(
    ("text", "intent"),
    [("你好你好", "greet"), ("太感谢了", "thank"), ("退钱", "refund"), ("refunded", "refund"), ("阿巴", "rare")],
)
def test_it_generalises(trained: LinearIntentClassifier, text: str, intent: str) -> None:
    (message,) = trained.process(messages(text))
    assert message.get("intent")["name"] == intent


def test_the_ranking_is_sorted_short_and_plain(trained: LinearIntentClassifier) -> None:
    (message,) = trained.process(messages("退款 谢谢"))
    ranking = message.get("intent_ranking")
    assert [type(guess["confidence"]) for guess in ranking] == [float] * 3
    assert ranking[0] == message.get("intent")
    assert sorted((guess["confidence"] for guess in ranking), reverse=True) == [g["confidence"] for g in ranking]


def test_what_was_stored_is_what_was_learned(trained: LinearIntentClassifier, arguments: tuple[Any, ...]) -> None:
    texts = ("你好呀", "退我的钱", "😀", "ORD12345", "zzz 未知")
    loaded = LinearIntentClassifier.load(*arguments)
    learned, stored = ([m.get("intent_ranking") for m in one.process(messages(*texts))] for one in (trained, loaded))
    assert learned == stored


def test_probabilities_are_of_all_intents(arguments: tuple[Any, ...], trained: LinearIntentClassifier) -> None:
    everything = LinearIntentClassifier.load(arguments[0] | {"ranking_length": 99}, *arguments[1:])
    (message,) = everything.process(messages("你好 退款"))
    assert sum(guess["confidence"] for guess in message.get("intent_ranking")) == pytest.approx(1)


def test_nothing_known_is_no_error(trained: LinearIntentClassifier) -> None:
    (message,) = trained.process(messages("ⵣⵣ"))
    assert message.get("intent")["confidence"] < 0.9


def test_confidence_is_as_high_as_the_share_that_is_right() -> None:
    """Three intents; in four of five lines the highest score is the right one, by one point."""
    scores = np.tile([1.0, 0.0, 0.0], (1000, 1))
    truth = np.repeat([0, 1, 2], [800, 100, 100])
    sharp = sharpness(scores, truth)
    assert np.exp(sharp) / (np.exp(sharp) + 2) == pytest.approx(0.8, abs=1e-3)
